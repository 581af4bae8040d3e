"""What waits at each host is counted once for all, at most for a twentieth of the time."""

from __future__ import annotations

import itertools

import pytest
from sqlalchemy import update

from db import host_work
from db.controls import Controls, Setting
from db.frontier import take_slots
from db.ledger import now
from db.models import Asset, Host, HostCount, HostWork
from db.session import Database, epoch
from tests.db.test_frontier import add, row


def fill(database: Database) -> None:
    add(database, *(row(n, "big" if n < 5 else "small") for n in range(7)))


def took(database: Database, seconds: float) -> None:
    """As though the last count had taken so long."""
    database.write(lambda session: session.execute(update(HostCount).values(took=seconds)) and None)


def busiest(database: Database, controls: Controls | None = None) -> dict[str, int]:
    return {host.name: host.waiting for host in host_work.busiest(database, controls or Controls())}


def test_hosts_come_with_the_most_work_first_and_without_what_rests_or_is_paused(database: Database) -> None:
    fill(database)
    assert list(busiest(database).items()) == [("big", 5), ("small", 2)]
    assert busiest(database, Controls({"big": Setting(paused=True)})) == {"small": 2}
    until = database.read(now) + 60
    rest = Host(name="small", not_before=until, streak_429=0, failures=0, openings=0, next_start=0.0)
    database.write(lambda session: session.add(rest))
    assert busiest(database) == {"big": 5}


def test_a_long_count_is_not_repeated_for_twenty_times_as_long(database: Database) -> None:
    fill(database)
    busiest(database)
    took(database, 1.0)
    database.write(lambda session: session.execute(update(Asset).values(state="stored")) and None)
    assert busiest(database) == {"big": 5, "small": 2}, "the last count"
    took(database, 0.0)
    assert busiest(database) == {}


def test_a_clock_that_was_set_back_does_not_keep_an_old_count(database: Database) -> None:
    busiest(database)
    ahead = database.read(now) + 3600
    database.write(lambda session: session.execute(update(HostCount).values(took=1.0, counted=ahead)) and None)
    fill(database)
    assert busiest(database) == {"big": 5, "small": 2}


def test_a_clock_that_jumps_while_somebody_counts_makes_no_count_of_an_hour(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    hours = itertools.count(1)
    monkeypatch.setattr(host_work, "epoch", lambda: epoch() + 3600 * next(hours))
    fill(database)
    assert busiest(database) == {"big": 5, "small": 2}
    assert database.read(lambda session: session.get_one(HostCount, 1).took) < 60


@pytest.mark.parametrize("long", [False, True])
def test_what_waits_is_told_from_the_last_count_only_where_counting_takes_long(database: Database, long: bool) -> None:
    fill(database)
    busiest(database)
    took(database, 1.0 if long else 0.0)
    add(database, row(99, "late"))
    assert ("late" in database.read(host_work.waiting_by_host)) is not long


def test_there_is_room_by_the_last_count_or_else_by_looking_at_all_hosts(database: Database) -> None:
    fill(database)
    busiest(database)
    took(database, 1.0)
    for host in ("big", "small"):
        assert database.read(host_work.has_room)
        assert database.write(lambda session, host=host: take_slots(session, host, "t", 2, 2)) == 2
    assert not database.read(host_work.has_room)
    add(database, row(99, "late"))
    assert database.read(host_work.has_room), "the last count does not know it"


def test_nothing_that_was_counted_stays_when_it_is_counted_again(database: Database) -> None:
    fill(database)
    busiest(database)
    database.write(
        lambda session: session.execute(update(Asset).where(Asset.host == "small").values(host="x")) and None
    )
    took(database, 0.0)
    assert busiest(database) == {"big": 5, "x": 2}
    assert {work.host for work in database.read(lambda session: session.query(HostWork).all())} == {"big", "x"}
