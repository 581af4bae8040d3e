"""The ledger: at least once delivered, exactly once in effect, blame on the item."""

from __future__ import annotations

import threading
from collections import Counter
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from db import frontier, ledger
from db.ledger import Lease, LeaseLost
from db.models import Asset, Job, Tombstone
from db.session import Database, epoch

LEASE_S = 600.0


def add(database: Database, *subjects: str, stage: str = "segment", **params: object) -> list[int | None]:
    return database.write(lambda session: [ledger.enqueue(session, stage, subject, params) for subject in subjects])


def take(database: Database, owner: str = "me", stage: str = "segment") -> Lease | None:
    return ledger.claim(database, [stage], owner, LEASE_S)


def commit(database: Database, lease: Lease) -> None:
    """The effect of a job: one tombstone with the name of its subject."""

    def write(session: Session) -> None:
        ledger.check(session, lease)
        session.add(Tombstone(kind="test", value=lease.subject, reason="", created=0.0))
        ledger.finish(session, lease)

    database.write(write)


def effects(database: Database) -> Counter[str]:
    return Counter(database.read(lambda session: session.scalars(select(Tombstone.value)).all()))


def expire(database: Database, lease: Lease) -> None:
    database.write(lambda s: s.execute(update(Job).where(Job.id == lease.job_id).values(lease_until=0.0)) and None)


def state(database: Database, job_id: int) -> Job:
    return database.read(lambda session: session.get_one(Job, job_id))


def add_assets(database: Database, number: int, host: str = "a.example:80") -> None:
    def write(session: Session) -> None:
        for at in range(number):
            url = f"http://{host}/{at}"
            session.add(
                Asset(url=url, url_sha256=f"{host}{at}", host=host, kind="image", provider="table", priority=at)
            )

    database.write(write)


def test_the_same_job_is_added_once(database: Database) -> None:
    assert add(database, "a", "b")[0] is not None
    assert add(database, "a") == [None]
    assert add(database, "a", rule="other")[0] is not None


def test_a_job_is_held_by_one_worker_at_a_time(database: Database) -> None:
    add(database, "a")
    assert take(database) is not None
    assert take(database, "another") is None


def test_many_claimers_at_once_get_each_job_once(database: Database) -> None:
    add(database, *[f"s{number}" for number in range(40)])
    got: list[str] = []

    def work() -> None:
        while (lease := take(database)) is not None:
            got.append(lease.subject)
            commit(database, lease)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got) == sorted(f"s{number}" for number in range(40))
    assert effects(database) == Counter(got)


def test_a_worker_whose_lease_ended_cannot_commit(database: Database) -> None:
    add(database, "a")
    slow = take(database, "slow")
    assert slow is not None
    expire(database, slow)
    assert ledger.reap(database) == 1
    quick = take(database, "quick")
    assert quick is not None and quick.token != slow.token
    with pytest.raises(LeaseLost):
        commit(database, slow)  # while another holds it
    assert effects(database) == {}
    commit(database, quick)
    with pytest.raises(LeaseLost):
        commit(database, slow)
    with pytest.raises(LeaseLost):
        ledger.renew(database, slow, LEASE_S)
    assert effects(database) == {"a": 1}


def test_a_renewed_lease_is_not_reaped_and_a_dead_owner_s_is(database: Database) -> None:
    add(database, "a")
    lease = take(database, "owner")
    assert lease is not None
    expire(database, lease)
    ledger.renew(database, lease, LEASE_S)
    assert ledger.reap(database) == 0
    assert ledger.reap(database, lambda owner: owner == "owner") == 1
    assert state(database, lease.job_id).losses == 1


def test_the_journalled_item_alone_is_blamed(database: Database) -> None:
    add(database, "a")
    for _ in range(ledger.MAX_STRIKES):
        lease = take(database)
        assert lease is not None
        ledger.journal(database, lease, "blob-2")
        assert ledger.reap(database, lambda owner: True) == 1
    last = take(database)
    assert last is not None and last.strikes == {"blob-2": ledger.MAX_STRIKES}


def test_a_job_that_only_kills_is_given_up(database: Database) -> None:
    [job_id] = add(database, "a")
    for _ in range(ledger.MAX_LOSSES):
        assert take(database) is not None
        ledger.reap(database, lambda owner: True)
    assert take(database) is None
    assert job_id is not None
    assert (state(database, job_id).state, state(database, job_id).error) == ("failed", "worker-lost")


def test_a_job_put_back_waits_its_delay(database: Database) -> None:
    add(database, "a")
    lease = take(database)
    assert lease is not None
    database.write(lambda session: ledger.put_back(session, lease, 3600.0, "connect", "no route"))
    assert take(database) is None
    database.write(lambda s: s.execute(update(Job).values(not_before=0.0)) and None)
    again = take(database)
    assert again is not None and again.attempts == 1


