"""The jobs of a crawl, as the ledger names them."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from db import ledger
from db.controls import read_controls
from db.models import Asset, Job
from db.session import epoch
from omnisrc.crawl.settings import CrawlSettings
from omnisrc.engine.settings import EngineSettings
from omnisrc.study import Study

DISCOVER, FETCH = "discover", "fetch"
STAGES = (DISCOVER, FETCH)
FETCH_PRIORITY = 5
WORTH_A_DRAIN = 1000
PAGE_PRIORITY = 10


def drains(study: Study) -> int:
    """How many fetch jobs run at a time and share the hosts."""
    return study.section(CrawlSettings).drains or study.section(EngineSettings).io_workers


def discover_subject(query_id: int, page: int) -> str:
    """The subject of the job for a page of a query."""
    return f"query {query_id} page {page}"


def read_subject(subject: str) -> tuple[int, int]:
    """Query and page of a discover job's subject."""
    _, query_id, _, page = subject.split()
    return int(query_id), int(page)


def _searching(session: Session, but: int) -> bool:
    """Whether a discover job other than `but` runs or could run at once."""
    ready = select(Job.id).where(
        Job.stage == DISCOVER,
        Job.id != but,
        (Job.state == "leased") | ((Job.state == "waiting") & (Job.not_before <= epoch())),
    )
    return session.scalar(ready.limit(1)) is not None


def add_discover(session: Session, query_id: int, page: int, overrides: Sequence[str]) -> None:
    """First pages of all queries go before fetching, later pages after it."""
    ledger.enqueue(
        session,
        DISCOVER,
        discover_subject(query_id, page),
        overrides=overrides,
        priority=PAGE_PRIORITY + page if page else 0,
    )


def add_fetch(session: Session, most: int, overrides: Sequence[str], job_id: int = 0) -> None:
    """One more fetch job, unless `most` are open already, or few assets wait and more are being searched for.

    A worker takes one job at a time: without that wait it would go to and fro between small pages and small shards.
    `job_id` is the caller's own job, which is as good as done.
    """
    if ledger.open_jobs(session, [FETCH]) >= most:
        return
    claimable = (
        select(Asset.id)
        .where(Asset.state == "waiting", Asset.lease_token.is_(None), Asset.not_before <= epoch())
        .where(*read_controls(session).unpaused())
    )
    waiting = session.scalar(select(func.count()).select_from(claimable.limit(WORTH_A_DRAIN).subquery())) or 0
    if waiting == 0 or (waiting < WORTH_A_DRAIN and _searching(session, job_id)):
        return
    number = session.scalar(select(func.count()).select_from(Job).where(Job.stage == FETCH)) or 0
    ledger.enqueue(session, FETCH, f"drain {number + 1}", overrides=overrides, priority=FETCH_PRIORITY)
