"""The frontier: assets that wait to be fetched, and the slots that bound every worker's requests to a host.

An asset or slot is held by the job whose token it bears; when that job ends or is reaped, it is free again. What is
asked here every second or for every batch goes by index from host to host: it touches no row for each asset that waits.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import CTE, Select, case, delete, exists, func, or_, select, text, update
from sqlalchemy.orm import Session, aliased
from sqlalchemy.orm.attributes import set_committed_value

from db.controls import Controls
from db.insert import insert_missing
from db.models import CLAIMABLE, Asset, Host, HostSlot
from db.session import epoch


@dataclass(frozen=True)
class WaitingHost:
    """A host with assets that may be fetched now."""

    name: str
    waiting: int


NOTHING_SET = Controls()
FIRST = 500


def claimable() -> Any:
    """Assets that wait and are in nobody's hands, in the words of the indices over them."""
    return text(" AND ".join(f"asset.{part}" for part in CLAIMABLE.split(" AND ")))


def waiting_by_host(session: Session) -> Counter[str]:
    """Assets that wait and are in nobody's hands, whether or not they may be fetched now."""
    rows = session.execute(select(Asset.host, func.count()).where(claimable()).group_by(Asset.host))
    return Counter({host: count for host, count in rows})


def held_by_host(session: Session) -> Counter[str]:
    """Assets in the hands of jobs."""
    held = text("asset.lease_token IS NOT NULL")  # and nothing more: SQLite would take the index of states
    rows = session.execute(select(Asset.host, Asset.state, func.count()).where(held).group_by(Asset.host, Asset.state))
    return Counter({host: count for host, state, count in rows if state == "waiting"})


def _hosts() -> CTE:
    """Names of the hosts with claimable assets, each found from the one before by index; the last is null."""
    first = select(func.min(Asset.host).label("name")).where(claimable())
    hosts = first.cte("frontier_hosts", recursive=True)
    following = select(func.min(Asset.host)).where(claimable(), Asset.host > hosts.c.name).scalar_subquery()
    return hosts.union_all(select(following).where(hosts.c.name.is_not(None)))


def _earliest(hosts: CTE, controls: Controls) -> Any:
    """When the first of a host's claimable assets that is not paused may be fetched."""
    return (
        select(Asset.not_before)
        .where(claimable(), Asset.host == hosts.c.name, *controls.unpaused_providers())
        .order_by(Asset.not_before)
        .limit(1)
        .scalar_subquery()
    )


def _soonest(controls: Controls) -> Any:
    """Name and earliest moment of each host with claimable assets that are not paused."""
    hosts = _hosts()
    asset, pause = _earliest(hosts, controls), func.coalesce(Host.not_before, 0.0)
    return (
        select(hosts.c.name, case((asset > pause, asset), else_=pause).label("moment"))
        .outerjoin(Host, Host.name == hosts.c.name)
        .where(hosts.c.name.is_not(None), asset.is_not(None), *controls.unpaused_hosts(hosts.c.name))
    )


def next_wait(session: Session, controls: Controls = NOTHING_SET) -> float | None:
    """Seconds until a waiting asset that is not paused may be fetched (0: now), or None where none waits.

    Assets in the hands of a job count as waiting: they may come back.
    """
    first = _ready(controls).limit(FIRST).subquery()  # mostly, and then there is no need to go from host to host
    pause = func.coalesce(Host.not_before, 0.0)
    now_at = select(first.c.host).outerjoin(Host, Host.name == first.c.host).where(pause <= epoch()).limit(1)
    if session.scalar(now_at) is not None:
        return 0.0
    soonest = _soonest(controls).subquery()
    moment = session.scalar(select(func.min(soonest.c.moment)))
    if moment is None:
        held = select(Asset.id).where(text("asset.lease_token IS NOT NULL"), Asset.state == "waiting")
        return None if session.scalar(held.where(*controls.unpaused()).limit(1)) is None else 1.0
    return max(0.0, float(moment) - (session.scalar(select(epoch())) or 0.0))


def has_room(session: Session, controls: Controls = NOTHING_SET) -> bool:
    """Whether some host with assets that may be fetched now has a slot that nobody holds."""
    soonest = _soonest(controls).subquery()
    found = select(soonest.c.name).where(soonest.c.moment <= epoch(), free_slot(soonest.c.name)).limit(1)
    return session.scalar(found) is not None


