from __future__ import annotations

from collections.abc import Sequence

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from db import host_work
from db.controls import set_paused
from db.ledger import claim, enqueue
from db.models import ActionClass, Asset, ClassList, Control, HostSlot, Query
from db.session import Database
from omnisrc.crawl.claims import Claims, HostShare
from omnisrc.crawl.control import parse_scope
from omnisrc.crawl.finds import record_finds
from omnisrc.crawl.providers.provider import Candidate
from omnisrc.crawl.settings import CrawlSettings, HostSettings
from omnisrc.crawl.site_store import HostTableStore
from omnisrc.web.hosts import Pace


def fill(database: Database, **counts: int) -> None:
    def write(session) -> None:
        for host, count in counts.items():
            for n in range(count):
                url = f"http://{host}/{n}"
                session.add(
                    Asset(url=url, url_sha256=url, host=f"{host}:80", kind="image", provider="table", priority=n)
                )

    database.write(write)


def claims(database: Database, token: str = "t", drains: int = 1, **given: object) -> Claims:
    return Claims(database, token, CrawlSettings(**given), HostTableStore(), drains)


def taken(shares: Sequence[HostShare]) -> dict[str, int]:
    return {share.site: share.pace.concurrency for share in shares}


def slots(database: Database, token: str) -> int:
    return len(database.read(lambda s: s.scalars(select(HostSlot.slot).where(HostSlot.token == token)).all()))


def test_two_drains_share_a_hosts_slots_and_its_pace(database: Database) -> None:
    fill(database, a=100)
    first, second = (claims(database, t, 2, host_concurrency=5, host_rate=10.0) for t in ("t1", "t2"))
    one, two, none = first.hosts(99, []), second.hosts(99, []), claims(database, "t3").hosts(99, [])
    assert (taken(one), taken(two), none) == ({"a:80": 3}, {"a:80": 2}, [])
    rate = sum(1 / share.pace.interval_s for share in (*one, *two))
    assert abs(rate - 10.0) < 1e-9
    assert [share.pace.part for share in (*one, *two)] == [0.6, 0.4]
    assert {a.id for a in one[0].assets}.isdisjoint(a.id for a in two[0].assets)


def test_slots_go_to_as_many_hosts_as_there_is_room_for(database: Database) -> None:
    fill(database, a=50, b=40, c=1, d=30)
    got = claims(database, host_concurrency=4).hosts(10, ["b:80"])
    assert taken(got) == {"a:80": 4, "d:80": 4, "c:80": 1}


def test_one_hosts_own_settings_and_what_a_person_set_while_it_runs(database: Database) -> None:
    fill(database, a=50, b=50, c=50)
    database.write(lambda s: s.add(Control(scope="c:80", concurrency=1, rate=0.5, changed=0.0)))
    hosts = {"a": HostSettings(concurrency=7), "b:80": HostSettings(rate=0.0)}
    got = {share.site: share.pace for share in claims(database, host_concurrency=2, hosts=hosts).hosts(99, [])}
    assert got == {"a:80": Pace(7, 0.25), "b:80": Pace(2, 0.0), "c:80": Pace(1, 2.0)}


def test_the_slots_of_a_host_that_is_worked_off_are_free_for_others(database: Database) -> None:
    fill(database, a=3)
    mine = claims(database, "t1", host_concurrency=2)
    (share,) = mine.hosts(9, [])
    assert len(share.assets) == 3 and mine.more(share) == []
    mine.let_go("a:80", 0.0)
    assert slots(database, "t1") == 0


def test_a_long_wait_keeps_others_from_the_host(database: Database) -> None:
    fill(database, a=300)
    mine = claims(database, "t1")
    mine.hosts(9, [])
    mine.let_go("a:80", 50.0)
    assert claims(database, "t2").hosts(9, []) == []


def test_an_asset_that_workers_died_on_comes_alone_in_the_end(database: Database) -> None:
    fill(database, a=20, b=1)
    change = update(Asset).where(Asset.host == "a:80")
    database.write(lambda s: s.execute(change.values(losses=1)) and None)
    first = claims(database, "t1", host_concurrency=1, host_rate=0.0)
    (share,) = first.hosts(9, ["b:80"])
    assert len(share.assets) == 8 and first.fragile
    assert first.more(share) == [] and first.hosts(9, []) == [], "nothing is claimed beside them"

    database.write(lambda s: s.execute(update(Asset).values(lease_token=None, losses=2)) and None)
    database.write(lambda s: s.execute(update(HostSlot).values(token=None)) and None)
    (share,) = claims(database, "t2").hosts(9, [])
    assert len(share.assets) == 1


