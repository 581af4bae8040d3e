"""The version of the tables: upgrade from empty, and refuse what this program does not know."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from db.models import Base
from db.session import Database

VERSION = "0001"  # the newest migration; a test holds that it is
LOCK = 0x6F6D6E69  # of PostgreSQL: one upgrade at a time


class SchemaError(Exception):
    """The tables do not fit this program, as one sentence."""


def upgrade(database: Database, migrations: Path) -> None:
    """Brings the tables to `VERSION` in one transaction; two processes may call it at once.

    Raises:
        SchemaError: the tables are newer than this program, or half-migrated.
    """
    from alembic import command  # 0.2 s, and rarely needed
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(migrations).replace("%", "%%"))
    with database.engine.execution_options(writing=True).begin() as connection:
        if not database.is_sqlite:
            connection.execute(text("select pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
        state = _state(connection)
        if state == "current":
            return
        if state not in ("empty", "older"):
            raise SchemaError(_sentence(state, database))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def check(database: Database) -> str:
    """`current`, `empty` or `older`.

    Raises:
        SchemaError: the tables are newer than this program, or half-migrated.
    """
    with database.engine.connect() as connection:
        state = _state(connection)
    if state in ("newer", "half"):
        raise SchemaError(_sentence(state, database))
    return state


def _state(connection: Connection) -> str:
    tables = set(inspect(connection).get_table_names())
    ours = set(Base.metadata.tables)
    if "alembic_version" not in tables:
        return "half" if tables & ours else "empty"
    versions = list(connection.scalars(text("select version_num from alembic_version")))
    if len(versions) != 1:
        return "half" if tables & ours or versions else "empty"
    if versions[0] == VERSION:
        return "current" if ours <= tables else "half"
    return "older" if versions[0] < VERSION else "newer"


def _sentence(state: str, database: Database) -> str:
    place = database.engine.url.render_as_string(hide_password=True)
    if state == "newer":
        return f"The database {place} was made by a newer omnisrc; upgrade the program before you use it."
    return f"The database {place} is half-migrated: some of its tables are missing; restore a copy or start a new one."
