"""Keeps a crawl going: adds discover jobs for classes that lack something, and fetch jobs while assets wait.

Called again and again while the engine runs; what it adds follows from the tables alone, so a crawl that was killed
goes on where it was, and two crawls at once add nothing twice.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from db import frontier, ledger
from db.controls import read_controls
from db.models import Asset, Job, Query, QueryPage
from omnisrc.crawl import budgets
from omnisrc.crawl.jobs import DISCOVER, FETCH, STAGES, add_discover, add_fetch, most_drains, read_subject
from omnisrc.crawl.queries import OpenQuery, Scope, in_hand, open_queries, shares
from omnisrc.crawl.settings import CrawlSettings
from omnisrc.errors import ErrorClass, UserError, WorldError
from omnisrc.study import Study

NETWORK = tuple(error.value for error in (ErrorClass.DNS, ErrorClass.CONNECT, ErrorClass.TIMEOUT, ErrorClass.TLS))
MISTAKE = "user"
ENOUGH_FAILURES = 3
PATIENCE_S = 60.0
"""A search that begins no sooner holds nobody up: its share is asked of the other providers."""


class Search(NamedTuple):
    """A discover job that is not done."""

    id: int
    state: str
    not_before: float


class TopUp:
    """One crawl's needs, as the engine's `top_up`.

    Args:
        study: with the `--set` of the command, which its jobs run under.

    The crawl ends when no asset can be fetched sooner than `crawl.longest_wait_s`; `waits_s` says how long then. It
    does not end so while a person has paused some of it. It ends with BudgetReached where a budget is used up and
    something is left to do, when what runs has ended.
    """

    def __init__(self, scope: Scope, study: Study) -> None:
        self._scope = scope
        self._settings = study.section(CrawlSettings)
        self._landing = study.landing
        self._overrides = study.overrides
        self._drains = most_drains(study)
        self._longest_wait_s = self._settings.longest_wait_s
        self._first_page = 0
        self._first_fetch = 0
        self._ask_at = 0.0
        self.waits_s: float | None = None

    def start(self, session: Session) -> None:
        """Forgets the failures of earlier runs: running the command again is to try again."""
        self._first_page = (session.scalar(select(func.max(QueryPage.id))) or 0) + 1
        budgets.begin(session, self._settings)
        fresh = {"state": "waiting", "attempts": 0, "not_before": 0.0, "error": None, "error_detail": None}
        session.execute(update(Job).where(Job.stage == DISCOVER, Job.state.in_(["waiting", "failed"])).values(**fresh))
        session.execute(
            update(Job)
            .where(Job.stage.in_(STAGES), Job.state == "waiting")
            .values(overrides=list(self._overrides), not_before=0.0)
        )
        self._first_fetch = (session.scalar(select(func.max(Job.id))) or 0) + 1

    @property
    def first_page(self) -> int:
        """Answers of smaller ids were there before."""
        return self._first_page

    @property
    def first_job(self) -> int:
        """Jobs of smaller ids were there before."""
        return self._first_fetch

    def go_on(self, first_page: int, first_job: int) -> None:
        """Goes on, in another process, with a crawl that was started there; instead of `start`."""
        self._first_page, self._first_fetch = first_page, first_job

    def __call__(self, session: Session) -> bool:
        """Adds what is needed now; True while more may come. Raises WorldError where going on makes no sense."""
        budgets.tick(session)
        end = budgets.reached(session, self._settings, self._landing)
        if end is not None:
            return self._end_at(session, end)
        if read_controls(session).all.paused:
            return True
        self._check_failures(session)
        asking = self._ask_more(session)
        fetching = self._fetch_more(session)
        if not asking and not fetching:  # before the crawl ends
            asking = self._ask_more(session, at_once=True)
        if asking and not fetching:
            self._check_pauses(session)
        return asking or fetching

    def _end_at(self, session: Session, end: budgets.Used) -> bool:
        """Lets what runs end; then False where nothing else was left to do. Raises BudgetReached."""
        if session.scalar(select(Job.id).where(Job.stage.in_(STAGES), Job.state == "leased").limit(1)) is not None:
            return True
        if self._something_waits(session) or ledger.open_jobs(session, STAGES) or self.lacking(session):
            raise budgets.BudgetReached(end)
        return False

    def lacking(self, session: Session) -> int:
        """Classes that have not what is wanted while a provider has more, of all kinds together."""
        queries = open_queries(session, self._scope)
        asked = shares(queries, in_hand(session, self._scope), self._scope.per_class, {})
        return len({query.class_id for query, _ in asked})

    def was_answered(self, session: Session) -> bool:
        """Whether any query got an answer since `start`."""
        return session.scalar(select(QueryPage.id).where(QueryPage.id >= self._first_page).limit(1)) is not None

    def _ask_more(self, session: Session, at_once: bool = False) -> bool:
        """Whether more is asked for. Who is to be asked is looked at for a twentieth of the time, or `at_once`."""
        if not at_once and time.monotonic() < self._ask_at:
            return ledger.open_jobs(session, [DISCOVER]) > 0
        began = time.monotonic()
        queries = open_queries(session, self._scope)
        jobs = self._jobs(session)
        able = [query for query in queries if query.id not in jobs or jobs[query.id].state != "failed"]
        later = ledger.now(session) + PATIENCE_S
        held_up = {query.id: query for query in able if query.id in jobs and jobs[query.id].not_before > later}
        busy = {query.id: max(0, query.wanted - query.finds) for query in able if query.id in jobs}
        busy |= dict.fromkeys(held_up, 0)
        asked: list[tuple[OpenQuery, int]] = []
        if held_up or len(busy) < len(able):  # else nobody is asked, and counting finds takes seconds
            have = in_hand(session, self._scope)
            self._withdraw(
                session,
                [
                    jobs[query.id].id
                    for query in held_up.values()
                    if have.get((query.class_id, query.kind), 0) >= self._scope.per_class.get(query.kind, 0)
                ],
            )
            asked = shares(able, have, self._scope.per_class, busy)
        for query, more in asked:
            self._ask(session, query, more)
        self._ask_at = time.monotonic() + 20 * (time.monotonic() - began)
        return bool(asked or busy)

    def _jobs(self, session: Session) -> dict[int, Search]:
        """The newest discover job of each query that is not done."""
        rows = session.execute(
            select(Job.id, Job.subject, Job.state, Job.not_before)
            .where(Job.stage == DISCOVER, Job.state.in_([*ledger.OPEN, "failed"]))
            .order_by(Job.id)
        )
        return {read_subject(row.subject)[0]: Search(row.id, row.state, row.not_before) for row in rows}

    @staticmethod
    def _withdraw(session: Session, job_ids: Sequence[int]) -> None:
        """Takes back searches whose services asked for a pause, where others have given enough meanwhile."""
        if job_ids:
            session.execute(delete(Job).where(Job.id.in_(job_ids), Job.state == "waiting"))

    def _ask(self, session: Session, query: OpenQuery, more: int) -> None:
        session.execute(update(Query).where(Query.id == query.id).values(wanted=query.finds + more))
        add_discover(session, query.id, query.pages, self._overrides)

    def _fetch_more(self, session: Session) -> bool:
        controls = read_controls(session)
        wait_s = frontier.next_wait(session, controls)
        self.waits_s = None
        paused = bool(controls.paused) and self._something_waits(session)
        if wait_s is None:
            return paused
        running = ledger.open_jobs(session, [FETCH])
        if wait_s > self._longest_wait_s and not running and not paused:
            self.waits_s = wait_s
            return False
        if wait_s <= 0:
            add_fetch(session, self._drains, self._overrides)
        return True

    @staticmethod
    def _something_waits(session: Session) -> bool:
        return session.scalar(select(Asset.id).where(Asset.state == "waiting").limit(1)) is not None

    def _check_failures(self, session: Session) -> None:
        failed = session.execute(
            select(Job.error, Job.error_detail)
            .where(Job.stage == FETCH, Job.state == "failed", Job.id >= self._first_fetch)
            .order_by(Job.id.desc())
        ).first()
        if failed is not None:
            raise WorldError(
                f"Fetching failed again and again ({failed[0]}: {failed[1]}); mend that and run the same command again."
            )
        self._check_mistakes(session)
        self._check_network(session)

    def _check_mistakes(self, session: Session) -> None:
        """Ends the crawl where searches fail for what the user must mend first, such as a key that is not accepted."""
        failed = session.execute(
            select(Job.subject, Job.error_detail)
            .where(Job.stage == DISCOVER, Job.state == "failed", Job.error == MISTAKE)
            .order_by(Job.id)
        ).all()
        if not failed:
            return
        ours = set(session.scalars(select(Query.id).where(Query.provider.in_(self._scope.kinds_of))))
        details = [detail for subject, detail in failed if read_subject(subject)[0] in ours]
        if len(details) >= ENOUGH_FAILURES or (details and not ledger.open_jobs(session, STAGES)):
            raise UserError(str(details[0]))

    def _check_pauses(self, session: Session) -> None:
        """Ends the crawl where all that is left are searches whose services asked for a long pause."""
        if read_controls(session).paused:
            return
        if session.scalar(select(Job.id).where(Job.stage.in_(STAGES), Job.state == "leased").limit(1)) is not None:
            return
        first = session.scalar(select(func.min(Job.not_before)).where(Job.stage == DISCOVER, Job.state == "waiting"))
        wait_s = (first or 0.0) - ledger.now(session)
        if wait_s > self._longest_wait_s:
            searches = ledger.open_jobs(session, [DISCOVER])
            raise WorldError(
                f"{searches:,} searches wait for services that asked for a pause of {wait_s / 60:,.0f} minutes; "
                "run the same command again then."
            )

    def _check_network(self, session: Session) -> None:
        """Ends the crawl where every call failed for want of a network."""
        if self.was_answered(session):
            return
        tried = session.execute(
            select(Job.subject, Job.error, Job.error_detail)
            .where(Job.stage == DISCOVER, Job.state.in_(["waiting", "failed"]), Job.attempts > 0)
            .order_by(Job.id)
            .limit(ENOUGH_FAILURES)
        ).all()
        open_jobs = ledger.open_jobs(session, [DISCOVER])
        enough = len(tried) >= ENOUGH_FAILURES or (len(tried) > 0 and open_jobs <= len(tried))
        if enough and all(job.error in NETWORK for job in tried):
            provider = session.scalar(select(Query.provider).where(Query.id == read_subject(tried[0].subject)[0]))
            raise WorldError(
                f"The network is not there: {provider} could not be reached ({tried[0].error}: "
                f"{tried[0].error_detail}); run the same command again to go on."
            )
