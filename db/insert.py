"""Inserting rows that somebody else may have inserted meanwhile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.orm import InstrumentedAttribute, Session

from db.models import Base


def insert_missing(session: Session, table: type[Base], rows: Sequence[Mapping[str, Any]]) -> None:
    """Inserts `rows`, leaving out those that break a unique constraint: whoever came first keeps his."""
    if not rows:
        return
    session.execute(_insert(session, table), [dict(row) for row in rows])


def insert_one(session: Session, table: type[Base], row: Mapping[str, Any]) -> int | None:
    """Inserts one row; its id, or None where it breaks a unique constraint."""
    id_column: InstrumentedAttribute[int] = table.id  # type: ignore[attr-defined]
    found: int | None = session.scalar(_insert(session, table).values(dict(row)).returning(id_column))
    return found


def _insert(session: Session, table: type[Base]) -> Any:
    make = sqlite_insert if session.get_bind().dialect.name == "sqlite" else postgresql_insert
    return make(table).on_conflict_do_nothing()
