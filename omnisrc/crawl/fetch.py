"""The stage `fetch`: drain the frontier for a while into landing shards, and record what became of all."""

from __future__ import annotations

import asyncio
import logging
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import uvloop
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from db import ledger, models
from omnisrc.crawl.ahead import guards
from omnisrc.crawl.claims import Claims
from omnisrc.crawl.drain import Drain
from omnisrc.crawl.identity import open_client
from omnisrc.crawl.jobs import DISCOVER, drains
from omnisrc.crawl.landing import Landing, LandingRules
from omnisrc.crawl.meter import Meter
from omnisrc.crawl.parts import Parts
from omnisrc.crawl.providers.folder import folder_root
from omnisrc.crawl.publish import publish
from omnisrc.crawl.retrieve import Retriever
from omnisrc.crawl.settings import CrawlSettings, ProviderSettings
from omnisrc.crawl.site_store import HostTableStore
from omnisrc.crawl.slots import SlotGate
from omnisrc.crawl.ytdlp.downloader import Downloader
from omnisrc.engine.stage import Job
from omnisrc.media.settings import MediaSettings
from omnisrc.web.addresses import AllowedHosts
from omnisrc.web.client import AGENT
from omnisrc.web.optout import OptOuts

log = logging.getLogger(__name__)

PROGRESS_S = 1.0
OBEY_S = 2.0
THREADS = 48


def run(job: Job) -> None:
    """Fetches what the frontier gives within the drain's limits, and commits it, each part in one transaction.

    Raises ItemError(STORAGE) where the disk fails; then nothing of that part is recorded, and its assets go back.
    """
    settings, media = job.study.section(CrawlSettings), job.study.section(MediaSettings)
    store = HostTableStore()
    claims = Claims(job.database, job.token, settings, store, drains(job.study))
    rules = LandingRules(settings.min_side, media.image_short_side, media.jpeg_quality)
    spill = job.study.landing / f"fetch-{job.token}-"
    landing = Landing(job.study.landing, f"landing-{job.token}", guards(media), rules)
    meter = Meter(settings, job.study.landing, drains(job.study))
    parts = Parts(landing, settings.shard_bytes, lambda part: publish(job, part, store, last=False))
    try:
        _begin(job)
        _tell(job, meter, parts)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:  # an eighth less CPU for an image
            runner.run(_drain(job, settings, claims, store, landing, parts, spill, meter))
        publish(job, parts.take(), store)
    finally:
        landing.close()
        for left in spill.parent.glob(f"{spill.name}*"):
            shutil.rmtree(left) if left.is_dir() else left.unlink(missing_ok=True)


async def _drain(
    job: Job,
    settings: CrawlSettings,
    claims: Claims,
    store: HostTableStore,
    landing: Landing,
    parts: Parts,
    spill: Path,
    meter: Meter,
) -> None:
    # Lookups of dead hosts block a thread for seconds each; the database must not wait for them.
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(THREADS, "fetch"))
    gate = SlotGate(claims.one_slot)
    providers = job.study.section(ProviderSettings)
    downloader = Downloader(gate, AllowedHosts.parse(settings.allow_hosts), settings, providers.ytdlp)
    async with open_client(settings, gate) as client, downloader:
        optouts = OptOuts(
            client,
            store,
            agents=(AGENT, *settings.optout_agents),
            slow_down=gate.slow_down,
            longest_delay_s=settings.longest_crawl_delay_s,
        )
        may_download = downloader if providers.ytdlp.accept_terms else None
        retriever = Retriever(
            client, optouts, settings, spill, folder_root(providers), may_download, meter.count, meter.bandwidth
        )
        drain = Drain(settings, claims, gate, retriever, landing, parts, job.stopping, lambda: _searching(job), meter)
        beside = [asyncio.create_task(_tell_progress(job, parts, meter)), asyncio.create_task(_obey(drain))]
        try:
            await drain.run()
        finally:
            for task in beside:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
            with suppress(SQLAlchemyError):  # what made the drain fail must not be hidden
                await asyncio.to_thread(_tell, job, meter, parts)
            for site in gate.held:
                await asyncio.to_thread(claims.let_go, site, gate.wait_s(site))


def _searching(job: Job) -> bool:
    """Whether another worker is asking a provider just now: more assets may come in a moment."""
    asking = select(models.Job.id).where(models.Job.stage == DISCOVER, models.Job.state == "leased").limit(1)
    return job.database.read(lambda session: session.scalar(asking)) is not None


async def _obey(drain: Drain) -> None:
    """Looks again and again at what people have set since."""
    while True:
        await asyncio.sleep(OBEY_S)
        try:
            await drain.obey()
        except SQLAlchemyError:
            log.exception("what is set cannot be read")


async def _tell_progress(job: Job, parts: Parts, meter: Meter) -> None:
    """Lets the ledger know from time to time how far a drain is: its result is not there before its end."""
    started = time.monotonic()
    while True:
        await asyncio.sleep(PROGRESS_S)
        try:
            await asyncio.to_thread(_tell, job, meter, parts, time.monotonic() - started)
        except SQLAlchemyError:  # the drain's end will find out, and has more to lose
            log.exception("how far the drain is cannot be told")


def _begin(job: Job) -> None:
    """Nothing of this try is recorded yet, whatever the row tells of one before."""
    job.database.write(lambda session: ledger.forget_told(session, job.lease))


def _tell(job: Job, meter: Meter, parts: Parts, seconds: float = 0.0) -> None:
    """Writes how far the job is, and renews what it may take of the budgets."""

    def tell(session: Session) -> dict[str, Any]:
        budget = meter.renew(session, job.lease.job_id, parts.stored_bytes)
        ledger.tell(session, job.lease, {**parts.told, "seconds": round(seconds, 1), **budget})
        return budget

    meter.settled(job.database.write(tell))