def free_slot(host: Any) -> Any:
    """Whether the host that a column names has a slot that nobody holds; none was taken of one without any."""
    slot = aliased(HostSlot)
    of_host = select(slot.slot).where(slot.host == host).correlate(host.table)
    return or_(~exists(of_host), exists(of_host.where(slot.token.is_(None))))


def ready(session: Session, most: int, controls: Controls = NOTHING_SET) -> int:
    """How many assets may be fetched now; no more than `most` are counted."""
    found = _ready(controls).limit(most).subquery()
    return session.scalar(select(func.count()).select_from(found)) or 0


def _ready(controls: Controls) -> Select[str]:
    return select(Asset.host).where(claimable(), Asset.not_before <= epoch(), *controls.unpaused())


def take_slots(session: Session, host: str, token: str, wanted: int, concurrency: int) -> int:
    """Takes up to `wanted` of the host's `concurrency` slots for the job with `token`; how many it got."""
    have = set(session.scalars(select(HostSlot.slot).where(HostSlot.host == host)))
    lacking = [number for number in range(concurrency) if number not in have]
    insert_missing(session, HostSlot, [{"host": host, "slot": number, "token": None} for number in lacking])
    if any(number >= concurrency for number in have):  # it had more before: nobody shall think that these are free
        surplus = (HostSlot.host == host, HostSlot.slot >= concurrency, HostSlot.token.is_(None))
        session.execute(delete(HostSlot).where(*surplus))
    free = session.scalars(
        select(HostSlot.slot)
        .where(HostSlot.host == host, HostSlot.token.is_(None), HostSlot.slot < concurrency)
        .order_by(HostSlot.slot)
        .limit(wanted)
        .with_for_update(skip_locked=True)
    ).all()
    if free:
        session.execute(update(HostSlot).where(HostSlot.host == host, HostSlot.slot.in_(free)).values(token=token))
    return len(free)


def free_slots(session: Session, host: str, token: str) -> None:
    """Gives back the slots of one host that `token` holds."""
    session.execute(update(HostSlot).where(HostSlot.host == host, HostSlot.token == token).values(token=None))


def trim_slots(session: Session, host: str, token: str, concurrency: int) -> int:
    """Gives back the slots of `token` that the host has no more; how many it still holds."""
    session.execute(
        update(HostSlot)
        .where(HostSlot.host == host, HostSlot.token == token, HostSlot.slot >= concurrency)
        .values(token=None)
    )
    held = select(func.count()).select_from(HostSlot).where(HostSlot.host == host, HostSlot.token == token)
    return session.scalar(held) or 0


def claim_assets(session: Session, host: str, token: str, limit: int, controls: Controls = NOTHING_SET) -> list[Asset]:
    """Up to `limit` waiting assets of a host, best rank first, now held under `token`.

    An asset that lost workers before comes in a small batch, and alone after its second loss.
    """
    rows: Sequence[Asset] = session.scalars(
        select(Asset)
        .where(claimable(), Asset.host == host, Asset.not_before <= epoch(), *controls.unpaused())
        .order_by(Asset.losses, Asset.priority, Asset.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
    if rows and rows[0].losses >= 2:
        rows = rows[:1]
    elif rows and rows[0].losses == 1:
        rows = rows[:8]
    else:
        rows = [asset for asset in rows if asset.losses == 0]
    if rows:
        taken = update(Asset).where(Asset.id.in_([asset.id for asset in rows])).values(lease_token=token)
        session.execute(taken.execution_options(synchronize_session=False))
    for asset in rows:
        set_committed_value(asset, "lease_token", token)
    return list(rows)


def host_row(session: Session, host: str) -> Host:
    """The host's row, made where there is none, and locked."""
    fresh = {"not_before": 0.0, "streak_429": 0, "failures": 0, "openings": 0, "next_start": 0.0}
    insert_missing(session, Host, [{"name": host, **fresh}])
    return session.get_one(Host, host, with_for_update=True)


def pause_host(session: Session, host: str, seconds: float) -> None:
    """Nobody asks the host for anything for `seconds` seconds: it said so."""
    row = host_row(session, host)
    row.not_before = max(row.not_before, (session.scalar(select(epoch())) or 0.0) + seconds)
    row.streak_429 += 1
    session.flush()
