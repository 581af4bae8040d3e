"""Transactions: a database that somebody else holds is waited for, and what cannot be opened is a sentence."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import create_engine, select, text

from db import schema
from db.models import Tombstone
from db.session import Database, DatabaseError
from omnisrc import resources
from omnisrc.study import Study

HOLD_S = 5


def test_a_database_that_another_process_holds_is_waited_for(study: Study) -> None:
    code = (
        "import sqlite3, sys, time; c = sqlite3.connect(sys.argv[1], isolation_level=None);"
        f"c.execute('begin exclusive'); print('held', flush=True); time.sleep({HOLD_S}); c.execute('commit')"
    )
    path = study.root / "catalog.db"
    holder = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None and holder.stdout.readline() == "held\n"
    began = time.monotonic()
    study.database().write(lambda session: session.add(Tombstone(kind="test", value="late", created=0.0)))
    assert time.monotonic() - began > HOLD_S / 2, "it was not held"
    assert holder.wait() == 0
    assert study.database().read(lambda session: session.scalars(select(Tombstone.value)).all()) == ["late"]


def test_a_change_that_fails_leaves_nothing(database: Database) -> None:
    def change(session: object) -> None:
        session.add(Tombstone(kind="test", value="half", created=0.0))  # type: ignore[attr-defined]
        session.flush()  # type: ignore[attr-defined]
        raise KeyError("in the middle")

    with pytest.raises(KeyError):
        database.write(change)
    assert database.read(lambda session: session.scalars(select(Tombstone)).all()) == []


@pytest.mark.parametrize(
    ("url", "says"),
    [("nonsense", "not a database URL"), ("mysql://a@b/c", "not supported"), ("", "not a database URL")],
)
def test_what_is_no_database_is_one_sentence(url: str, says: str) -> None:
    with pytest.raises(DatabaseError, match=says):
        Database(url)


def test_a_connection_that_was_cut_is_made_anew(postgresql_url: str) -> None:
    from db import schema
    from omnisrc import resources

    database = Database(postgresql_url)
    schema.upgrade(database, resources.migrations())
    database.read(lambda session: session.scalars(select(Tombstone)).all())
    other = Database(postgresql_url)
    cut = "select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid()"
    cut += " and datname = current_database()"
    other.write(lambda session: session.connection().exec_driver_sql(cut) and None)
    database.write(lambda session: session.add(Tombstone(kind="test", value="after", created=0.0)))
    assert database.read(lambda session: session.scalars(select(Tombstone.value)).all()) == ["after"]
    database.dispose()
    other.dispose()


def test_the_file_of_a_study_is_made_where_it_is_named(tmp_path: Path) -> None:
    study = Study.open(tmp_path / "a", ["database.url=sqlite:///" + str(tmp_path / "elsewhere.db")])
    assert study.database_url == f"sqlite:///{tmp_path}/elsewhere.db"


def test_a_database_without_an_encoding_keeps_text(postgresql_server: str) -> None:
    admin = create_engine(postgresql_server, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text("create database plain encoding 'SQL_ASCII' locale 'C' template template0"))
    admin.dispose()
    database = Database(postgresql_server.rpartition("/")[0] + "/plain")
    schema.upgrade(database, resources.migrations())
    assert schema.check(database) == "current"
    database.write(lambda session: session.add(Tombstone(kind="test", value="Zürich", created=0.0)))
    assert database.read(lambda session: session.scalar(select(Tombstone.value))) == "Zürich"
    database.dispose()
