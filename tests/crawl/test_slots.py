from __future__ import annotations

import asyncio

import pytest

from omnisrc.crawl.slots import SiteBusy, SlotGate
from omnisrc.web.hosts import Pace


def test_a_site_without_a_slot_is_asked_for_once_and_then_held() -> None:
    asked: list[str] = []

    def take(site: str) -> Pace:
        asked.append(site)
        return Pace(2)

    async def main() -> frozenset[str]:
        gate = SlotGate(take)
        gate.hold("a:80", Pace(1))

        async def visit(site: str) -> None:
            async with gate.slot(site):
                await asyncio.sleep(0)

        await asyncio.gather(*(visit(site) for site in ["a:80", "b:80"] * 10))
        return gate.held

    assert asyncio.run(main()) == {"a:80", "b:80"} and asked == ["b:80"]


def test_a_site_whose_slots_are_taken_is_busy() -> None:
    async def main() -> float:
        with pytest.raises(SiteBusy) as caught:
            async with SlotGate(lambda site: 3.0).slot("b:80"):
                pass
        return caught.value.later_s

    assert asyncio.run(main()) == 3.0


def test_nobody_waits_in_a_queue_longer_than_a_few_seconds() -> None:
    async def main() -> tuple[int, int]:
        gate = SlotGate(lambda site: Pace(1))
        gate.hold("a:80", Pace(1, 30.0))

        async def visit() -> bool:
            async with gate.slot("a:80"):
                return True

        results = await asyncio.gather(*(visit() for _ in range(5)), return_exceptions=True)
        return results.count(True), sum(isinstance(result, SiteBusy) for result in results)

    assert asyncio.run(main()) == (1, 4)


def test_who_waits_at_a_site_that_is_shut_is_sent_away_and_others_are_not() -> None:
    async def main() -> list[str]:
        gate = SlotGate(lambda site: Pace(1))
        gate.hold("a:80", Pace(1, 0.2))
        gate.hold("b:80", Pace(1, 0.2))
        passed: list[str] = []

        async def visit(site: str) -> None:
            async with gate.slot(site):
                passed.append(site)

        waiting = [asyncio.create_task(visit(site)) for site in ["a:80", "b:80"] * 3]
        await asyncio.sleep(0.05)
        gate.shut(["a:80"])
        results = await asyncio.gather(*waiting, visit("a:80"), return_exceptions=True)
        assert sum(isinstance(result, SiteBusy) for result in results) == 3
        gate.shut([])
        await visit("a:80")
        return sorted(passed)

    assert asyncio.run(main()) == ["a:80"] * 2 + ["b:80"] * 3


def test_a_crawl_delay_holds_whatever_pace_is_set() -> None:
    gate = SlotGate(lambda site: Pace(1))
    gate.hold("a:80", Pace(4, 0.1, 0.5))
    gate.slow_down("a:80", 3.0)
    gate.set_pace("a:80", Pace(8, 0.01, 1.0))
    assert gate.pace("a:80") == Pace(1, 3.0, 1.0)
    gate.set_pace("a:80", Pace(8, 9.0, 1.0))
    assert gate.pace("a:80") == Pace(8, 9.0, 1.0)
