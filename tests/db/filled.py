"""A database with rows in every table, of values that two databases could read differently."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, BigInteger, Boolean, Column, Float, Integer, LargeBinary, insert

from db.models import Base
from db.session import Database


def value(column: Column, number: int) -> Any:
    """A value of a column for its table's row `number`, of which no two are alike in one table."""
    kind = column.type
    if column.foreign_keys:
        return number
    if isinstance(kind, Boolean):
        return number % 2 == 0
    if column.primary_key and isinstance(kind, Integer):
        return number
    if isinstance(kind, BigInteger):
        return 2**40 + number
    if isinstance(kind, Integer):
        return number
    if isinstance(kind, Float):
        return number + 0.1
    if isinstance(kind, LargeBinary):
        return bytes([0, 255, number % 256] * 10)[:32]
    if isinstance(kind, JSON):
        return None if column.nullable and number % 2 else {"ä": [number, 0.1, None, "\u2028"], "b": {"c": True}}
    return f"{number} żółw 龟"[: kind.length or 50]


def fill(database: Database, rows: int = 3) -> None:
    """Rows 1 to `rows` in every table; no job is leased."""
    with database.engine.execution_options(writing=True).begin() as connection:
        for table in Base.metadata.sorted_tables:
            made = [{column.name: value(column, n) for column in table.columns} for n in range(1, rows + 1)]
            connection.execute(insert(table), made)
