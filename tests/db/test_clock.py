"""A database's clock that was set back: what waited goes on waiting for as long as it should, and no longer."""

from __future__ import annotations

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from db import clock, ledger
from db.models import Asset, Clock, Host, Job
from db.session import Database

HOUR = 3600.0


def set_back(database: Database, seconds: float) -> None:
    """What the tables look like after the clock went back: the same as if all times in them were later."""

    def write(session: Session) -> None:
        for column in (*clock.NOT_BEFORE, Job.lease_until, Clock.seen):
            session.execute(update(column.class_).where(column > 0).values({column: column + seconds}))

    database.write(write)


def fill(database: Database) -> None:
    """An asset, a host and jobs that wait for 100 s, and a job that is held for 600."""

    def write(session: Session) -> None:
        now = ledger.now(session)
        for name, not_before in (("now", 0.0), ("due", now - 50.0), ("later", now + 100.0)):
            session.add(
                Asset(url=name, url_sha256=name, host="a:80", kind="image", provider="t", not_before=not_before)
            )
        session.add(Host(name="a:80", not_before=now + 100.0, next_start=now + 1.0))
        for subject in ("held", "waiting"):
            ledger.enqueue(session, "fetch", subject)

    database.write(write)
    lease = ledger.claim(database, ["fetch"], "elsewhere|boot|1|1", 600.0)
    assert lease is not None and lease.subject == "held"
    database.write(
        lambda s: s.execute(update(Job).where(Job.state == "waiting").values(not_before=ledger.now(s) + 100))
    )
    clock.watch(database)


def waits(database: Database) -> dict[str, float]:
    """Seconds that everything waits still."""

    def read(session: Session) -> dict[str, float]:
        now = ledger.now(session)
        found = {url: time - now for url, time in session.execute(select(Asset.url, Asset.not_before))}
        host, held = session.get_one(Host, "a:80"), session.scalar(select(Job.lease_until).where(Job.state == "leased"))
        job = session.scalar(select(Job.not_before).where(Job.state == "waiting"))
        assert held is not None and job is not None
        return {
            **found,
            "host": host.not_before - now,
            "start": host.next_start - now,
            "job": job - now,
            "held": held - now,
        }

    return database.read(read)


def test_a_clock_set_back_by_an_hour_stalls_nothing(database: Database) -> None:
    fill(database)
    set_back(database, HOUR)
    assert waits(database)["host"] == pytest.approx(HOUR + 100.0, abs=30.0)
    assert clock.watch(database) == pytest.approx(HOUR, abs=30.0)
    after = waits(database)
    for name, expected in {"host": 100.0, "later": 100.0, "job": 100.0, "held": 600.0}.items():
        assert after[name] == pytest.approx(expected, abs=30.0), name
    assert max(after["now"], after["due"]) <= 0.0 and after["start"] <= 30.0
    assert clock.watch(database) == 0.0
    assert waits(database)["host"] == pytest.approx(after["host"], abs=30.0), "moved twice"


def test_a_lease_that_was_over_before_ends_soon(database: Database) -> None:
    fill(database)
    database.write(
        lambda s: s.execute(update(Job).where(Job.state == "leased").values(lease_until=ledger.now(s) - 1.0))
    )
    set_back(database, HOUR)
    clock.watch(database)
    assert waits(database)["held"] <= clock.GRACE_S


def test_a_lease_renewed_since_is_left_alone(database: Database) -> None:
    fill(database)
    set_back(database, HOUR)
    database.write(
        lambda s: s.execute(update(Job).where(Job.state == "leased").values(lease_until=ledger.now(s) + 60.0))
    )
    clock.watch(database)
    assert 30.0 < waits(database)["held"] <= 60.0


def test_a_clock_that_runs_or_goes_forward_moves_nothing(database: Database) -> None:
    fill(database)
    before = waits(database)
    set_back(database, -HOUR)
    assert clock.watch(database) == 0.0
    assert waits(database)["host"] == pytest.approx(before["host"] - HOUR, abs=30.0)
    set_back(database, 5.0)
    assert clock.watch(database) == 0.0