def test_a_dead_worker_s_assets_and_slots_are_free_again(database: Database) -> None:
    add_assets(database, 5)
    add(database, "drain", stage="fetch")
    lease = take(database, stage="fetch")
    assert lease is not None
    held = database.write(lambda s: [a.id for a in frontier.claim_assets(s, "a.example:80", lease.token, 3)])
    assert len(held) == 3
    assert database.write(lambda s: frontier.take_slots(s, "a.example:80", lease.token, 5, 2)) == 2
    assert database.write(lambda s: frontier.take_slots(s, "a.example:80", "other", 5, 2)) == 0
    ledger.reap(database, lambda owner: True)
    assert database.write(lambda s: frontier.take_slots(s, "a.example:80", "other", 5, 2)) == 2
    assert database.read(frontier.waiting_by_host) == {"a.example:80": 5}
    losses = database.read(lambda s: s.scalars(select(Asset.losses).order_by(Asset.id)).all())
    assert losses == [1, 1, 1, 0, 0]


def test_only_an_asset_that_was_alone_is_set_aside(database: Database) -> None:
    add_assets(database, 3)
    for death in range(20):
        add(database, f"drain-{death}", stage="fetch")
        lease = take(database, stage="fetch")
        assert lease is not None

        def claim(session: Session, token: str = lease.token) -> list[str]:
            return [asset.url for asset in frontier.claim_assets(session, "a.example:80", token, 8)]

        urls = database.write(claim)
        if any(url.endswith("/1") for url in urls):
            ledger.reap(database, lambda owner: True)  # asset 1 kills whoever holds it
        else:
            done = database.write(
                lambda s, urls=urls: s.execute(update(Asset).where(Asset.url.in_(urls)).values(state="stored"))
            )
            assert done is not None
            database.write(lambda s, lease=lease: ledger.finish(s, lease))
    rows = database.read(lambda s: s.execute(select(Asset.state, Asset.error).order_by(Asset.id)).all())
    assert [tuple(row) for row in rows] == [("stored", None), ("failed", "worker-lost"), ("stored", None)]


def test_the_clock_is_the_database_s(database: Database) -> None:
    import time

    moment = database.read(lambda session: session.scalar(select(epoch())))
    assert abs((moment or 0.0) - time.time()) < 60


ACTIONS = st.lists(
    st.tuples(st.sampled_from(["claim", "commit", "die", "stall", "reap", "put back"]), st.integers(0, 3)), max_size=60
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(actions=ACTIONS)
def test_whatever_happens_each_job_has_its_effect_exactly_once(actions: list[tuple[str, int]]) -> None:
    from pathlib import Path
    from tempfile import TemporaryDirectory

    from db.models import Base

    with TemporaryDirectory() as place:
        database = Database(f"sqlite:///{Path(place) / 'x.db'}")
        Base.metadata.create_all(database.engine)
        add(database, "a", "b", "c")
        held: dict[int, Lease] = {}
        for action, worker in actions:
            lease = held.get(worker)
            if action == "claim" and lease is None:
                held |= {worker: taken} if (taken := take(database, f"w{worker}")) else {}
            elif action == "commit" and lease is not None:
                with suppress(LeaseLost):
                    commit(database, lease)
                held.pop(worker)
            elif action == "die" and lease is not None:
                held.pop(worker)
                ledger.reap(database, lambda owner, worker=worker: owner == f"w{worker}")
            elif action == "stall" and lease is not None:
                expire(database, lease)
            elif action == "reap":
                ledger.reap(database)
            elif action == "put back" and lease is not None:
                with suppress(LeaseLost):
                    database.write(lambda s, lease=lease: ledger.put_back(s, lease, 0.0))
                held.pop(worker)
        ledger.reap(database, lambda owner: True)
        while (lease := take(database)) is not None:
            commit(database, lease)
        assert effects(database) == {"a": 1, "b": 1, "c": 1}
        database.dispose()


def test_two_who_add_the_same_job_at_once_add_it_once(database: Database) -> None:
    """The second looks before the first has committed, and inserts after it."""
    added: list[int | None] = []
    looked, both = threading.Barrier(2), not database.is_sqlite  # SQLite lets one write at a time

    def add_one() -> None:
        def write(session: Session) -> int | None:
            session.scalar(select(Job.id).limit(1))
            if both:
                looked.wait(30)
            return ledger.enqueue(session, "fetch", "drain 1")

        added.append(database.write(write))

    threads = [threading.Thread(target=add_one) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(added) == 2 and len([job_id for job_id in added if job_id is not None]) == 1
    assert database.read(lambda session: session.scalars(select(Job.subject)).all()) == ["drain 1"]
