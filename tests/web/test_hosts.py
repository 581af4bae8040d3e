from __future__ import annotations

import asyncio
import itertools

import pytest

from omnisrc.web.hosts import HostGate, Pace


class Clock:
    """A clock that moves only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        await asyncio.sleep(0)


def gate(pace: Pace, clock: Clock) -> HostGate:
    return HostGate(pace, clock=clock, sleep=clock.sleep)


async def _visit(gate: HostGate, site: str, running: list[int], most: list[int]) -> None:
    async with gate.slot(site):
        running[0] += 1
        most[0] = max(most[0], running[0])
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        running[0] -= 1


def test_no_site_gets_more_at_once_than_its_share() -> None:
    async def main() -> list[int]:
        running, most = [0], [0]
        tested = HostGate(Pace(3))
        await asyncio.gather(*(_visit(tested, "a:80", running, most) for _ in range(50)))
        return [running[0], most[0]]

    assert asyncio.run(main()) == [0, 3]


def test_sites_do_not_wait_for_each_other() -> None:
    async def main() -> int:
        running, most = [0], [0]
        tested = HostGate(Pace(1))
        await asyncio.gather(*(_visit(tested, f"{n}:80", running, most) for n in range(10)))
        return most[0]

    assert asyncio.run(main()) == 10


def test_starts_are_an_interval_apart() -> None:
    clock = Clock()
    starts: list[float] = []

    async def visit(tested: HostGate) -> None:
        async with tested.slot("a:80"):
            starts.append(clock())

    async def main() -> None:
        tested = gate(Pace(4, 0.5), clock)
        await asyncio.gather(*(visit(tested) for _ in range(6)))

    asyncio.run(main())
    gaps = [after - before for before, after in itertools.pairwise(starts)]
    assert len(starts) == 6 and min(gaps) >= 0.5 - 1e-9


def test_a_pause_holds_the_next_start_and_is_not_shortened_by_another() -> None:
    clock = Clock()

    async def main() -> float:
        tested = gate(Pace(2), clock)
        tested.pause("a:80", 30.0)
        tested.pause("a:80", 5.0)
        assert tested.wait_s("a:80") == 30.0 and tested.wait_s("b:80") == 0.0
        async with tested.slot("a:80"):
            return clock()

    assert asyncio.run(main()) == 130.0


def test_who_gives_up_waiting_takes_nobodys_place() -> None:
    async def main(late: bool) -> bool:
        tested = HostGate(Pace(1))

        async def enter() -> bool:
            async with tested.slot("a:80"):
                return True

        async with tested.slot("a:80"):
            quitter, patient = asyncio.create_task(enter()), asyncio.create_task(enter())
            await asyncio.sleep(0)
            if not late:
                quitter.cancel()
        if late:  # its turn has come, and it does not know yet
            quitter.cancel()
        return await asyncio.wait_for(patient, 5)

    assert asyncio.run(main(late=False)) and asyncio.run(main(late=True))


def test_a_larger_share_lets_waiting_requests_in() -> None:
    async def main() -> int:
        running, most = [0], [0]
        tested = HostGate(Pace(1))
        async with tested.slot("a:80"):
            tasks = [asyncio.create_task(_visit(tested, "a:80", running, most)) for _ in range(4)]
            await asyncio.sleep(0)
            tested.set_pace("a:80", Pace(3))
            await asyncio.wait_for(asyncio.gather(*tasks), 5)
        return most[0]

    assert asyncio.run(main()) == 2


def test_an_exception_inside_gives_the_place_back() -> None:
    async def main() -> bool:
        tested = HostGate(Pace(1))
        with pytest.raises(RuntimeError):
            async with tested.slot("a:80"):
                raise RuntimeError
        async with tested.slot("a:80"):
            return True

    assert asyncio.run(main())
