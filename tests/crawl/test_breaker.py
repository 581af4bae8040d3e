"""The circuit breaker of a host: it opens, probes and closes, in SQL, for all workers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from aiohttp import web as aioweb
from sqlalchemy import select, update

from db.ledger import now
from db.models import Asset, Host
from db.session import Database
from omnisrc.crawl import breaker
from omnisrc.crawl.settings import CrawlSettings
from omnisrc.errors import ErrorClass
from omnisrc.study import Study
from tests.crawl.studies import crawl, hurry, plan_crawl, states, work
from tests.crawl.test_claims import claims, fill
from tests.crawl.test_fetch import check_shards, media_asked, offer, open_study
from tests.local_web import LocalWeb

Picture = Callable[..., bytes]


def fail(database: Database, settings: CrawlSettings, error: ErrorClass = ErrorClass.CONNECT) -> float:
    return database.write(lambda s: breaker.note_failure(s, settings, "a:80", error))


def host(database: Database) -> Host:
    return database.read(lambda s: s.get_one(Host, "a:80"))


def rest_over(database: Database) -> None:
    database.write(lambda s: s.execute(update(Host).values(not_before=0.0)) and None)


def test_it_opens_after_so_many_failures_in_a_row_and_longer_each_time_up_to_an_hour(database: Database) -> None:
    settings = CrawlSettings(breaker_failures=3, breaker_openings=0)
    assert [fail(database, settings) for _ in range(3)] == [0.0, 0.0, 30.0]
    assert 0 < fail(database, settings) <= 30.0 and host(database).openings == 1, "it was under way"
    pauses = []
    for _ in range(9):
        rest_over(database)
        pauses.append(fail(database, settings))
    assert pauses == [60.0, 120.0, 240.0, 480.0, 960.0, 1920.0, 3600.0, 3600.0, 3600.0]
    database.write(lambda s: breaker.note_answer(s, "a:80"))
    rest_over(database)
    assert (host(database).failures, host(database).openings, host(database).breaker_error) == (0, 0, None)
    assert fail(database, settings) == 0.0


def test_an_answer_between_failures_keeps_it_closed(database: Database) -> None:
    settings = CrawlSettings(breaker_failures=2)
    for _ in range(5):
        assert fail(database, settings) == 0.0
        database.write(lambda s: breaker.note_answer(s, "a:80"))
    assert fail(database, CrawlSettings(breaker_failures=0)) == 0.0


def test_while_it_is_open_nobody_claims_and_then_one_worker_claims_one(database: Database) -> None:
    fill(database, a=30)
    assert fail(database, CrawlSettings(breaker_failures=1)) == 30.0
    assert claims(database, "t1").hosts(99, []) == [] and claims(database, "t1").one_slot("a:80") > 25
    rest_over(database)
    first, second = claims(database, "t1", host_concurrency=4), claims(database, "t2", host_concurrency=4)
    (share,) = first.hosts(99, [])
    assert (len(share.assets), share.pace.concurrency, share.empty, share.troubled) == (1, 1, True, True)
    assert second.hosts(99, []) == [] and first.revise(["a:80"]).paces == {}
    first.answered("a:80")
    assert first.revise(["a:80"]).paces["a:80"].concurrency == 4


def test_what_waits_fails_with_the_last_error_when_it_opened_too_often(database: Database) -> None:
    fill(database, a=4, b=1)
    settings = CrawlSettings(breaker_failures=1, breaker_openings=2)
    for error in (ErrorClass.CONNECT, ErrorClass.TIMEOUT):
        assert {row for row in database.read(lambda s: s.scalars(select(Asset.state)).all())} == {"waiting"}
        fail(database, settings, error)
        rest_over(database)
    rows = database.read(lambda s: s.execute(select(Asset.host, Asset.state, Asset.error).distinct()).all())
    assert sorted(rows) == [("a:80", "failed", "timeout"), ("b:80", "waiting", None)]


def test_a_drain_leaves_a_host_that_fails_and_goes_on_with_others_until_a_probe_is_answered(
    study: Study, web: LocalWeb, table: Path, class_file: Path, picture: Picture
) -> None:
    broken = True

    async def answer(request: aioweb.Request) -> aioweb.Response:
        if broken:
            return aioweb.Response(status=503)
        return aioweb.Response(body=picture(int(request.path.rpartition("/")[2])))

    with LocalWeb("127.0.0.2") as other:
        urls = [other.add(f"/good/{n}", picture(100 + n)) for n in range(5)]
        web.routes.update({f"/bad/{n}": answer for n in range(12)})
        offer(table, *(f"{web.url}/bad/{n}" for n in range(12)), *urls)
        own = open_study(study, table, web, other, sets=("crawl.breaker_failures=3", "crawl.host_concurrency=1"))
        top_up, _ = plan_crawl(own, class_file, "table")
        own.database().write(top_up)
        work(own, "discover")
        own.database().write(top_up)
        began = own.database().read(now)
        assert work(own, "fetch") == 1
        assert states(own) == {("stored", None): 5, ("waiting", "http-5xx"): 3, ("waiting", None): 9}
        assert media_asked(web) == 3
        row = own.database().read(lambda s: s.get_one(Host, web.site))
        assert row.openings == 1 and row.breaker_error == "http-5xx" and 25 < row.not_before - began < 90
        hurry(own)
        own.database().write(top_up)
        work(own, "fetch")
        assert media_asked(web) == 4, "one probe"
        assert own.database().read(lambda s: s.get_one(Host, web.site)).openings == 2
        broken = False
        hurry(own)
        crawl(own, top_up)
        assert states(own) == {("stored", None): 17} and check_shards(own) == 17
        row = own.database().read(lambda s: s.get_one(Host, web.site))
        assert (row.openings, row.failures) == (0, 0)


def test_the_settings_are_checked() -> None:
    with pytest.raises(ValueError, match="breaker_failures"):
        CrawlSettings(breaker_failures=-1)
