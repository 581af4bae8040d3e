"""How much waits at each host, counted now and then by whoever asks, and kept for all workers.

Counting goes over every asset that waits: a second for a million. No more than a twentieth of the time goes into it,
all workers together: with a million assets what is told here may be half a minute old, with a thousand it is fresh.
"""

from __future__ import annotations

import time
from collections import Counter

from sqlalchemy import case, delete, func, select, update
from sqlalchemy.orm import Session

from db import frontier
from db.controls import Controls
from db.frontier import NOTHING_SET, WaitingHost
from db.insert import insert_missing
from db.models import Asset, Host, HostCount, HostWork
from db.session import Database, epoch

SHARE = 0.05
QUICK_S = 0.1
"""Who only looks counts by himself while it takes no longer."""


def busiest(database: Database, controls: Controls = NOTHING_SET) -> list[WaitingHost]:
    """Hosts with assets that could be fetched when they were counted, the most first; without what is paused now."""
    refresh(database)
    return database.read(lambda session: _busiest(session, controls))


def refresh(database: Database) -> None:
    """Counts anew where that is due. Of several who find it due, one counts and the others go on with what there is."""
    if database.read(_due) and database.write(_take_turn):
        began = time.monotonic()  # the database's clock may be set meanwhile: an hour's jump is no count of an hour
        work = database.read(_count)
        database.write(lambda session: _keep(session, began, work))


def waiting_by_host(session: Session) -> Counter[str]:
    """Assets that wait and are in nobody's hands: counted now, or as last counted where that takes long."""
    count = session.get(HostCount, 1)
    if count is None or count.took <= QUICK_S:
        return frontier.waiting_by_host(session)
    return Counter({host: waiting for host, waiting in session.execute(select(HostWork.host, HostWork.waiting))})


def has_room(session: Session, controls: Controls = NOTHING_SET) -> bool:
    """Whether some host with assets that may be fetched now has a slot that nobody holds.

    Where the last count knows one, nobody goes over all hosts; a host that was emptied since costs a look in vain.
    """
    pause = func.coalesce(Host.not_before, 0.0)
    known = (
        select(HostWork.host)
        .outerjoin(Host, Host.name == HostWork.host)
        .where(HostWork.ready > 0, pause <= epoch(), *controls.unpaused_hosts(HostWork.host))
        .where(frontier.free_slot(HostWork.host))
    )
    count = session.get(HostCount, 1)
    trusted = count is not None and count.took > QUICK_S and not controls.providers
    return (trusted and session.scalar(known.limit(1)) is not None) or frontier.has_room(session, controls)


def _busiest(session: Session, controls: Controls) -> list[WaitingHost]:
    pause = func.coalesce(Host.not_before, 0.0)
    rows = session.execute(
        select(HostWork.host, HostWork.ready)
        .outerjoin(Host, Host.name == HostWork.host)
        .where(HostWork.ready > 0, pause <= epoch(), *controls.unpaused_hosts(HostWork.host))
        .order_by(HostWork.ready.desc(), HostWork.host)
    )
    return [WaitingHost(*row) for row in rows]


def _due(session: Session) -> bool:
    count, now = session.get(HostCount, 1), session.scalar(select(epoch())) or 0.0
    return count is None or not 0.0 <= now - count.counted < count.took / SHARE


def _take_turn(session: Session) -> bool:
    insert_missing(session, HostCount, [{"id": 1, "counted": 0.0, "took": 0.0}])
    count = session.get_one(HostCount, 1, with_for_update=True, populate_existing=True)
    if not _due(session):
        return False
    count.counted = session.scalar(select(epoch())) or 0.0
    return True


def _count(session: Session) -> dict[str, tuple[int, int]]:
    """(ready, waiting) of each host."""
    ready = func.sum(case((Asset.not_before <= epoch(), 1), else_=0))
    rows = session.execute(select(Asset.host, ready, func.count()).where(frontier.claimable()).group_by(Asset.host))
    return {host: (int(able), waiting) for host, able, waiting in rows}


def _keep(session: Session, began: float, work: dict[str, tuple[int, int]]) -> None:
    session.execute(delete(HostWork))
    rows = [{"host": host, "ready": ready, "waiting": waiting} for host, (ready, waiting) in work.items()]
    insert_missing(session, HostWork, rows)
    session.execute(update(HostCount).where(HostCount.id == 1).values(took=time.monotonic() - began))
