"""A circuit breaker for each host, shared by all workers: a host that fails again and again is left alone for a while.

After `crawl.breaker_failures` failures in a row it is open for 30 s; then one request probes it. An answer closes it, a
failure opens it for twice as long, up to an hour. Its assets stay waiting, until it has opened
`crawl.breaker_openings` times: then they fail with the error class of the last failure.
"""

from __future__ import annotations

from sqlalchemy import update
from sqlalchemy.orm import Session

from db.frontier import host_row
from db.ledger import now
from db.models import Asset, Host
from omnisrc.crawl.settings import CrawlSettings
from omnisrc.errors import ErrorClass

FIRST_S = 30.0
LONGEST_S = 3600.0
TROUBLE = frozenset(
    {ErrorClass.DNS, ErrorClass.CONNECT, ErrorClass.TLS, ErrorClass.TIMEOUT, ErrorClass.HTTP_5XX}
)  # fmt: skip
"""Failures of a host, not of one file of it."""


def note_failure(session: Session, settings: CrawlSettings, site: str, error: ErrorClass) -> float:
    """Counts one more failure in a row; for how many seconds from now the host is left alone (0: it is not)."""
    if not settings.breaker_failures:
        return 0.0
    row, moment = host_row(session, site), now(session)
    if row.openings and row.not_before > moment:
        return row.not_before - moment  # one of those that were under way when it opened
    row.failures += 1
    if row.failures < settings.breaker_failures and not row.openings:
        return 0.0
    pause_s = min(LONGEST_S, FIRST_S * 2.0 ** min(row.openings, 16))
    row.not_before, row.failures = max(row.not_before, moment + pause_s), 0
    row.openings += 1
    row.breaker_error = error.value
    session.flush()
    if settings.breaker_openings and row.openings >= settings.breaker_openings:
        _give_up(session, row, error, moment)
    return pause_s


def note_answer(session: Session, site: str) -> None:
    """The host has answered: its breaker closes."""
    session.execute(
        update(Host).where(Host.name == site).values(failures=0, openings=0, breaker_error=None)
    )  # fmt: skip


def state(openings: int, not_before: float, moment: float) -> str:
    """`closed`, `open` or `probing` (one request is let through)."""
    if not openings:
        return "closed"
    return "open" if not_before > moment else "probing"


def _give_up(session: Session, row: Host, error: ErrorClass, moment: float) -> None:
    session.execute(
        update(Asset)
        .where(Asset.host == row.name, Asset.state == "waiting", Asset.lease_token.is_(None))
        .values(
            state="failed",
            error=error.value,
            error_detail=f"{row.name} did not answer {row.openings} probes in a row",
            fetched=moment,
        )
    )
