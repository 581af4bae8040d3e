"""The gate of one drain: requests pass by the slots that its job holds, and a redirect's new host needs one too."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager

from omnisrc.web.hosts import HostGate, Pace

LONGEST_QUEUE_S = 10.0
SHUT_S = 2.0


class SiteBusy(Exception):
    """No slot of the site is to be had now; to be asked again after `later_s` seconds."""

    def __init__(self, site: str, later_s: float) -> None:
        super().__init__(f"{site} is busy")
        self.later_s = later_s


class SlotGate(HostGate):
    """A HostGate that lets nothing pass to a site without a slot.

    `take` asks the database for a slot of a site that the drain did not choose by itself: its pace, or the seconds
    after which to ask again. It runs in a thread.
    """

    def __init__(self, take: Callable[[str], Pace | float]) -> None:
        super().__init__(Pace(1))
        self._take = take
        self._held: set[str] = set()
        self._taking: dict[str, asyncio.Lock] = {}
        self._shut: frozenset[str] = frozenset()
        self._delays: dict[str, float] = {}

    def shut(self, sites: Collection[str]) -> None:
        """Nothing more begins at these sites, and at these alone; what waits for its turn there is sent away."""
        self._shut = frozenset(sites)

    @property
    def shut_sites(self) -> frozenset[str]:
        return self._shut

    def slow_down(self, site: str, delay_s: float) -> None:
        """Keeps a Crawl-delay, whatever pace is set: one request at a time, and with several workers each its part."""
        self._delays[site] = max(delay_s, self._delays.get(site, 0.0))
        self.set_pace(site, self.pace(site))

    def set_pace(self, site: str, pace: Pace) -> None:
        delay_s = self._delays.get(site, 0.0) / pace.part
        super().set_pace(site, Pace(1, delay_s, pace.part) if delay_s > pace.interval_s else pace)

    def hold(self, site: str, pace: Pace, wait_s: float = 0.0) -> None:
        """The job holds slots of the site: `pace` is its share; nothing begins before `wait_s` have passed."""
        self._held.add(site)
        self.set_pace(site, pace)
        self.pause(site, wait_s)

    def let_go(self, site: str) -> None:
        self._held.discard(site)

    @property
    def held(self) -> frozenset[str]:
        return frozenset(self._held)

    @asynccontextmanager
    async def slot(self, site: str) -> AsyncIterator[None]:
        if site in self._shut:
            raise SiteBusy(site, SHUT_S)
        if site not in self._held:
            async with self._taking.setdefault(site, asyncio.Lock()):
                if site not in self._held:
                    pace = await asyncio.to_thread(self._take, site)
                    if isinstance(pace, float):
                        raise SiteBusy(site, pace)
                    self.hold(site, pace)
        queue_s = self.queue_s(site)
        if queue_s > LONGEST_QUEUE_S:
            raise SiteBusy(site, queue_s)
        async with super().slot(site):
            if site in self._shut:  # while this one waited
                raise SiteBusy(site, SHUT_S)
            yield
