"""A limit of bytes a second over all bodies that one event loop reads."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

AHEAD = 65536
"""So much of a body comes before anybody reads it: it is charged when the body begins."""

LOOK_S = 0.25
"""A rate that was changed is heeded by those who wait after so long."""


class Bandwidth:
    """What came is owed, and paid off at `rate` bytes a second (infinite: at once). `rate` may change at any time.

    A body waits for what it owes in the order in which bodies came to owe it. A new one begins when nobody owes
    anything, so that no more bodies are under way than the rate can feed.
    """

    def __init__(self, rate: float = math.inf) -> None:
        self.rate = rate
        self._charged = self._paid = 0.0
        self._looked = 0.0
        self._door = asyncio.Lock()

    @asynccontextmanager
    async def body(self) -> AsyncIterator[Tap]:
        """One body's way through the limit, from before it is asked for until it is read."""
        ahead = 0
        if not math.isinf(self.rate):
            async with self._door:
                await self._until_paid(None)
                ahead = AHEAD
                self._charge(ahead)
        tap = Tap(self, ahead)
        try:
            yield tap
        finally:
            self._settle()
            self._paid = min(self._charged, self._paid + tap.ahead)  # what did not come is not owed

    async def pay(self, count: int) -> float:
        """Waits until these bytes are paid for; for how many seconds."""
        if math.isinf(self.rate):
            return 0.0
        return await self._until_paid(self._charge(count))

    def _charge(self, count: int) -> float:
        self._settle()
        self._charged += count
        return self._charged

    def _settle(self) -> None:
        moment = asyncio.get_running_loop().time()
        self._paid = min(self._charged, self._paid + self.rate * (moment - self._looked))
        self._looked = moment

    async def _until_paid(self, mark: float | None) -> float:
        """Waits until all up to `mark` is paid; all that is owed at any time with None."""
        began = asyncio.get_running_loop().time()
        while True:
            self._settle()
            left = (self._charged if mark is None else mark) - self._paid
            if left < 1:
                return asyncio.get_running_loop().time() - began
            await asyncio.sleep(min(LOOK_S, left / self.rate))


@dataclass
class Tap:
    """What one body reads, of which the first `ahead` bytes are charged already."""

    bandwidth: Bandwidth
    ahead: int

    async def pay(self, count: int) -> float:
        """Waits until `count` more bytes are paid for; for how many seconds."""
        free = min(count, self.ahead)
        self.ahead -= free
        return await self.bandwidth.pay(count - free) if count > free else 0.0
