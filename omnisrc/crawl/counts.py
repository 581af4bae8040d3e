"""How far a crawl is, in numbers."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from db import catalogue
from db.controls import read_controls
from db.models import Job, QueryPage
from omnisrc.crawl.jobs import FETCH, unrecorded

FINAL = ("stored", "duplicate", "refused", "failed")


@dataclass(frozen=True)
class CrawlCounts:
    """Assets by state, and by (state, error class); `under_way` are those that running drains have done with, of
    which `under_way_stored` will be stored: their states change when the drain records them."""

    states: Counter[str] = field(default_factory=Counter)
    errors: Counter[tuple[str, str]] = field(default_factory=Counter)
    pages: int = 0
    under_way: int = 0
    under_way_stored: int = 0
    paused: tuple[str, ...] = ()  # by a person

    @property
    def known(self) -> int:
        return sum(self.states.values())

    @property
    def done(self) -> int:
        return sum(self.states[state] for state in FINAL) + self.under_way

    @property
    def stored(self) -> int:
        return self.states["stored"] + self.under_way_stored


def crawl_counts(session: Session) -> CrawlCounts:
    """The numbers as they are now."""
    states: Counter[str] = Counter()
    errors: Counter[tuple[str, str]] = Counter()
    for (_, _, state, error), count in catalogue.asset_counts(session).items():
        states[state] += count
        if error and state in ("refused", "failed"):
            errors[state, error] += count
    running = session.scalars(select(Job.result).where(Job.stage == FETCH, Job.state == "leased")).all()
    return CrawlCounts(
        states,
        errors,
        session.scalar(select(func.count()).select_from(QueryPage)) or 0,
        sum(unrecorded(result, "assets") for result in running),
        sum(unrecorded(result, "stored") for result in running),
        tuple(read_controls(session).paused),
    )
