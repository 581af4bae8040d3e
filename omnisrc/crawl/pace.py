"""What all workers together may ask of a host, and one call's turn at a search service."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.orm import Session

from db.controls import Controls, read_controls
from db.frontier import NOTHING_SET, free_slots, host_row, take_slots
from db.ledger import now
from omnisrc.crawl.providers.about import limits_of
from omnisrc.crawl.settings import CrawlSettings
from omnisrc.web.hosts import Pace

LONGEST_TURN_S = 5.0
SEARCH = "search "
"""Before a host's name: its slots for calls of a search service. Drains hold the others for as long as they run."""


@dataclass(frozen=True)
class Limits:
    """Requests at once and a second (0: no pacing) that all workers together may send to a host."""

    concurrency: int
    rate: float

    @classmethod
    def of(cls, settings: CrawlSettings, site: str, controls: Controls = NOTHING_SET) -> Limits:
        """What a person set while the crawl runs goes before the settings, and what names the host before both."""
        named, own, every = settings.named(site), controls.host(site), controls.all
        rates = (own.rate, named.rate, every.rate, settings.host_rate)
        counts = (own.concurrency, named.concurrency, every.concurrency, settings.host_concurrency)
        return cls(
            max(1, next(count for count in counts if count is not None)),
            next(rate for rate in rates if rate is not None),
        )

    @property
    def interval_s(self) -> float:
        return 1.0 / self.rate if self.rate > 0 else 0.0

    def share(self, slots: int) -> Pace:
        """The pace of a worker that holds so many of the slots: all workers together keep the rate."""
        part = min(1.0, slots / self.concurrency)
        return Pace(slots, self.interval_s / part, part)


@dataclass(frozen=True)
class Turn:
    """A slot was taken and the call may begin in `wait_s`; or none was (`taken` false), and to be asked again then.

    `interval_s` is from one call to the next.
    """

    taken: bool
    wait_s: float
    interval_s: float = 0.0


def call_interval_s(settings: CrawlSettings, site: str, provider: object, controls: Controls = NOTHING_SET) -> float:
    """Seconds from one call of a search service to the next: the host's pace, or the service's own limits where those
    are slower. A rate that is set for the host by name goes before both."""
    own = Limits.of(settings, site, controls).interval_s
    by_name = settings.names_rate(site) or controls.host(site).rate is not None
    return own if by_name else max(own, limits_of(provider).interval_s)


def take_turn(session: Session, settings: CrawlSettings, site: str, token: str, provider: object) -> Turn:
    """Reserves one call at a search service: a slot for searches of its host, and a place in its pace."""
    controls = read_controls(session)
    row, moment = host_row(session, site), now(session)
    if row.not_before > moment:
        return Turn(False, row.not_before - moment)
    limits = Limits.of(settings, site, controls)
    if not take_slots(session, SEARCH + site, token, 1, limits.concurrency):
        return Turn(False, 0.5)
    start = max(moment, row.next_start)
    if start - moment > LONGEST_TURN_S:
        free_slots(session, SEARCH + site, token)
        return Turn(False, start - moment - LONGEST_TURN_S / 2)
    interval_s = call_interval_s(settings, site, provider, controls)
    row.next_start = start + interval_s
    return Turn(True, start - moment, interval_s)


def count_calls(session: Session, settings: CrawlSettings, site: str, provider: object, calls: int) -> None:
    """Moves the service's next turn by the calls that one turn made beyond its first."""
    interval_s = call_interval_s(settings, site, provider, read_controls(session))
    if calls > 1 and interval_s > 0:
        host_row(session, site).next_start += (calls - 1) * interval_s
