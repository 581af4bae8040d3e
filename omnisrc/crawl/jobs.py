"""The jobs of a crawl, as the ledger names them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from db import frontier, host_work, ledger
from db.controls import read_controls
from db.models import Job
from db.session import epoch
from omnisrc.crawl.settings import CrawlSettings
from omnisrc.engine.settings import EngineSettings
from omnisrc.study import Study

DISCOVER, FETCH = "discover", "fetch"
STAGES = (DISCOVER, FETCH)
FETCH_PRIORITY = 5
WORTH_A_DRAIN = 1000
ENOUGH_WAIT = 20_000
PAGE_PRIORITY = 10


def drains(study: Study) -> int:
    """How many fetch jobs share the hosts at least: the setting, or the workers of this machine."""
    return study.section(CrawlSettings).drains or study.section(EngineSettings).io_workers


def most_drains(study: Study) -> int:
    """How many fetch jobs there may be at a time; 0: as many as workers take."""
    return study.section(CrawlSettings).drains


def unrecorded(result: Mapping[str, Any], name: str) -> int:
    """Of a running fetch job's row: how much of what it tells of itself no other table knows yet."""
    return int(result.get(name, 0)) - int(result.get("recorded", {}).get(name, 0))


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


def add_discover(
    session: Session, query_id: int, page: int, overrides: Sequence[str], costs_a_call: bool = True
) -> None:
    """First pages of all queries go before fetching, later pages after it.

    A later page that no service is called for goes before it too, while there is little to fetch: a drain that runs
    out of assets ends, and the next one has to begin.
    """
    few = not costs_a_call and frontier.ready(session, ENOUGH_WAIT, read_controls(session)) < ENOUGH_WAIT
    ledger.enqueue(
        session,
        DISCOVER,
        discover_subject(query_id, page),
        overrides=overrides,
        priority=PAGE_PRIORITY + page if page and not few else 0,
    )


def add_fetch(session: Session, most: int, overrides: Sequence[str], job_id: int = 0) -> None:
    """One more fetch job for whoever is idle, on whatever machine: unless one waits already, `most` (0: any number) are
    open, no host has a slot left, or few assets wait and more are being searched for.

    A worker takes one job at a time: without that wait it would go to and fro between small pages and small shards.
    `job_id` is the caller's own job, which is as good as done.
    """
    counts = ledger.count_jobs(session, [FETCH], ledger.OPEN)
    waits, running = (counts.get((FETCH, state), 0) for state in ledger.OPEN)
    controls = read_controls(session)
    if waits or (most and running >= most) or not host_work.has_room(session, controls):
        return
    if frontier.ready(session, WORTH_A_DRAIN, controls) < WORTH_A_DRAIN and _searching(session, job_id):
        return
    number = session.scalar(select(func.count()).select_from(Job).where(Job.stage == FETCH)) or 0
    ledger.enqueue(session, FETCH, f"drain {number + 1}", overrides=overrides, priority=FETCH_PRIORITY)
