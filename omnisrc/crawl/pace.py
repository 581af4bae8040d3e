"""What all workers together may ask of a host, and one call's turn at a search service."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.orm import Session

from db.frontier import free_slots, take_slots
from db.insert import insert_missing
from db.ledger import now
from db.models import Host
from omnisrc.crawl.providers.about import limits_of
from omnisrc.crawl.settings import CrawlSettings
from omnisrc.web.hosts import Pace

LONGEST_TURN_S = 5.0


@dataclass(frozen=True)
class Limits:
    """Requests at once and a second (0: no pacing) that all workers together may send to a host."""

    concurrency: int
    rate: float

    @classmethod
    def of(cls, settings: CrawlSettings, site: str, rate: float | None, concurrency: int | None) -> Limits:
        """What a person set while the crawl runs goes before the settings."""
        given = settings.host(site)
        return cls(max(1, concurrency or given.concurrency or 1), (given.rate if rate is None else rate) or 0.0)

    @property
    def interval_s(self) -> float:
        return 1.0 / self.rate if self.rate > 0 else 0.0

    def share(self, slots: int) -> Pace:
        """The pace of a worker that holds so many of the slots: all workers together keep the rate."""
        part = min(1.0, slots / self.concurrency)
        return Pace(slots, self.interval_s / part, part)


@dataclass(frozen=True)
class Turn:
    """A slot was taken and the call may begin in `wait_s`; or none was (`taken` false), and to be asked again then."""

    taken: bool
    wait_s: float


def host_row(session: Session, site: str) -> Host:
    """The host's row, made where there is none, and locked."""
    insert_missing(session, Host, [{"name": site, "not_before": 0.0, "streak_429": 0, "next_start": 0.0}])
    return session.get_one(Host, site, with_for_update=True)


def call_interval_s(settings: CrawlSettings, site: str, provider: object) -> float:
    """Seconds from one call of a search service to the next: the host's pace, or the service's own limits where those
    are slower. A rate that is set for the host by name (`crawl.hosts`) goes before both."""
    own = Limits.of(settings, site, None, None).interval_s
    return own if settings.names_rate(site) else max(own, limits_of(provider).interval_s)


def take_turn(session: Session, settings: CrawlSettings, site: str, token: str, interval_s: float) -> Turn:
    """Reserves one call at a search service: a slot of its host, and a place in its pace (one in `interval_s`)."""
    row, moment = host_row(session, site), now(session)
    if row.not_before > moment:
        return Turn(False, row.not_before - moment)
    limits = Limits.of(settings, site, row.rate, row.concurrency)
    if not take_slots(session, site, token, 1, limits.concurrency):
        return Turn(False, 0.5)
    start = max(moment, row.next_start)
    if start - moment > LONGEST_TURN_S:
        free_slots(session, site, token)
        return Turn(False, start - moment - LONGEST_TURN_S / 2)
    row.next_start = start + (limits.interval_s if row.rate is not None else interval_s)
    return Turn(True, start - moment)


def count_calls(session: Session, site: str, calls: int, interval_s: float) -> None:
    """Moves the service's next turn by the calls that one turn made beyond its first."""
    if calls > 1 and interval_s > 0:
        row = host_row(session, site)
        row.next_start += (calls - 1) * (interval_s if row.rate is None else 1.0 / row.rate if row.rate > 0 else 0.0)
