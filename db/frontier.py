"""The frontier: assets that wait to be fetched, and the slots that bound every worker's requests to a host.

An asset or slot is held by the job whose token it bears; when that job ends or is reaped, it is free again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import case, func, select, update
from sqlalchemy.orm import Session

from db.controls import Controls
from db.insert import insert_missing
from db.models import Asset, Host, HostSlot
from db.session import epoch


@dataclass(frozen=True)
class WaitingHost:
    """A host with assets that may be fetched now."""

    name: str
    waiting: int


NOTHING_SET = Controls()


def waiting_hosts(session: Session, controls: Controls = NOTHING_SET) -> list[WaitingHost]:
    """Hosts with assets that may be fetched now, those with the most first; without what is paused."""
    count = func.count(Asset.id)
    rows = session.execute(
        select(Asset.host, count)
        .outerjoin(Host, Host.name == Asset.host)
        .where(
            Asset.state == "waiting",
            Asset.lease_token.is_(None),
            Asset.not_before <= epoch(),
            func.coalesce(Host.not_before, 0.0) <= epoch(),
            *controls.unpaused(),
        )
        .group_by(Asset.host)
        .order_by(count.desc(), Asset.host)
    )
    return [WaitingHost(*row) for row in rows]


def next_wait(session: Session, controls: Controls = NOTHING_SET) -> float | None:
    """Seconds until a waiting asset that is not paused may be fetched (0: now), or None where none waits.

    Assets in the hands of a job count as waiting: they may come back.
    """
    pause = func.coalesce(Host.not_before, 0.0)
    soonest = session.scalar(
        select(func.min(case((Asset.not_before > pause, Asset.not_before), else_=pause)))
        .select_from(Asset)
        .outerjoin(Host, Host.name == Asset.host)
        .where(Asset.state == "waiting", Asset.lease_token.is_(None), *controls.unpaused())
    )
    if soonest is None:
        held = session.scalar(select(Asset.id).where(Asset.state == "waiting", *controls.unpaused()).limit(1))
        return None if held is None else 1.0
    return max(0.0, float(soonest) - (session.scalar(select(epoch())) or 0.0))


def take_slots(session: Session, host: str, token: str, wanted: int, concurrency: int) -> int:
    """Takes up to `wanted` of the host's `concurrency` slots for the job with `token`; how many it got."""
    have = set(session.scalars(select(HostSlot.slot).where(HostSlot.host == host)))
    lacking = [number for number in range(concurrency) if number not in have]
    insert_missing(session, HostSlot, [{"host": host, "slot": number, "token": None} for number in lacking])
    free = session.scalars(
        select(HostSlot)
        .where(HostSlot.host == host, HostSlot.token.is_(None), HostSlot.slot < concurrency)
        .order_by(HostSlot.slot)
        .limit(wanted)
        .with_for_update(skip_locked=True)
    ).all()
    for slot in free:
        slot.token = token
    session.flush()
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
        .where(Asset.state == "waiting", Asset.host == host, Asset.lease_token.is_(None), Asset.not_before <= epoch())
        .where(*controls.unpaused())
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
    for asset in rows:
        asset.lease_token = token
    session.flush()
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
