"""Crawls that were ordered go on from what SQL knows, however many dispatchers look after them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from db import ledger, schema
from db.models import Asset, CrawlOrder, Job, Query
from omnisrc import resources
from omnisrc.crawl import order
from omnisrc.crawl.jobs import DISCOVER, FETCH
from omnisrc.errors import Interrupted
from omnisrc.study import Study
from tests.crawl.studies import plan_crawl, work
from tests.local_web import LocalWeb
from tests.media_files import image_bytes

CLASSES = 30
AT_ONCE = 4


@pytest.fixture
def ordered(postgresql_url: str, tmp_path: Path) -> Iterator[tuple[Study, LocalWeb]]:
    """A study on PostgreSQL with a crawl of one image a class that nobody has begun."""
    with LocalWeb() as web:
        rows = [(web.add(f"/{at}.jpg", image_bytes(160, 140, seed=at)), f"class {at}") for at in range(CLASSES)]
        (tmp_path / "table.csv").write_text("url,class\n" + "".join(f"{url},{name}\n" for url, name in rows))
        (tmp_path / "classes.txt").write_text("".join(f"{name}\n" for _, name in rows))
        settings = (
            f"database.url={postgresql_url}", f"providers.table.path={tmp_path / 'table.csv'}", "crawl.drains=2",
            f"crawl.allow_hosts=['{web.site}']", "crawl.host_rate=0", "media.guard_processes=1", "crawl.drain_s=5",
        )  # fmt: skip
        study = Study.open(tmp_path / "study", settings)
        study.prepare()
        schema.upgrade(study.database(), resources.migrations())
        study.database().write(fail_earlier)
        top_up, scope = plan_crawl(study, tmp_path / "classes.txt", "table")
        study.database().write(lambda session: order.record(session, scope, top_up, study.overrides))
        yield study, web
        study.database().dispose()


def fail_earlier(session: Session) -> None:
    """A drain of an earlier crawl that failed: no matter of this one."""
    ledger.enqueue(session, FETCH, "drain 0")
    session.execute(update(Job).values(state="failed", error="storage", error_detail="the disk was full"))


def states(study: Study) -> list[tuple[str, str]]:
    rows = study.database().read(lambda s: s.execute(select(CrawlOrder.state, CrawlOrder.detail)).all())
    return [(state, detail) for state, detail in rows]


def test_dispatchers_at_once_add_every_job_once(ordered: tuple[Study, LocalWeb]) -> None:
    study, _ = ordered
    said: list[str] = []
    keepers = [order.Keeper(study, said.append) for _ in range(AT_ONCE)]
    gate = Barrier(AT_ONCE)

    def keep(keeper: order.Keeper) -> int:
        gate.wait(10)
        return keeper()

    with ThreadPoolExecutor(AT_ONCE) as pool:
        assert list(pool.map(keep, keepers)) == [1] * AT_ONCE
    subjects = study.database().read(lambda s: Counter(s.scalars(select(Job.subject).where(Job.stage == DISCOVER))))
    queries = study.database().read(lambda s: s.scalars(select(Query.id)).all())
    assert subjects == {f"query {query_id} page 0": 1 for query_id in queries}
    assert said == []


def test_a_crawl_goes_on_without_the_command_that_ordered_it(ordered: tuple[Study, LocalWeb]) -> None:
    study, _ = ordered
    said: list[str] = []
    bare = Study.open(study.root, (study.overrides[0],))  # a dispatcher knows the database alone
    for _ in range(40):
        if not order.Keeper(bare, said.append)():  # a new one each time, as after a kill
            break
        work(bare)
    assert said == ["Crawl 1 is done."] and states(study) == [("done", "")]
    assert study.database().read(lambda s: s.scalars(select(Asset.state)).all()) == ["stored"] * CLASSES


def test_a_crawl_that_cannot_go_on_is_ended_with_its_reason(ordered: tuple[Study, LocalWeb]) -> None:
    study, _ = ordered
    said: list[str] = []
    keeper = order.Keeper(study, said.append)
    keeper()
    failed = {"stage": FETCH, "state": "failed", "error": "storage", "error_detail": "the disk is full"}
    study.database().write(lambda s: s.execute(update(Job).where(Job.stage == DISCOVER).values(**failed)) and None)
    assert keeper() == 0 and keeper() == 0
    ((state, detail),) = states(study)
    assert state == "failed" and "the disk is full" in detail and len(said) == 1


def test_a_command_that_is_interrupted_stops_its_crawl_and_one_that_is_run_again_replaces_it(
    ordered: tuple[Study, LocalWeb], tmp_path: Path
) -> None:
    study, _ = ordered
    top_up, scope = plan_crawl(study, tmp_path / "classes.txt", "table")
    with pytest.raises(Interrupted), order.ordered(study, scope, top_up):
        assert states(study) == [("stopped", "started anew"), ("running", "")]
        raise Interrupted("Stopped")
    assert states(study)[1] == ("stopped", "by the user")
    assert order.Keeper(study, print)() == 0
