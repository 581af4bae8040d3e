"""A study's database moves between SQLite and PostgreSQL whole, or not at all."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sqlalchemy import func, insert, select, update

from db import copy, ledger, schema
from db.copy import CopyError, copy_database
from db.models import Asset, Base, ClassList, Job, Shard, Tombstone
from db.session import Database
from omnisrc import resources
from omnisrc.cli import main
from omnisrc.study import Study
from tests.db.filled import fill

MIGRATIONS = resources.migrations()


@pytest.fixture
def filled(tmp_path: Path) -> Database:
    """SQLite with rows in every table; more of one than a batch."""
    database = Database(f"sqlite:///{tmp_path / 'from.db'}")
    schema.upgrade(database, MIGRATIONS)
    fill(database)
    many = [{"kind": "url", "value": f"u{n}", "error": "opt-out", "reason": "", "created": 0.5} for n in range(2500)]
    database.write(lambda session: session.execute(insert(Tombstone), many))
    return database


def rows(database: Database) -> dict[str, list]:
    with database.engine.connect() as connection:
        return {
            table.name: sorted(map(repr, connection.execute(select(table)).all()))
            for table in Base.metadata.sorted_tables
        }


def count(database: Database, table: type[Base]) -> int:
    return database.read(lambda session: session.scalar(select(func.count()).select_from(table))) or 0


def test_every_row_goes_to_postgresql_and_back_and_new_rows_get_new_numbers(
    filled: Database, postgresql_url: str, tmp_path: Path
) -> None:
    server, again = Database(postgresql_url), Database(f"sqlite:///{tmp_path / 'again.db'}")
    told = copy_database(filled, server, MIGRATIONS)
    assert {table.name: table.rows for table in told} == {name: len(found) for name, found in rows(filled).items()}
    assert rows(server) == rows(filled)
    assert copy_database(server, again, MIGRATIONS) == told and rows(again) == rows(filled)
    for database in (server, again):
        job = database.write(lambda session: ledger.enqueue(session, "fetch", "new"))
        assert job == 4
        made = ClassList(name="x", sha256="x", created=0.0)
        database.write(lambda session, made=made: session.add(made) or session.flush())
        assert made.id == 4
        null = select(func.count()).select_from(Tombstone).where(Tombstone.evidence.is_(None))
        assert database.read(lambda session, null=null: session.scalar(null)) == 2502
        database.dispose()


def test_a_filled_destination_is_refused_and_stays_as_it_was(filled: Database, postgresql_url: str) -> None:
    server = Database(postgresql_url)
    schema.upgrade(server, MIGRATIONS)
    server.write(lambda session: ledger.enqueue(session, "fetch", "mine"))
    before = rows(server)
    with pytest.raises(CopyError, match="not empty: its table job"):
        copy_database(filled, server, MIGRATIONS)
    assert rows(server) == before
    server.dispose()


def test_jobs_in_hand_are_refused(filled: Database, tmp_path: Path) -> None:
    there = Database(f"sqlite:///{tmp_path / 'there.db'}")
    filled.write(lambda session: session.execute(update(Job).where(Job.id == 1).values(state="leased")))
    with pytest.raises(CopyError, match=r"1 jobs .* are being worked on"):
        copy_database(filled, there, MIGRATIONS)
    assert count(there, Job) == 0


@pytest.mark.parametrize("far", [True, False])
def test_a_row_that_does_not_fit_leaves_nothing_behind(filled: Database, postgresql_url: str, far: bool) -> None:
    """SQLite keeps texts and numbers that are too long for their columns."""
    long = update(Asset).values(provider="x" * 51) if far else update(Shard).where(Shard.id == 2).values(count=2**40)
    filled.write(lambda session: session.execute(long) and None)
    server = Database(postgresql_url)
    with pytest.raises(CopyError, match="asset" if far else "shard"):
        copy_database(filled, server, MIGRATIONS)
    assert not any(rows(server).values())
    server.dispose()


def test_what_comes_over_changed_is_not_kept(filled: Database, postgresql_url: str) -> None:
    server = Database(postgresql_url)
    schema.upgrade(server, MIGRATIONS)
    trigger = """
        create function other() returns trigger as $$ begin new.title := 'other'; return new; end $$ language plpgsql;
        create trigger other before insert on asset for each row execute function other();
    """
    with server.engine.begin() as connection:
        connection.exec_driver_sql(trigger)
    with pytest.raises(CopyError, match="The table asset came over changed"):
        copy_database(filled, server, MIGRATIONS)
    assert not any(rows(server).values())
    server.dispose()


def test_a_copy_that_is_killed_half_way_leaves_nothing(filled: Database, postgresql_url: str) -> None:
    server = Database(postgresql_url)

    def die(name: str, done: int, total: int) -> None:
        if name == "tombstone" and done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        copy_database(filled, server, MIGRATIONS, die)
    assert not any(rows(server).values())
    assert sum(table.rows for table in copy_database(filled, server, MIGRATIONS)) > 2500
    server.dispose()


def test_the_digest_sees_values_and_not_their_order(filled: Database) -> None:
    def digest(*given: tuple) -> str:
        made = copy.Digest()
        made.add(given)
        return made.text()

    assert digest((1, "a"), (2, "b")) == digest((2, "b"), (1, "a"))
    assert len({digest((1, "a")), digest((1, "b")), digest(("1", "a")), digest((1, None)), digest((1.5, b"a"))}) == 5


def test_the_command_copies_and_says_what_to_set(
    tmp_path: Path, postgresql_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace = tmp_path / "study"
    assert main.run(["init", "--workspace", str(workspace)]) == 0
    study = Study.open(workspace)
    fill(study.database())
    study.database().dispose()
    capsys.readouterr()
    assert main.run(["db", "copy", postgresql_url, "--workspace", str(workspace), "--json"]) == 0
    said = capsys.readouterr()
    answer = json.loads(said.out)
    assert answer["tables"]["asset"]["rows"] == 3 and len(answer["tables"]) == len(Base.metadata.tables)
    assert "database: {url:" in said.err and "omnisrc.yaml" in said.err
    moved = Study.open(workspace, (f"database.url={postgresql_url}",)).database()
    assert count(moved, Asset) == 3
    moved.dispose()
    for arguments, words in (
        ([postgresql_url], "not empty"),
        ([postgresql_url, "--from", f"sqlite:///{tmp_path / 'none.db'}"], "There is no database"),
        (["mysql://x/y"], "not supported"),
    ):
        code = main.run(["db", "copy", *arguments, "--workspace", str(workspace)])
        lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("omnisrc:")]
        assert code in (1, 2) and len(lines) == 1 and words in lines[0], arguments
    assert not (tmp_path / "none.db").exists()
