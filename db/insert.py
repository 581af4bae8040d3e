"""Inserting rows that somebody else may have inserted meanwhile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.orm import Session

from db.models import Base


def insert_missing(session: Session, table: type[Base], rows: Sequence[Mapping[str, Any]]) -> None:
    """Inserts `rows`, leaving out those that break a unique constraint: whoever came first keeps his."""
    if not rows:
        return
    given = [dict(row) for row in rows]
    if session.get_bind().dialect.name == "sqlite":
        session.execute(sqlite_insert(table).on_conflict_do_nothing(), given)
    else:
        session.execute(postgresql_insert(table).on_conflict_do_nothing(), given)
