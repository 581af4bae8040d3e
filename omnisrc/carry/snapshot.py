"""The catalogue as it travels: one consistent SQLite file in which nobody holds anything, and no secrets."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from pathlib import Path

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from db import copy
from db.models import Asset, HostSlot, Job, Place, PredictionSet, Query, Shard, TargetItem
from db.session import Database
from omnisrc import resources
from omnisrc.carry.settings import is_secret
from omnisrc.shards.store import is_remote, name_of
from omnisrc.study import Study

CHUNK = 1000


def take_snapshot(study: Study, path: Path, without: Collection[str]) -> None:
    """Writes the catalogue as it is now to the new SQLite file `path`.

    Jobs that are in hand wait again there. Shards of the kinds in `without` stay behind: there they are freed.
    """
    source = study.database()
    if source.is_sqlite:
        with source.engine.connect() as connection:
            connection.rollback()
            raw = connection.connection.dbapi_connection
            assert isinstance(raw, sqlite3.Connection)
            raw.execute("VACUUM INTO ?", (str(path),))
        taken = Database(f"sqlite:///{path}")
    else:
        taken = Database(f"sqlite:///{path}")
        copy.copy_database(source, taken, resources.migrations(), working=True)
    try:
        taken.write(lambda session: _tidy(session, without))
        _compact(taken)
    finally:
        taken.dispose()


def bring_home(taken: Database) -> None:
    """Rows name files in the workspace where they named objects, and no folder of an object store is the study's."""

    def rename(session: Session) -> bool:
        known = bool(session.execute(delete(Place)).rowcount)  # type: ignore[attr-defined]
        for table in (Shard, PredictionSet):
            for row_id, place in session.execute(select(table.id, table.path)).all():
                if is_remote(place):
                    session.execute(update(table).where(table.id == row_id).values(path=name_of(place)))
                    known = True
        return known

    if taken.write(rename):
        _compact(taken)


def providers_asked(session: Session) -> list[str]:
    """The providers that queries of the study ask."""
    return sorted(session.scalars(select(Query.provider).distinct()))


def in_place(session: Session) -> dict[str, int]:
    """Target items that are used where they lie, which do not travel: folder -> their number."""
    found: dict[str, int] = {}
    for name in session.scalars(
        select(TargetItem.path).where(TargetItem.shard_id.is_(None), TargetItem.state == "stored")
    ):
        folder = str(Path(name).parent)
        found[folder] = found.get(folder, 0) + 1
    return found


def _tidy(session: Session, without: Collection[str]) -> None:
    free = {"state": "waiting", "lease_token": None, "lease_until": None, "lease_owner": None, "journal": None}
    session.execute(update(Job).where(Job.state == "leased").values(**free))
    session.execute(update(Asset).where(Asset.lease_token.is_not(None)).values(lease_token=None))
    session.execute(update(HostSlot).where(HostSlot.token.is_not(None)).values(token=None))
    session.execute(update(Shard).where(Shard.kind.in_(list(without))).values(freed=True))
    rows = session.execute(select(Job.id, Job.overrides)).partitions(CHUNK)
    for part in rows:
        for job_id, overrides in part:
            kept = [override for override in overrides if not is_secret(str(override))]
            if kept != overrides:
                session.execute(update(Job).where(Job.id == job_id).values(overrides=kept))


def _compact(taken: Database) -> None:
    """One file, in which what was deleted is gone."""
    with taken.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        raw = connection.connection.dbapi_connection
        assert isinstance(raw, sqlite3.Connection)
        if raw.in_transaction:
            raw.execute("ROLLBACK")
        raw.execute("PRAGMA journal_mode = DELETE")
        raw.execute("VACUUM")
