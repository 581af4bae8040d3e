"""How many requests at once, and how fast, this process sends to each site (`WebUrl.site`)."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True)
class Pace:
    """What this process may ask of one site: requests at once, and seconds from one start to the next.

    `part` is this process's share of what all processes may ask.
    """

    concurrency: int
    interval_s: float = 0.0
    part: float = 1.0


class Gate(Protocol):
    """Lets a request to a site begin when it may; every request goes through one, redirects and robots.txt too."""

    def slot(self, site: str) -> AbstractAsyncContextManager[None]: ...


@dataclass
class _Site:
    pace: Pace
    busy: int = 0
    sleeping: int = 0
    next_start: float = 0.0
    waiting: deque[asyncio.Future[None]] = field(default_factory=deque)


class HostGate:
    """A gate for one event loop: each site's share of concurrency, its pacing, and the pauses it asked for."""

    def __init__(
        self,
        default: Pace,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._default = default
        self._clock = clock
        self._sleep = sleep
        self._sites: dict[str, _Site] = {}

    def _site(self, site: str) -> _Site:
        known = self._sites.get(site)
        if known is None:
            known = self._sites[site] = _Site(self._default)
        return known

    def set_pace(self, site: str, pace: Pace) -> None:
        known = self._site(site)
        known.pace = pace
        for _ in range(pace.concurrency - known.busy):
            self._wake(known)

    def pace(self, site: str) -> Pace:
        return self._site(site).pace

    def pause(self, site: str, seconds: float) -> None:
        """No request to the site begins before `seconds` have passed."""
        known = self._site(site)
        known.next_start = max(known.next_start, self._clock() + seconds)

    def wait_s(self, site: str) -> float:
        """Seconds until the site's pace and pauses let the next request begin."""
        return max(0.0, self._site(site).next_start - self._clock())

    def queue_s(self, site: str) -> float:
        """Seconds until the pace alone would let one more request begin, after all that wait already."""
        known = self._site(site)
        behind = len(known.waiting) + known.sleeping
        return self.wait_s(site) + behind * known.pace.interval_s

    @asynccontextmanager
    async def slot(self, site: str) -> AsyncIterator[None]:
        """Waits for one of the site's places and for its pace, and holds the place until the block ends."""
        known = self._site(site)
        while known.busy >= known.pace.concurrency:
            turn = asyncio.get_running_loop().create_future()
            known.waiting.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                self._wake(known)
                raise
        known.busy += 1
        try:
            known.sleeping += 1
            try:
                while (pause := known.next_start - self._clock()) > 0:
                    await self._sleep(pause)
            finally:
                known.sleeping -= 1
            known.next_start = self._clock() + known.pace.interval_s
            yield
        finally:
            known.busy -= 1
            self._wake(known)

    @staticmethod
    def _wake(site: _Site) -> None:
        while site.waiting:
            turn = site.waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