def test_a_poisoned_asset_is_not_taken_beside_others(database: Database) -> None:
    fill(database, a=5, b=1)
    database.write(lambda s: s.execute(update(Asset).where(Asset.host == "b:80").values(losses=2)) and None)
    mine = claims(database, "t1")
    assert list(taken(mine.hosts(9, []))) == ["a:80"]
    held = database.read(lambda s: s.scalars(select(Asset.host).where(Asset.lease_token == "t1")).all())
    assert set(held) == {"a:80"} and slots(database, "t1") == 2


def test_a_redirects_host_is_had_for_one_slot_or_later(database: Database) -> None:
    mine, other = claims(database, "t1", host_concurrency=1, host_rate=2.0), claims(database, "t2", host_concurrency=1)
    assert mine.one_slot("x:80") == Pace(1, 0.5)
    assert isinstance(other.one_slot("x:80"), float)
    mine.pause("y:80", 60.0)
    wait = other.one_slot("y:80")
    assert isinstance(wait, float) and 55 < wait <= 60


def test_as_many_drains_as_run_share_a_hosts_slots(database: Database) -> None:
    """Whoever is told of no number counts the fetch jobs in hand, on whatever machine."""
    fill(database, a=100, b=100)
    assert taken(claims(database, "t1", host_concurrency=6).hosts(6, ["b:80"])) == {"a:80": 6}
    for n in range(3):
        database.write(lambda s, n=n: enqueue(s, "fetch", f"drain {n}") and None)
        assert claim(database, ["fetch"], "box", 60.0) is not None
    for token in ("t2", "t3", "t4"):
        assert taken(claims(database, token, host_concurrency=6).hosts(99, [])) == {"b:80": 2}


def test_hosts_are_counted_once_and_then_worked_off(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(database, a=30, b=2, c=1)
    counts: list[Session] = []
    count = host_work._count

    def counted(session: Session) -> object:
        counts.append(session)
        return count(session)

    monkeypatch.setattr(host_work, "_count", counted)
    monkeypatch.setattr(host_work, "SHARE", 1e-9)
    mine, other = claims(database, "t1", host_concurrency=1), claims(database, "t2", host_concurrency=2)
    assert [list(taken(mine.hosts(1, []))) for _ in range(4)] == [["a:80"], ["b:80"], ["c:80"], []]
    assert list(taken(other.hosts(9, []))) == ["a:80"], "what b and c had is taken, though the last count knows it"
    assert len(counts) == 1


def test_hosts_of_one_domain_share_slots_pauses_and_pace(database: Database) -> None:
    """Found at img1 and img2, they are assets of one host."""
    offered = [Candidate(f"https://img{n}.pictures.example/{n}.jpg", "image") for n in range(4)]

    def record(session: Session) -> None:
        row = {"class_id": 1, "provider": "table", "kind": "image", "text": "x", "time_window": "", "wanted": 0}
        session.add(ClassList(id=1, name="x", sha256="x", created=0.0))
        session.flush()
        session.add(ActionClass(id=1, class_list_id=1, position=0, name="x", query="x", tags=[]))
        session.flush()
        session.add(Query(id=1, exhausted=False, **row))
        session.flush()
        record_finds(session, 1, 0, 0, "table", offered, min_side=0)

    database.write(record)
    mine = claims(database, host_concurrency=2, hosts={"img1.pictures.example": HostSettings(rate=0.5)})
    (share,) = mine.hosts(99, [])
    assert (share.site, share.pace.concurrency, share.pace.interval_s) == ("pictures.example", 2, 2.0)
    assert [asset.url for asset in share.assets] == [candidate.url for candidate in offered[:2]]
    database.write(lambda s: set_paused(s, parse_scope("IMG2.pictures.example:443"), True))
    assert mine.revise(["pictures.example"]).shut == {"pictures.example"}
