"""Bytes a second over many bodies, on a clock that passes as fast as the work does."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Awaitable, Callable

import pytest

from omnisrc.web.bandwidth import AHEAD, Bandwidth

CHUNK = 16384


class QuickLoop(asyncio.SelectorEventLoop):
    """Its time passes at once when nobody has anything to do but wait."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 1000.0
        real = self._selector.select

        def select(timeout: float | None = None) -> list[object]:
            self._now += timeout or 0.0
            return real(0)

        self._selector.select = select

    def time(self) -> float:
        return self._now


def run(main: Callable[[], Awaitable[object]]) -> object:
    with asyncio.Runner(loop_factory=QuickLoop) as runner:
        return runner.run(main())


def now() -> float:
    return asyncio.get_running_loop().time()


async def read(bandwidth: Bandwidth, size: int, came: list[tuple[float, int]]) -> None:
    async with bandwidth.body() as tap:
        for start in range(0, size, CHUNK):
            count = min(CHUNK, size - start)
            came.append((now(), count))
            await tap.pay(count)


@pytest.mark.parametrize("sizes", [(5_000, 150_000), (2_000_000, 9_000_000)], ids=["images", "videos"])
@pytest.mark.parametrize("at_a_time", [1, 128])
def test_over_any_ten_seconds_the_rate_is_kept_within_a_tenth(sizes: tuple[int, int], at_a_time: int) -> None:
    rate, seconds, rng, came = 1_000_000, 60, random.Random(1), []

    async def reader(bandwidth: Bandwidth) -> None:
        while now() < 1000 + seconds:
            await read(bandwidth, rng.randint(*sizes), came)

    async def main() -> None:
        bandwidth = Bandwidth(rate)
        readers = [asyncio.create_task(reader(bandwidth)) for _ in range(at_a_time)]
        await asyncio.wait(readers, timeout=seconds)
        for task in readers:
            task.cancel()
        await asyncio.gather(*readers, return_exceptions=True)

    run(main)
    for start in range(1000, 1000 + seconds - 10, 3):
        spent = sum(count for moment, count in came if start <= moment < start + 10)
        assert spent / 10 == pytest.approx(rate, rel=0.1), f"from second {start - 1000} on"


def test_a_rate_that_changes_is_heeded_by_those_who_wait() -> None:
    async def main() -> tuple[float, float]:
        bandwidth, came = Bandwidth(1000.0), []
        task = asyncio.create_task(read(bandwidth, AHEAD + 3_600_000, came))
        await asyncio.sleep(10.0)
        bandwidth.rate = math.inf
        freed = now()
        await task
        return freed, now()

    freed, done = run(main)
    assert done - freed < 1.0


def test_bodies_that_are_under_way_go_before_those_that_have_not_begun() -> None:
    async def main() -> list[str]:
        bandwidth, ended = Bandwidth(100_000.0), []

        async def one(name: str, size: int) -> None:
            await read(bandwidth, size, [])
            ended.append(name)

        first = asyncio.create_task(one("long", 1_000_000))
        await asyncio.sleep(1.0)
        await asyncio.gather(first, *(one(f"late {n}", 10_000) for n in range(20)))
        return ended

    assert run(main)[0] == "long"


def test_what_did_not_come_of_a_body_is_not_charged() -> None:
    async def main() -> float:
        bandwidth, began = Bandwidth(100_000.0), now()
        for _ in range(100):
            await read(bandwidth, 1000, [])
        return now() - began

    assert run(main) == pytest.approx(1.0, rel=0.1)


def test_without_a_limit_nobody_waits() -> None:
    async def main() -> float:
        began = now()
        await asyncio.gather(*(read(Bandwidth(), 10_000_000, []) for _ in range(20)))
        return now() - began

    assert run(main) == 0.0


def test_time_in_which_nothing_came_gives_no_credit() -> None:
    async def main() -> float:
        bandwidth = Bandwidth(100_000.0)
        await read(bandwidth, 10_000, [])
        await asyncio.sleep(3600.0)
        began = now()
        await read(bandwidth, 1_000_000, [])
        return now() - began

    assert run(main) == pytest.approx((1_000_000 - AHEAD) / 100_000, rel=0.1)
