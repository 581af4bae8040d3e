"""What a drain finds out is recorded a part at a time while the drain goes on.

So shards have a bearable size, memory holds two parts at most, and a worker that is killed takes one or two with it,
however long its job is.
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from omnisrc.crawl.landing import Landed, Landing
from omnisrc.crawl.outcome import Outcome
from omnisrc.shards.write import ShardWriter


@dataclass
class Part:
    """What a drain found out since the part before.

    Args:
        number: from 1.
        writers: open shards by medium; `landed` is what they hold, by SHA-256.
        told: sums over this part and all before it, as a job's row tells them.
    """

    number: int
    writers: dict[str, ShardWriter] = field(default_factory=dict)
    landed: dict[str, Landed] = field(default_factory=dict)
    outcomes: list[Outcome] = field(default_factory=list)
    told: dict[str, Any] = field(default_factory=dict)

    def abort(self) -> None:
        """Drops what was written to shards that are not closed."""
        for writer in self.writers.values():
            writer.abort()


class Parts:
    """The outcomes of one drain, and the shards of its landing, given to `record` part by part. For one event loop;
    any thread may ask for the sums.

    Args:
        most: bytes in shards that make a part full.
        record: publishes a part; run in a thread, one at a time. What it raises ends the drain.
    """

    def __init__(self, landing: Landing, most: int, record: Callable[[Part], None]) -> None:
        self._landing = landing
        self._most = most
        self._record = record
        self._recording: asyncio.Task[None] | None = None
        self._taken = 0
        self._before = _sums([], landing)
        self._outcomes: list[Outcome] = []
        self._changing = threading.Lock()

    def add(self, outcome: Outcome) -> None:
        self._outcomes.append(outcome)

    @property
    def told(self) -> dict[str, Any]:
        """How many assets were done with, how many of them stored, bytes in shards, errors: since the drain began."""
        with self._changing:
            return self._told()

    def _told(self) -> dict[str, Any]:
        return _added(self._before, _sums(self._outcomes, self._landing))

    @property
    def stored_bytes(self) -> int:
        """Bytes in shards since the drain began."""
        with self._changing:
            return int(self._before["bytes"]) + self._landing.stored_bytes

    @property
    def broken(self) -> bool:
        """Whether a part could not be recorded."""
        task = self._recording
        return task is not None and task.done() and task.exception() is not None

    async def room(self) -> None:
        """Comes back when another item may begin: a full part goes to be recorded, after the one before it."""
        while self._landing.stored_bytes >= self._most and not self.broken:
            if self._recording is not None and not self._recording.done():
                await asyncio.wait([self._recording])
            else:
                self._recording = asyncio.create_task(asyncio.to_thread(self._record, self.take()))

    def take(self) -> Part:
        """What has come since the part before; the next part begins."""
        with self._changing:
            self._taken += 1
            outcomes, told = self._outcomes, self._told()
            writers, landed = self._landing.take()
            self._before, self._outcomes = told, []
        return Part(self._taken, writers, landed, outcomes, told)

    async def wait(self) -> None:
        """Until nothing is being recorded, whatever came of it."""
        if self._recording is not None:
            await asyncio.wait([self._recording])

    def check(self) -> None:
        """Raises what made the recording of a part fail."""
        if self._recording is not None and self._recording.done():
            self._recording.result()


def _sums(outcomes: list[Outcome], landing: Landing) -> dict[str, Any]:
    return {
        "assets": sum(outcome.later_s is None for outcome in outcomes),
        "stored": len(landing.landed),
        "bytes": landing.stored_bytes,
        "errors": Counter(outcome.error.error.value for outcome in outcomes if outcome.error is not None),
    }


def _added(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    return {name: one[name] + other[name] for name in one}
