"""Moves all tables from one database to another, all or nothing, and proves that they came over."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Integer, Row, Table, func, insert, select, text
from sqlalchemy.exc import DBAPIError

from db import schema
from db.models import Base, Job
from db.session import Database

BATCH = 1000

Progress = Callable[[str, int, int], None]
"""Told of a table: its name, the rows that are over, the rows in all."""


class CopyError(Exception):
    """The copy cannot be made, as one sentence; the destination is as it was."""


@dataclass(frozen=True)
class TableCopy:
    """One table as it came over. `digest` is of its rows in any order, equal on both sides."""

    name: str
    rows: int
    digest: str


def copy_database(
    source: Database,
    destination: Database,
    migrations: Path,
    progress: Progress = lambda name, done, total: None,
    *,
    working: bool = False,
) -> list[TableCopy]:
    """Copies every table, in one transaction of the destination, from one consistent view of the source.

    With `working` jobs may be in hand: in the copy they are too, and nobody holds them.

    Raises:
        CopyError: jobs are in hand, the destination holds something, or a row does not fit there.
        SchemaError: the tables of one of the two do not fit this program.
    """
    if schema.check(source) != "current":
        raise CopyError(f"{shown(source)} holds no tables of this program's version; run `omnisrc db upgrade` first.")
    if schema.check(destination) == "older":
        raise CopyError(f"{shown(destination)} holds tables of an older program; name an empty database.")
    schema.upgrade(destination, migrations)
    with source.engine.connect() as connection:
        _hold_still(source, connection)
        if not working:
            _refuse_leased(connection, source)
        with destination.engine.execution_options(writing=True).begin() as over:
            _refuse_filled(over, destination)
            copied = [_copy(connection, over, table, progress) for table in Base.metadata.sorted_tables]
            for table in Base.metadata.sorted_tables:
                _set_sequence(over, destination, table)
    return copied


def shown(database: Database) -> str:
    """The database's URL without its password."""
    return database.engine.url.render_as_string(hide_password=True)


def _hold_still(source: Database, connection: Connection) -> None:
    """Everything that is read from now on is as it is now. SQLite does so by itself."""
    if not source.is_sqlite:
        connection.execute(text("set transaction isolation level repeatable read, read only"))


def _refuse_leased(connection: Connection, source: Database) -> None:
    leased = connection.scalar(select(func.count()).select_from(Job).where(Job.state == "leased")) or 0
    if leased:
        raise CopyError(
            f"{leased:,} jobs of {shown(source)} are being worked on; stop the commands and workers that run (Ctrl-C) "
            "and copy again. What a dead worker held is free when its lease has ended, within minutes."
        )


def _refuse_filled(over: Connection, destination: Database) -> None:
    for table in Base.metadata.sorted_tables:
        if over.execute(select(table).limit(1)).first() is not None:
            raise CopyError(f"{shown(destination)} is not empty: its table {table.name} has rows; name an empty one.")


def _copy(connection: Connection, over: Connection, table: Table, progress: Progress) -> TableCopy:
    total = connection.scalar(select(func.count()).select_from(table)) or 0
    given, done = Digest(), 0
    progress(table.name, 0, total)
    for rows in _batches(connection, table):
        given.add(rows)
        try:
            over.execute(insert(table), [dict(row._mapping) for row in rows])
        except (DBAPIError, ValueError) as error:
            why = str(getattr(error, "orig", error)).strip().splitlines()[0]
            raise CopyError(f"A row of the table {table.name} does not fit into the destination: {why}.") from error
        done += len(rows)
        progress(table.name, done, total)
    came = Digest()
    for rows in _batches(over, table):
        came.add(rows)
    if (came.rows, came.text()) != (given.rows, given.text()):
        raise CopyError(
            f"The table {table.name} came over changed ({given.rows:,} rows and checksum {given.text()[:12]} there, "
            f"{came.rows:,} and {came.text()[:12]} here); nothing was kept."
        )
    return TableCopy(table.name, came.rows, came.text())


def _batches(connection: Connection, table: Table) -> Iterator[Sequence[Row[Any]]]:
    streamed = select(table).order_by(*table.primary_key).execution_options(yield_per=BATCH)
    result = connection.execute(streamed)
    yield from result.partitions(BATCH)


class Digest:
    """Counts rows and adds up their hashes, so that the order of rows, which two databases see differently, is
    nothing."""

    def __init__(self) -> None:
        self.rows = 0
        self._sum = 0

    def add(self, rows: Sequence[Row[Any]]) -> None:
        for row in rows:
            written = json.dumps([_plain(value) for value in row], sort_keys=True, separators=(",", ":"))
            self._sum += int.from_bytes(hashlib.sha256(written.encode()).digest(), "big")
        self.rows += len(rows)

    def text(self) -> str:
        return f"{self._sum % 2**256:064x}"


def _plain(value: Any) -> Any:
    return {"bytes": bytes(value).hex()} if isinstance(value, bytes | memoryview) else value


def _set_sequence(over: Connection, destination: Database, table: Table) -> None:
    """PostgreSQL numbers new rows from a sequence, which knows nothing of rows that brought their number."""
    (key, *more) = table.primary_key.columns
    if destination.is_sqlite or more or not isinstance(key.type, Integer):
        return
    name = over.scalar(select(func.pg_get_serial_sequence(f'"{table.name}"', key.name)))
    largest = over.scalar(select(func.max(key)))
    if name is not None and largest is not None:
        over.execute(select(func.setval(name, largest)))
