"""The frontier goes by index: what each question touches is told by the databases' own plans."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Connection, event, func, select, text, update
from sqlalchemy.orm import Session

from db import catalogue, frontier, host_work
from db.controls import Controls, Setting
from db.insert import insert_missing
from db.ledger import claim, enqueue, now
from db.lookup import rows_among
from db.models import Asset, Host, HostSlot
from db.session import Database
from omnisrc.crawl.control import pause
from omnisrc.crawl.jobs import FETCH_PRIORITY, add_discover, add_fetch

ROWS = 8_000


def row(number: int, host: str, **more: object) -> dict[str, object]:
    plain = {
        "url": f"http://{host}/{number}", "url_sha256": f"{number:064x}", "host": host, "kind": "image",
        "provider": "table", "state": "waiting", "priority": number % 97, "attempts": 0, "losses": 0, "strikes": 0,
        "not_before": 0.0, "title": None, "found_width": None, "found_duration": None,
    }  # fmt: skip
    return {**plain, **more}


def add(database: Database, *rows: dict[str, object]) -> None:
    database.write(lambda session: insert_missing(session, Asset, rows))


@pytest.fixture(params=["analysed", "new"])
def full(request: pytest.FixtureRequest, database: Database) -> Database:
    """Many assets, half of them at one host; the planner knows them, or, in a study that is new, guesses."""
    add(database, *(row(n, "big" if n % 2 else f"h{n % 40:02d}") for n in range(ROWS)))
    if request.param == "analysed":
        database.write(lambda session: session.execute(text("ANALYZE")) and None)
    return database


@contextmanager
def statements(database: Database) -> Iterator[list[tuple[str, object]]]:
    """The statements that a block sends, with their parameters."""
    seen: list[tuple[str, object]] = []

    def note(connection: Connection, cursor: object, statement: str, parameters: object, *_: object) -> None:
        seen.append((statement, parameters))

    event.listen(database.engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(database.engine, "before_cursor_execute", note)


def plans(database: Database, ask: Callable[[Session], object]) -> str:
    """How the database goes about the statements of `ask` that read assets.

    PostgreSQL is told to prefer an index: it does so by itself for a table that is larger than a test's.
    """
    with statements(database) as seen:
        database.write(ask)
    prefix = "EXPLAIN QUERY PLAN " if database.is_sqlite else "EXPLAIN "
    lines: list[str] = []
    with database.engine.connect() as connection:
        if not database.is_sqlite:
            connection.exec_driver_sql("SET enable_seqscan = off; SET enable_bitmapscan = off")
        for statement, parameters in seen:
            if "asset" in statement and statement.startswith(("SELECT", "WITH")):
                rows = connection.exec_driver_sql(prefix + statement, parameters).all()
                lines += [str(row[-1]) for row in rows]
    return "\n".join(lines)


QUESTIONS: dict[str, Callable[[Session], object]] = {
    "claim": lambda s: frontier.claim_assets(s, "big", "t", 16),
    "wait": frontier.next_wait,
    "room": frontier.has_room,
    "ready": lambda s: frontier.ready(s, 1000),
    "held": frontier.held_by_host,
    "looked up": lambda s: list(rows_among(s, select(Asset.id), Asset.url_sha256, [f"{n:064x}" for n in range(500)])),
}


@pytest.mark.parametrize("question", QUESTIONS)
def test_no_question_of_a_batch_reads_the_table_or_sorts_what_waits(full: Database, question: str) -> None:
    plan = plans(full, QUESTIONS[question])
    assert plan
    sorts = () if question in ("held", "looked up") else ("USE TEMP B-TREE FOR ORDER BY", "Sort")  # these sort a few
    for bad in ("SCAN asset\n", "Seq Scan on asset", *sorts):
        assert bad not in plan + "\n", plan


@pytest.mark.parametrize("count", [host_work._count, frontier.waiting_by_host, catalogue.asset_counts])
def test_counts_read_an_index_alone(full: Database, count: Callable[[Session], object]) -> None:
    if not full.is_sqlite:  # PostgreSQL reads no index alone before VACUUM has seen the pages
        with full.engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            connection.execute(text("VACUUM asset"))
    plan = plans(full, count)
    assert "USING COVERING INDEX ix_asset_" in plan or "Index Only Scan using ix_asset_" in plan, plan


def test_a_wait_ends_with_the_first_host_that_may_be_asked(database: Database) -> None:
    moment = database.read(now)
    add(database, *(row(n, "a", not_before=moment + 50 + n) for n in range(3)), row(9, "b", provider="folder"))
    assert database.read(frontier.next_wait) == 0.0
    rest = Host(name="b", not_before=moment + 80, streak_429=0, failures=0, openings=0, next_start=0.0)
    database.write(lambda session: session.add(rest))
    assert 40 < (database.read(frontier.next_wait) or 0) <= 50, "a's first asset"
    for scope, least, most in (("a", 70, 80), ("provider:table", 70, 80), ("b", 40, 50), ("provider:folder", 40, 50)):
        given = Controls({scope: Setting(paused=True)})
        wait = database.read(lambda s, given=given: frontier.next_wait(s, given))
        assert wait is not None and least < wait <= most, scope
    assert database.read(lambda s: frontier.next_wait(s, Controls({"all": Setting(paused=True)}))) is None
    database.write(lambda s: s.execute(update(Asset).values(lease_token="t")) and None)
    assert database.read(frontier.next_wait) == 1.0, "what is in hand may come back"
    database.write(lambda s: s.execute(update(Asset).values(state="stored")) and None)
    assert database.read(frontier.next_wait) is None


def test_there_is_room_where_a_host_with_work_has_a_slot(database: Database) -> None:
    assert not database.read(frontier.has_room)
    add(database, row(1, "a"), row(2, "b", not_before=database.read(now) + 99))
    assert database.read(frontier.has_room), "nobody has asked it yet"
    assert database.write(lambda s: frontier.take_slots(s, "a", "t", 5, 3)) == 3
    assert not database.read(frontier.has_room)
    database.write(lambda s: frontier.free_slots(s, "a", "t"))
    assert database.read(frontier.has_room)
    assert not database.read(lambda s: frontier.has_room(s, Controls({"a": Setting(paused=True)})))
    assert database.write(lambda s: frontier.take_slots(s, "a", "t", 5, 2)) == 2
    assert not database.read(frontier.has_room), "a slot that the host has no more is no room"
    assert database.read(lambda s: s.scalar(select(func.count()).select_from(HostSlot))) == 2


def fetches(database: Database) -> int:
    return database.read(lambda s: s.scalar(text("select count(*) from job where state = 'waiting'"))) or 0


def lease_all(database: Database) -> None:
    database.write(lambda s: s.execute(text("update job set state = 'leased'")) and None)


def test_there_is_a_fetch_job_for_whoever_is_idle_while_a_host_has_room(database: Database) -> None:
    add(database, *(row(n, host) for n, host in enumerate("abc")))
    for running, host in enumerate("abc"):
        for _ in range(2):
            database.write(lambda s: add_fetch(s, 0, []))
            assert fetches(database) == 1, "one waits, and no more than one"
        lease_all(database)
        database.write(lambda s, host=host, t=f"t{running}": frontier.take_slots(s, host, t, 9, 2) and None)
    database.write(lambda s: add_fetch(s, 0, []))
    assert fetches(database) == 0, "a fourth would find no slot"
    database.write(lambda s: frontier.free_slots(s, "a", "t0"))
    database.write(lambda s: add_fetch(s, 3, []))
    assert fetches(database) == 0, "a person allowed three"
    database.write(lambda s: pause(s, "a") and None)
    database.write(lambda s: add_fetch(s, 0, []))
    assert fetches(database) == 0
    database.write(lambda s: enqueue(s, "fetch", "other") and None)


def test_rows_that_are_there_are_left_as_they_are(database: Database) -> None:
    add(database, row(1, "a", title="first"))
    add(database, row(1, "a", title="second"), row(2, "b", title="é, \"{}\\ 'x'", found_width=7, found_duration=1.5))
    rows = database.read(lambda s: s.execute(select(Asset.title, Asset.found_width, Asset.found_duration)).all())
    assert sorted(map(tuple, rows)) == [("first", None, None), ("é, \"{}\\ 'x'", 7, 1.5)]


def test_a_page_that_costs_no_call_goes_before_fetching_while_little_waits(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def first() -> str:
        lease = claim(database, ["discover", "fetch"], "me", 60.0)
        assert lease is not None
        database.write(lambda s: s.execute(text("delete from job")) and None)
        return lease.stage

    def both(costs_a_call: bool) -> None:
        database.write(lambda s: add_discover(s, 1, 3, [], costs_a_call))
        database.write(lambda s: enqueue(s, "fetch", "drain", priority=FETCH_PRIORITY) and None)

    add(database, *(row(n, "a") for n in range(10)))
    both(costs_a_call=False)
    assert first() == "discover"
    both(costs_a_call=True)
    assert first() == "fetch"
    monkeypatch.setattr("omnisrc.crawl.jobs.ENOUGH_WAIT", 10)
    both(costs_a_call=False)
    assert first() == "fetch", "enough waits"
