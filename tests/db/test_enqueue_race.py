"""Two who add the same job at once: one of them adds it, and the other goes on."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from sqlalchemy import text

from db import ledger, schema
from db.session import Database
from omnisrc import resources
from tests.services import until


@pytest.fixture
def served(postgresql_url: str) -> Iterator[Database]:
    database = Database(postgresql_url)
    schema.upgrade(database, resources.migrations())
    yield database
    database.dispose()


def test_a_job_that_another_is_just_adding_is_added_once(served: Database) -> None:
    first_added, may_commit = threading.Event(), threading.Event()
    ids: dict[str, list[int | None]] = {"first": [], "second": []}

    def first(session) -> None:
        ids["first"].append(ledger.enqueue(session, "fetch", "drain 1"))
        first_added.set()
        assert may_commit.wait(20)

    def second(session) -> None:
        ids["second"].append(ledger.enqueue(session, "fetch", "drain 1"))
        ids["second"].append(ledger.enqueue(session, "fetch", "drain 2"))

    threads = [threading.Thread(target=served.write, args=(first,))]
    threads[0].start()
    assert first_added.wait(20)
    threads.append(threading.Thread(target=served.write, args=(second,)))
    threads[1].start()
    blocked = text("select count(*) from pg_stat_activity where wait_event_type = 'Lock'")
    until(lambda: served.read(lambda session: session.scalar(blocked)) == 1, 20)
    may_commit.set()
    for thread in threads:
        thread.join(20)
    assert ids["first"] == [1] and ids["second"][0] is None and ids["second"][1] is not None
    assert served.read(lambda session: ledger.open_jobs(session, ["fetch"])) == 2
