from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select, update

from db.models import Asset, Control, HostSlot
from db.session import Database
from omnisrc.crawl.claims import Claims, HostShare
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
