from __future__ import annotations

import asyncio
import dataclasses
import itertools
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from db import ledger
from db.models import Asset
from db.session import Database
from omnisrc.crawl import budgets
from omnisrc.crawl.counts import crawl_counts
from omnisrc.crawl.jobs import unrecorded
from omnisrc.crawl.outcome import Outcome
from omnisrc.crawl.parts import Part, Parts
from omnisrc.errors import ErrorClass, ItemError


class Shelf:
    """What a Landing shows to Parts: bytes, and what they hold."""

    def __init__(self) -> None:
        self.stored_bytes = 0
        self.landed: dict[str, str] = {}

    def store(self, name: str, size: int) -> None:
        self.stored_bytes += size
        self.landed[name] = name

    def take(self) -> tuple[dict, dict[str, str]]:
        taken, self.landed, self.stored_bytes = self.landed, {}, 0
        return {}, taken


def asset(number: int) -> Asset:
    return Asset(id=number, url=f"http://a/{number}", kind="image")


@given(
    st.lists(st.tuples(st.integers(0, 500), st.sampled_from(["stored", "failed", "later"])), max_size=60),
    st.integers(1, 900),
)
def test_every_outcome_is_in_one_part_and_the_sums_grow_to_the_whole(items: list[tuple[int, str]], most: int) -> None:
    shelf, recorded = Shelf(), []
    parts = Parts(shelf, most, recorded.append)

    async def main() -> None:
        for number, (size, end) in enumerate(items):
            await parts.room()
            assert shelf.stored_bytes < most
            if end == "stored":
                shelf.store(str(number), size)
                parts.add(Outcome(asset(number), sha256=str(number), key=str(number)))
            elif end == "failed":
                parts.add(Outcome(asset(number), error=ItemError(ErrorClass.DECODE, "no")))
            else:
                parts.add(Outcome(asset(number), later_s=1.0))
        await parts.wait()

    asyncio.run(main())
    whole = [*recorded, parts.take()]
    assert [outcome.asset.id for part in whole for outcome in part.outcomes] == list(range(len(items)))
    assert [part.number for part in whole] == list(range(1, len(whole) + 1))
    ends = [end for _, end in items]
    assert whole[-1].told == {
        "assets": len(ends) - ends.count("later"),
        "stored": ends.count("stored"),
        "bytes": sum(size for size, end in items if end == "stored"),
        "errors": {"decode": ends.count("failed")} if "failed" in ends else {},
    }
    assert parts.told == whole[-1].told and parts.stored_bytes == whole[-1].told["bytes"]
    for before, after in itertools.pairwise(whole):
        assert len(after.landed) == after.told["stored"] - before.told["stored"]


def test_one_part_is_recorded_at_a_time_while_the_next_fills() -> None:
    shelf, go, inside, most = Shelf(), threading.Event(), [], 0

    def record(part: Part) -> None:
        nonlocal most
        inside.append(part.number)
        most = max(most, len(inside))
        assert go.wait(10.0)
        inside.remove(part.number)

    parts = Parts(shelf, 10, record)

    async def main() -> None:
        shelf.store("a", 10)
        await parts.room()  # the first is being recorded, and there is room
        shelf.store("b", 10)
        waits = [asyncio.create_task(parts.room()) for _ in range(5)]
        await asyncio.sleep(0.05)
        assert not any(task.done() for task in waits) and inside == [1]
        go.set()
        await asyncio.wait_for(asyncio.gather(*waits), 10.0)
        await parts.wait()

    asyncio.run(main())
    assert most == 1 and parts.take().number == 3


def test_what_could_not_be_recorded_ends_the_drain() -> None:
    shelf = Shelf()

    def full(part: Part) -> None:
        raise ItemError(ErrorClass.STORAGE, "no space")

    parts = Parts(shelf, 10, full)

    async def main() -> None:
        shelf.store("a", 10)
        await parts.room()
        shelf.store("b", 10)
        await asyncio.wait_for(parts.room(), 10.0)  # nobody waits for ever
        assert parts.broken
        await parts.wait()

    asyncio.run(main())
    with pytest.raises(ItemError, match="no space"):
        parts.check()


def test_what_is_recorded_is_not_told_twice() -> None:
    told = {"assets": 10, "bytes": 700, "recorded": {"assets": 4, "bytes": 300, "parts": 1}}
    assert (unrecorded(told, "assets"), unrecorded(told, "bytes"), unrecorded(told, "stored")) == (6, 400, 0)
    assert unrecorded({}, "assets") == 0


def test_a_running_job_counts_as_far_as_it_is_not_recorded(database: Database, tmp_path: Path) -> None:
    """A job that tells of itself keeps what is noted as recorded; one that begins anew has recorded nothing."""
    database.write(lambda session: ledger.enqueue(session, "fetch", "drain 1"))
    lease = ledger.claim(database, ["fetch"], "me", 600.0)
    assert lease is not None

    def counts() -> tuple[int, int, float]:
        def look(session: Session) -> tuple[int, int, float]:
            disk = next(budget for budget in budgets.used(session, None, tmp_path) if budget.name == "disk")
            found = crawl_counts(session)
            return found.under_way, found.under_way_stored, disk.spent

        return database.read(look)

    first = {"assets": 5, "stored": 3, "bytes": 900}
    database.write(lambda session: ledger.tell(session, lease, first))
    assert counts() == (5, 3, 900)
    database.write(lambda session: ledger.note_recorded(session, lease, 1, first))
    assert counts() == (0, 0, 0) and database.read(lambda session: ledger.recorded_parts(session, lease)) == 1
    database.write(lambda session: ledger.tell(session, lease, {"assets": 9, "stored": 4, "bytes": 1000}))
    assert counts() == (4, 1, 100)
    database.write(lambda session: ledger.forget_told(session, lease))
    assert counts() == (0, 0, 0) and database.read(lambda session: ledger.recorded_parts(session, lease)) == 0
    lost = dataclasses.replace(lease, token="another")
    database.write(lambda session: ledger.tell(session, lost, first))
    assert counts() == (0, 0, 0), "who lost the lease tells nothing"
    for attempt in (ledger.recorded_parts, ledger.forget_told):
        with pytest.raises(ledger.LeaseLost):
            database.write(lambda session, attempt=attempt: attempt(session, lost))
