"""The stage `discover`: one page of one query."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from db.controls import read_controls
from db.frontier import pause_host
from db.ledger import now
from db.models import ActionClass, Query, QueryPage
from omnisrc.crawl import budgets
from omnisrc.crawl.finds import record_finds
from omnisrc.crawl.identity import open_client
from omnisrc.crawl.jobs import add_discover, add_fetch, most_drains, read_subject
from omnisrc.crawl.pace import count_calls, take_turn
from omnisrc.crawl.providers.folder import folder_root
from omnisrc.crawl.providers.provider import MediaWish, Page, Provider, Question
from omnisrc.crawl.providers.registry import open_provider
from omnisrc.crawl.settings import CrawlSettings, ProviderSettings
from omnisrc.engine.stage import Job, PutBack
from omnisrc.errors import ErrorClass, ItemError
from omnisrc.licences import LicenceRules
from omnisrc.media.settings import MediaSettings
from omnisrc.web.hosts import HostGate, Pace

PAUSED_S = 30.0  # a job of a paused provider is looked at again then; `resume` wakes it sooner


@dataclass(frozen=True)
class Ask:
    """What a job asks: the question, from where on, how many, and where its answers stand."""

    query_id: int
    provider: str
    question: Question
    page: int
    cursor: str
    first_rank: int
    limit: int


def run(job: Job) -> None:
    """Asks the provider for the page that the job's subject names, and records what it found.

    Raises PutBack where the service has no slot free or asked for a pause, a person paused it, or a budget is used
    up; ItemError where it does not answer.
    """
    ask = job.database.read(lambda session: _ask(session, job.subject))
    settings = job.study.section(CrawlSettings)
    if job.database.read(lambda session: budgets.reached(session, settings, job.study.landing)):
        raise PutBack(PAUSED_S)
    gate = HostGate(Pace(1))
    client = open_client(settings, gate)
    provider = open_provider(ask.provider, job.study.section(ProviderSettings), media_wish(job), client)
    _heed_person(job, ask.provider, provider)
    wait_s = _take_turn(job, settings, provider, gate)

    async def find() -> Page:
        if wait_s:
            await asyncio.sleep(wait_s)
            await asyncio.to_thread(_heed_person, job, ask.provider, provider)
        async with client:
            return await provider.find(ask.question, ask.cursor, ask.limit)

    try:
        page = asyncio.run(find())
    except ItemError as error:
        _heed_pause(job, provider, error)
        raise
    job.commit(
        lambda session: _record(session, job, settings, provider, ask, page),
        {"calls": page.calls, "finds": len(page.candidates)},
    )


def media_wish(job: Job) -> MediaWish:
    media = job.study.section(MediaSettings)
    return MediaWish(media.image_short_side, media.clip_short_side)


def _ask(session: Session, text: str) -> Ask:
    query_id, page = read_subject(text)
    query = session.get_one(Query, query_id)
    action = session.get_one(ActionClass, query.class_id)
    before = session.scalar(select(QueryPage).where(QueryPage.query_id == query.id, QueryPage.page == page - 1))
    finds = session.scalar(select(func.sum(QueryPage.finds)).where(QueryPage.query_id == query.id)) or 0
    question = Question(query.text, query.kind, action.name, tuple(action.tags), query.time_window)
    cursor = before.cursor if before is not None else ""
    limit = max(1, query.wanted - finds) if query.wanted else 10**6
    return Ask(query.id, query.provider, question, page, cursor, finds, limit)


def _take_turn(job: Job, settings: CrawlSettings, provider: Provider, gate: HostGate) -> float:
    """Seconds until the call may begin; its slot is the job's until the job ends."""
    site = provider.site
    if site is None:
        return 0.0
    turn = job.database.write(lambda session: take_turn(session, settings, site, job.token, provider))
    if not turn.taken:
        raise PutBack(turn.wait_s)
    gate.set_pace(site, Pace(1, turn.interval_s))
    return turn.wait_s


def _heed_person(job: Job, name: str, provider: Provider) -> None:
    """Raises PutBack where a person has paused the provider, its host or everything."""
    if job.database.read(read_controls).pause_of(provider.site, name):
        raise PutBack(PAUSED_S)


def _heed_pause(job: Job, provider: Provider, error: ItemError) -> None:
    """Nobody asks a service that wants a pause until it is over."""
    site = provider.site
    if site is None or error.retry_after is None:
        return
    seconds = error.retry_after
    if error.error in (ErrorClass.HTTP_429, ErrorClass.HTTP_5XX, ErrorClass.QUOTA):
        job.database.write(lambda session: pause_host(session, site, seconds))


def _record(session: Session, job: Job, settings: CrawlSettings, provider: Provider, ask: Ask, page: Page) -> None:
    if provider.site is not None:
        count_calls(session, settings, provider.site, provider, page.calls)
    root = folder_root(job.study.section(ProviderSettings)) if ask.provider == "folder" else None
    new = record_finds(
        session,
        ask.query_id,
        ask.page,
        ask.first_rank,
        ask.provider,
        page.candidates,
        min_side=settings.min_side,
        local_root=root,
        licences=(job.study.section(LicenceRules), settings.licences),
    )
    session.add(
        QueryPage(
            query_id=ask.query_id,
            page=ask.page,
            cursor=page.next or "",
            finds=len(page.candidates),
            new_assets=new,
            asked=now(session),
        )
    )
    query = session.get_one(Query, ask.query_id)
    query.exhausted = page.next is None
    overrides = job.study.overrides
    if page.next is not None and query.wanted > ask.first_rank + len(page.candidates):
        add_discover(session, ask.query_id, ask.page + 1, overrides, costs_a_call=provider.site is not None)
    if page.pause_s and provider.site is not None:
        pause_host(session, provider.site, page.pause_s)
    if new:
        add_fetch(session, most_drains(job.study), overrides, job.lease.job_id)
