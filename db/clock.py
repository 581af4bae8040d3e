"""What a clock that was set back would stall: times ahead of it are moved back by as much.

Times in the tables are by the database's clock: when a host may be asked again, when a lease ends. An hour that the
clock goes back would be an hour that all of it waits. Setting the clock forward needs no care: what waits comes sooner,
and a lease that ends too soon costs its worker's work and nothing else.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, case, select, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from db.insert import insert_missing
from db.models import Asset, Clock, Host, Job
from db.session import Database, epoch

NOTED_S = 5.0  # seconds between two looks that are worth a transaction
SET_BACK_S = 10.0  # so far behind the latest time seen, a clock was set back
GRACE_S = 60.0  # for the worker of a lease to renew it

NOT_BEFORE: tuple[InstrumentedAttribute[float], ...] = (
    Asset.not_before,
    Host.not_before,
    Host.next_start,
    Job.not_before,
)


def watch(database: Database) -> float:
    """Notes the database's time now and then; seconds by which its clock was found set back (0: it was not)."""

    def look(session: Session) -> tuple[float, float]:
        return _now(session), session.scalar(select(Clock.seen)) or 0.0

    now, seen = database.read(look)
    if seen - SET_BACK_S < now < seen + NOTED_S:
        return 0.0
    return database.write(_note)


def _note(session: Session) -> float:
    insert_missing(session, Clock, [{"id": 1, "seen": 0.0}])
    clock = session.get_one(Clock, 1, with_for_update=True)
    now = _now(session)
    back = clock.seen - now
    if -NOTED_S < back <= SET_BACK_S:
        return 0.0  # another worker was quicker
    clock.seen = now
    if back <= SET_BACK_S:
        return 0.0
    for column in NOT_BEFORE:
        session.execute(update(column.class_).where(column > now).values({column: _moved(column, back, now)}))
    soonest = now + GRACE_S
    leases = update(Job).where(Job.lease_until > soonest)
    session.execute(leases.values(lease_until=_moved(Job.lease_until, back, soonest)))
    return back


def _moved(column: InstrumentedAttribute[Any], back: float, soonest: float) -> ColumnElement[float]:
    return case((column - back > soonest, column - back), else_=soonest)


def _now(session: Session) -> float:
    return float(session.scalar(select(epoch())) or 0.0)
