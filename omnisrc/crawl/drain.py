"""One drain of the frontier: many items at once, fairly over hosts, for a while or until enough is stored."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable

from sqlalchemy.exc import SQLAlchemyError

from db.models import Asset
from omnisrc.crawl.breaker import TROUBLE
from omnisrc.crawl.claims import Claims, HostShare
from omnisrc.crawl.landing import Landing
from omnisrc.crawl.meter import Meter
from omnisrc.crawl.outcome import Fetched, Outcome
from omnisrc.crawl.parts import Parts
from omnisrc.crawl.retrieve import Retriever
from omnisrc.crawl.settings import CrawlSettings
from omnisrc.crawl.slots import SiteBusy, SlotGate
from omnisrc.errors import ErrorClass, ItemError
from omnisrc.web.client import Answer

log = logging.getLogger(__name__)

TICK_S = 0.5
HOST_PATIENCE_S = 5.0
STOP_S = 8.0
LONGEST_PAUSE_S = 300.0


class Drain:
    """Takes assets until time, budgets or the frontier are used up, or `stopping`; what comes of them goes to `parts`.

    Every host is worked on by as many tasks as the drain holds slots of it. A host that asks for a long pause is left.
    With the frontier empty it goes on for as long as `expecting` says that more may come.
    """

    def __init__(
        self,
        settings: CrawlSettings,
        claims: Claims,
        gate: SlotGate,
        retriever: Retriever,
        landing: Landing,
        parts: Parts,
        stopping: Callable[[], bool],
        expecting: Callable[[], bool] = lambda: False,
        meter: Meter | None = None,
    ) -> None:
        self._settings = settings
        self._claims = claims
        self._gate = gate
        self._retriever = retriever
        self._landing = landing
        self._parts = parts
        self._stopping = stopping
        self._expecting = expecting
        self._meter = meter or Meter()
        self._until = 0.0
        self._fatal: ItemError | None = None
        self._working: dict[str, set[asyncio.Task[None]]] = {}
        self._left: set[str] = set()
        self._streaks: Counter[str] = Counter()
        self._shares: dict[str, HostShare] = {}
        self._troubled: set[str] = set()
        self._paused_providers: frozenset[str] = frozenset()

    async def run(self) -> None:
        """Works until there is nothing more to take, and what was begun is done.

        Raises ItemError(STORAGE): the disk failed, and nothing more that was fetched can be kept; and what the
        recording of a part raises.
        """
        self._until = time.monotonic() + self._settings.drain_s
        stop_at = open_at = 0.0
        try:
            while True:
                if self._taking() and time.monotonic() >= open_at:
                    await self._open_hosts()
                    open_at = time.monotonic() + TICK_S
                tasks = [task for working in self._working.values() for task in working]
                if not tasks:
                    if self._taking() and await asyncio.to_thread(self._expecting):
                        await asyncio.sleep(TICK_S)
                        continue
                    break
                await asyncio.wait(tasks, timeout=TICK_S, return_when=asyncio.FIRST_COMPLETED)
                await self._close_hosts()
                failed = self._fatal is not None or self._parts.broken
                if self._stopping() or failed:
                    stop_at = stop_at or time.monotonic() + (0.0 if failed else STOP_S)
                    if time.monotonic() >= stop_at:
                        break
        finally:
            await self._cancel()
            await self._parts.wait()
        self._parts.check()
        if self._fatal is not None:
            raise self._fatal

    def _taking(self) -> bool:
        return (
            time.monotonic() < self._until
            and self._fatal is None
            and not self._parts.broken
            and not self._stopping()
            and self._meter.has_room(self._parts.stored_bytes)
        )

    async def _open_hosts(self) -> None:
        held = sum(self._gate.pace(site).concurrency for site in self._working)
        skip = self._gate.held | self._left
        for share in await asyncio.to_thread(self._claims.hosts, self._settings.concurrency - held, skip):
            self._gate.hold(share.site, share.pace, share.wait_s)
            self._streaks[share.site] = share.streak_429
            self._shares[share.site] = share
            if share.troubled:
                self._troubled.add(share.site)
            self._working[share.site] = {asyncio.create_task(self._work(share)) for _ in range(share.pace.concurrency)}

    async def obey(self) -> None:
        """Heeds what people and other workers have set since: pauses, rates, concurrency, hosts that do not answer."""
        revision = await asyncio.to_thread(self._claims.revise, self._gate.held)
        self._paused_providers = revision.paused_providers
        self._gate.shut(revision.shut)
        for site, pace in revision.paces.items():
            self._gate.set_pace(site, pace)
            if site in self._working:
                share, tasks = self._shares[site], self._working[site]
                share.pace = pace
                tasks |= {asyncio.create_task(self._work(share)) for _ in range(pace.concurrency - len(tasks))}

    async def _close_hosts(self) -> None:
        """Gives back the slots of hosts that are worked off."""
        for site, tasks in list(self._working.items()):
            for task in [task for task in tasks if task.done()]:
                tasks.discard(task)
                task.result()
            if not tasks:
                del self._working[site]
                self._gate.let_go(site)
                await asyncio.to_thread(self._claims.put_back, self._shares.pop(site).assets)
                await asyncio.to_thread(self._claims.let_go, site, self._gate.wait_s(site))

    async def _cancel(self) -> None:
        tasks = [task for working in self._working.values() for task in working]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._working.clear()

    async def _work(self, share: HostShare) -> None:
        while (asset := await self._next(share)) is not None:
            try:
                outcome = await self._one(asset)
            finally:
                self._meter.end(asset)
            if outcome is not None:
                self._parts.add(outcome)

    async def _next(self, share: HostShare) -> Asset | None:
        await self._parts.room()
        if not self._taking():
            return None
        wait_s = self._gate.wait_s(share.site)
        if wait_s > max(HOST_PATIENCE_S, share.pace.interval_s) or time.monotonic() + wait_s > self._until:
            self._left.add(share.site)
            return None
        if share.site in self._gate.shut_sites:
            return None
        async with share.lock:
            await self._put_back_paused(share)
            if not share.assets and not share.empty:
                share.assets.extend(await asyncio.to_thread(self._claims.more, share))
                share.empty = not share.assets
        if not share.assets or not self._taking():
            return None
        self._meter.begin(share.assets[0])
        return share.assets.popleft()

    async def _put_back_paused(self, share: HostShare) -> None:
        """Gives back what is in hand of providers that were paused."""
        if not self._paused_providers:
            return
        paused = [asset for asset in share.assets if asset.provider in self._paused_providers]
        if paused:
            kept = [asset for asset in share.assets if asset.provider not in self._paused_providers]
            share.assets.clear()
            share.assets.extend(kept)
            await asyncio.to_thread(self._claims.put_back, paused)

    async def _one(self, asset: Asset) -> Outcome | None:
        """What becomes of one asset; None where the whole drain fails with it."""
        heard: dict[str, Answer] = {}
        body = None
        try:
            body, fetched = await self._retriever.retrieve(asset, heard)
            await self._note(asset, None, heard.get("answer"))
            landed, first = await self._landing.land(f"a{asset.id:010d}", asset.kind, body)
            return Outcome(asset, fetched, landed.sha256, landed.key if first else None, sha1=landed.sha1)
        except SiteBusy as busy:
            return Outcome(asset, later_s=busy.later_s)
        except ItemError as error:
            return await self._failed(asset, error, heard.get("answer"))
        except SQLAlchemyError:
            raise
        except Exception as bug:
            log.exception("asset %d, %s", asset.id, asset.url)
            blamed = ItemError(ErrorClass.WORKER_LOST, f"a fault of ours: {type(bug).__name__}: {bug}")
            return Outcome(asset, _told(heard.get("answer")), error=blamed)
        finally:
            if body is not None:
                body.discard()

    async def _failed(self, asset: Asset, error: ItemError, answer: Answer | None) -> Outcome | None:
        if error.error is ErrorClass.STORAGE:
            self._fatal = error
            return None
        await self._note(asset, error, answer)
        if answer is not None:
            await self._heed_pause(answer.target.site, error)
        elif error.error is ErrorClass.HTTP_429:  # told by a downloader, of the page's own host
            await self._heed_pause(asset.host, error)
        return Outcome(asset, _told(answer), error=error)

    async def _note(self, asset: Asset, error: ItemError | None, answer: Answer | None) -> None:
        """Tells the host's breaker how the host did; one that opens sends all away who wait for the host."""
        site = asset.host if answer is None else answer.target.site
        if error is not None and error.error in TROUBLE:
            self._troubled.add(site)
            if await asyncio.to_thread(self._claims.failed, site, error.error):
                self._gate.shut(self._gate.shut_sites | {site})
        elif answer is not None and site in self._troubled:
            self._troubled.discard(site)
            await asyncio.to_thread(self._claims.answered, site)

    async def _heed_pause(self, site: str, error: ItemError) -> None:
        """A host that answers 429, or anything with Retry-After, is left alone for as long as it says.

        One that answers 429 again and again is left alone for longer each time, whatever it says: each answer costs an
        asset one of its attempts.
        """
        pause, wait_s = error.retry_after, self._gate.wait_s(site)
        under_way = wait_s > self._gate.pace(site).interval_s  # when the host spoke up
        if error.error is ErrorClass.HTTP_429 and not under_way:
            self._streaks[site] += 1
            pause = max(pause or 0.0, min(LONGEST_PAUSE_S, 2.0 ** min(self._streaks[site], 16)))
        if pause is not None and pause > wait_s:
            self._gate.pause(site, pause)
            await asyncio.to_thread(self._claims.pause, site, pause)


def _told(answer: Answer | None) -> Fetched:
    return Fetched() if answer is None else Fetched(str(answer.target), answer.status)
