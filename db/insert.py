"""Inserting rows that somebody else may have inserted meanwhile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from sqlalchemy import Table, bindparam, func, select
from sqlalchemy import cast as sql_cast
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.orm import Session

from db.models import Base


def insert_missing(session: Session, table: type[Base], rows: Sequence[Mapping[str, Any]]) -> None:
    """Inserts `rows`, which have the same keys, leaving out those that break a unique constraint: whoever came first
    keeps his."""
    if not rows:
        return
    into = cast(Table, table.__table__)
    if session.get_bind().dialect.name == "sqlite":
        session.execute(sqlite_insert(into).on_conflict_do_nothing(), [dict(row) for row in rows])
    else:
        _insert_columns(session, into, rows)


def _insert_columns(session: Session, into: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """All rows in one statement with an array for each column: PostgreSQL takes ten times as long for one by one."""
    from sqlalchemy.dialects.postgresql import ARRAY, insert  # a tenth of a second that SQLite need not wait for

    names = list(rows[0])
    arrays = [
        sql_cast(bindparam(f"c{n}", [row[name] for row in rows], ARRAY(into.c[name].type)), ARRAY(into.c[name].type))
        for n, name in enumerate(names)
    ]
    given = func.unnest(*arrays).table_valued(*names).render_derived()
    statement = insert(into).from_select(names, select(*(given.c[name] for name in names)))
    session.execute(statement.on_conflict_do_nothing())


def insert_one(session: Session, table: type[Base], row: Mapping[str, Any]) -> int | None:
    """Inserts one row; its id, or None where it breaks a unique constraint."""
    into = cast(Table, table.__table__)
    make: Any = sqlite_insert
    if session.get_bind().dialect.name != "sqlite":
        from sqlalchemy.dialects.postgresql import insert as make
    found: int | None = session.scalar(make(into).on_conflict_do_nothing().values(dict(row)).returning(into.c.id))
    return found
