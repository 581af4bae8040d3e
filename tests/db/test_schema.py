"""The tables: made from nothing, alike on both databases, refused when they do not fit."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text

from db import schema
from db.models import Base
from db.session import Database
from omnisrc import resources

MIGRATIONS = resources.migrations()


def execute(database: Database, statement: str) -> None:
    database.write(lambda session: session.execute(text(statement)) and None)


def test_upgrade_from_empty_gives_exactly_the_tables_of_the_models(empty_database: Database) -> None:
    assert schema.check(empty_database) == "empty"
    schema.upgrade(empty_database, MIGRATIONS)
    assert schema.check(empty_database) == "current"
    with empty_database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []


def test_upgrading_twice_changes_nothing(database: Database) -> None:
    schema.upgrade(database, MIGRATIONS)
    assert schema.check(database) == "current"


def test_the_version_is_the_newest_migration() -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_heads() == [schema.VERSION]


def test_a_newer_schema_is_refused(database: Database) -> None:
    execute(database, "update alembic_version set version_num = '9999'")
    for use in (lambda: schema.check(database), lambda: schema.upgrade(database, MIGRATIONS)):
        with pytest.raises(schema.SchemaError, match=r"newer omnisrc"):
            use()


def test_a_half_migrated_schema_is_refused(database: Database) -> None:
    execute(database, "drop table tombstone")
    with pytest.raises(schema.SchemaError, match=r"half-migrated"):
        schema.check(database)
    execute(database, "drop table alembic_version")
    with pytest.raises(schema.SchemaError, match=r"half-migrated"):
        schema.upgrade(database, MIGRATIONS)


def test_two_processes_may_upgrade_at_once(empty_database: Database) -> None:
    code = (
        "import sys; from pathlib import Path; from db import schema; from db.session import Database;"
        "schema.upgrade(Database(sys.argv[1]), Path(sys.argv[2]))"
    )
    url = empty_database.engine.url.render_as_string(hide_password=False)
    command = [sys.executable, "-c", code, url, str(MIGRATIONS)]
    root = Path(__file__).resolve().parents[2]
    running = [subprocess.Popen(command, cwd=root, stderr=subprocess.PIPE) for _ in range(3)]
    assert [(process.communicate()[1], process.returncode) for process in running] == [(b"", 0)] * 3
    assert schema.check(empty_database) == "current"
