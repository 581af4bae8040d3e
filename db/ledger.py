"""The ledger: jobs with leases. SQL owns the work; whoever holds a job's token may commit it, nobody else.

A job is `waiting`, `leased`, `done` or `failed`. A lease has a random token and an end by the database's clock; the
worker renews it while it runs. `reap` returns what dead workers held and puts the blame on the item they journalled.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from db.insert import insert_one
from db.models import Asset, HostSlot, Job
from db.session import Database, epoch

T = TypeVar("T")

MAX_STRIKES = 3  # workers that an item may kill before it is set aside
MAX_LOSSES = 30  # workers that a job may lose before it is given up
OPEN = ("waiting", "leased")
STATES = (*OPEN, "done", "failed")


class LeaseLost(Exception):
    """The job is no longer held under this token: what was made for it must be thrown away."""


@dataclass(frozen=True)
class Lease:
    """The right to run and commit one job."""

    job_id: int
    stage: str
    subject: str
    params: dict[str, Any]
    token: str
    attempts: int
    losses: int
    strikes: dict[str, int] = field(default_factory=dict)
    overrides: tuple[str, ...] = ()


def params_digest(params: Mapping[str, Any]) -> str:
    """SHA-256 of the parameters as canonical JSON."""
    return hashlib.sha256(json.dumps(params, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def now(session: Session) -> float:
    """The database's clock, seconds since 1970."""
    return float(session.scalar(select(epoch())) or 0.0)


def enqueue(
    session: Session,
    stage: str,
    subject: str,
    params: Mapping[str, Any] | None = None,
    *,
    overrides: Sequence[str] = (),
    priority: int = 0,
    reopen_failed: bool = True,
) -> int | None:
    """Adds a job unless the same (stage, subject, parameters) is there; its id when it was added or opened again.

    Two may add the same at once: one of them adds it.
    """
    given = dict(params or {})
    digest = params_digest(given)
    found = session.scalar(select(Job).where(Job.stage == stage, Job.subject == subject, Job.params_sha256 == digest))
    if found is not None:
        if not (reopen_failed and found.state == "failed"):
            return None
        found.state, found.attempts, found.losses, found.not_before = "waiting", 0, 0, 0.0
        found.error = found.error_detail = None
        found.overrides = list(overrides)
        return found.id
    row = dict(
        stage=stage, subject=subject, params=given, params_sha256=digest, overrides=list(overrides), priority=priority,
        state="waiting", attempts=0, losses=0, not_before=0.0, strikes={}, result={}, created=now(session),
    )  # fmt: skip
    return insert_one(session, Job, row)  # None: somebody else added it meanwhile


def claim(database: Database, stages: Sequence[str], owner: str, lease_s: float) -> Lease | None:
    """Takes the next job of `stages` that may run now, or None. `lease_s`: seconds until it may be taken away."""
    token = secrets.token_hex(8)
    first = (
        select(Job.id)
        .where(Job.state == "waiting", Job.stage.in_(stages), Job.not_before <= epoch())
        .order_by(Job.priority, Job.id)
        .limit(1)
        .with_for_update(skip_locked=True)
        .scalar_subquery()
    )
    held = {"state": "leased", "lease_token": token, "lease_owner": owner, "journal": None}
    take = (
        update(Job)
        .where(Job.id == first)
        .values(**held, lease_until=epoch() + lease_s)
        .returning(Job.id, Job.stage, Job.subject, Job.params, Job.attempts, Job.losses, Job.strikes, Job.overrides)
        .execution_options(synchronize_session=False)
    )
    if not database.read(lambda session: any_waiting(session, stages)):
        return None  # polling takes no write lock
    # One statement: eight workers wait for each other's.
    job = database.write(lambda session: session.execute(take).one_or_none())
    if job is None:
        return None
    strikes = {item: int(count) for item, count in job.strikes.items()}
    return Lease(
        job.id, job.stage, job.subject, dict(job.params), token, job.attempts, job.losses, strikes, tuple(job.overrides)
    )


def any_waiting(session: Session, stages: Sequence[str]) -> bool:
    """Whether a job of `stages` could be taken now."""
    return (
        session.scalar(
            select(Job.id).where(Job.state == "waiting", Job.stage.in_(stages), Job.not_before <= epoch()).limit(1)
        )
        is not None
    )


def _held(session: Session, lease: Lease) -> Job:
    job = session.scalar(select(Job).where(Job.id == lease.job_id).with_for_update())
    if job is None or job.state != "leased" or job.lease_token != lease.token:
        raise LeaseLost(f"{lease.stage} {lease.subject}")
    return job


def renew(database: Database, lease: Lease, lease_s: float) -> None:
    """Moves the end of the lease to `lease_s` seconds from now.

    Raises:
        LeaseLost: it was taken away.
    """

    def move(session: Session) -> None:
        job = _held(session, lease)
        job.lease_until = now(session) + lease_s

    database.write(move)


def journal(database: Database, lease: Lease, item: str | None) -> None:
    """Notes the item that is about to be worked on, so that blame for a death falls on it alone."""

    def note(session: Session) -> None:
        _held(session, lease).journal = item

    database.write(note)


def check(session: Session, lease: Lease) -> None:
    """Locks the job's row for this transaction.

    Raises:
        LeaseLost: the job is no longer held under this token.
    """
    _held(session, lease)


def finish(session: Session, lease: Lease, result: Mapping[str, Any] | None = None) -> None:
    """Marks the job done, in the transaction that writes what it made, and frees what it held.

    Raises:
        LeaseLost: the job is no longer held under this token; the transaction must not commit.
    """
    job = _held(session, lease)
    job.state, job.finished, job.result = "done", now(session), dict(result or {})
    job.done_token = lease.token
    _free_lease(job)
    free_token(session, lease.token)


def recorded_parts(session: Session, lease: Lease) -> int:
    """How many parts of the job's work are recorded under this lease. Locks the job's row for this transaction.

    Raises:
        LeaseLost: the job is no longer held under this token.
    """
    return int(_held(session, lease).result.get("recorded", {}).get("parts", 0))


def note_recorded(session: Session, lease: Lease, parts: int, told: Mapping[str, Any]) -> None:
    """Notes that so many parts are recorded, in the transaction that records the last of them; `told` sums them up."""
    job = _held(session, lease)
    job.result = {**job.result, "recorded": {**told, "parts": parts}}


def forget_told(session: Session, lease: Lease) -> None:
    """What the row tells of an earlier try of the job counts no more.

    Raises:
        LeaseLost: the job is no longer held under this token.
    """
    _held(session, lease).result = {}


def tell(session: Session, lease: Lease, told: Mapping[str, Any]) -> None:
    """How far a running job is, for all to see, beside what is recorded of it; nothing if it was taken away."""
    job = session.get(Job, lease.job_id, populate_existing=True, with_for_update=True)
    if job is not None and job.lease_token == lease.token:
        job.result = {**told, "recorded": job.result.get("recorded", {})}


def is_done(session: Session, lease: Lease) -> bool:
    """Whether the job was marked done under this very lease: so tells who lost the answer to his commit."""
    return session.scalar(select(Job.id).where(Job.id == lease.job_id, Job.done_token == lease.token)) is not None


def put_back(
    session: Session, lease: Lease, delay_s: float, error: str | None = None, detail: str | None = None
) -> None:
    """Returns the job to be taken again after `delay_s` seconds; with an error class it counts as an attempt."""
    job = _held(session, lease)
    job.state, job.not_before = "waiting", now(session) + delay_s
    if error is not None:
        job.attempts += 1
        job.error, job.error_detail = error, detail
    _free_lease(job)
    free_token(session, lease.token)


def fail(session: Session, lease: Lease, error: str, detail: str) -> None:
    """Gives the job up, with its error class."""
    job = _held(session, lease)
    job.state, job.error, job.error_detail, job.finished = "failed", error, detail, now(session)
    job.attempts += 1
    _free_lease(job)
    free_token(session, lease.token)


def _free_lease(job: Job) -> None:
    job.lease_token = job.lease_owner = job.lease_until = job.journal = None


def free_token(session: Session, token: str) -> None:
    """Frees the assets and host slots that the token still holds."""
    session.execute(update(Asset).where(Asset.lease_token == token).values(lease_token=None))
    session.execute(update(HostSlot).where(HostSlot.token == token).values(token=None))


def reap(database: Database, dead: Callable[[str], bool] = lambda owner: False) -> int:
    """Returns what is held under leases that ended, or whose owner is known to be dead; the number of jobs returned.

    The journalled item, or an asset that was alone in its job, gets a strike; a job that loses workers again and
    again without a journalled item is given up after `MAX_LOSSES`.
    """
    held = database.read(lambda session: session.execute(_leased()).all())
    lost = [row.id for row in held if row.over or dead(row.lease_owner or "")]
    if not lost:
        return 0
    return database.write(lambda session: sum(_return(session, job_id, dead) for job_id in lost))


def _leased() -> Any:
    over = (Job.lease_until < epoch()).label("over")
    return select(Job.id, Job.lease_owner, over).where(Job.state == "leased")


def _return(session: Session, job_id: int, dead: Callable[[str], bool]) -> int:
    job = session.scalar(select(Job).where(Job.id == job_id).with_for_update())
    if job is None or job.state != "leased" or job.lease_token is None:
        return 0
    if (job.lease_until or 0.0) >= now(session) and not dead(job.lease_owner or ""):
        return 0
    job.losses += 1
    if job.journal:
        job.strikes = {**job.strikes, job.journal: int(job.strikes.get(job.journal, 0)) + 1}
    _blame_assets(session, job.lease_token)
    token = job.lease_token
    if job.losses >= MAX_LOSSES:
        job.state, job.error, job.finished = "failed", "worker-lost", now(session)
        job.error_detail = f"{job.losses} workers died on it"
    else:
        job.state = "waiting"
    _free_lease(job)
    free_token(session, token)
    return 1


def _blame_assets(session: Session, token: str) -> None:
    """A loss for each asset that the dead job held; a strike for one that it held alone; three strikes set it aside."""
    session.execute(update(Asset).where(Asset.lease_token == token).values(losses=Asset.losses + 1))
    alone = session.scalars(select(Asset).where(Asset.lease_token == token, Asset.state == "waiting").limit(2)).all()
    if len(alone) == 1:
        asset = alone[0]
        asset.strikes += 1
        if asset.strikes >= MAX_STRIKES:
            asset.state, asset.error = "failed", "worker-lost"
            asset.error_detail = f"{asset.strikes} workers died while they worked on it alone"


def count_jobs(session: Session, stages: Sequence[str], states: Sequence[str] = STATES) -> dict[tuple[str, str], int]:
    """Number of jobs by (stage, state)."""
    rows = session.execute(
        select(Job.stage, Job.state, func.count())
        .where(Job.stage.in_(stages), Job.state.in_(states))
        .group_by(Job.state, Job.stage)
    )
    return {(stage, state): count for stage, state, count in rows}


def open_jobs(session: Session, stages: Sequence[str]) -> int:
    """Number of jobs of `stages` that are waiting or held."""
    return session.scalar(select(func.count()).select_from(Job).where(Job.stage.in_(stages), Job.state.in_(OPEN))) or 0
