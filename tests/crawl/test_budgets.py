"""Budgets end a crawl: nothing new is begun, what was fetched stays, and a larger budget goes on where it was."""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from aiohttp import web as aioweb
from sqlalchemy import update

from db import ledger
from db.models import Asset, Budget, Shard
from db.session import Database
from omnisrc import config
from omnisrc.cli import main
from omnisrc.crawl import budgets, control
from omnisrc.crawl.budgets import BudgetReached, Used
from omnisrc.crawl.meter import SMALL, Meter
from omnisrc.crawl.plan import KEPT_BYTES, MEDIA_BYTES, PlanLine
from omnisrc.crawl.plan_budgets import over_budget
from omnisrc.crawl.settings import CrawlSettings
from omnisrc.errors import UserError
from omnisrc.study import Study
from omnisrc.web.bandwidth import AHEAD
from tests.crawl.studies import crawl, plan_crawl, states, work
from tests.crawl.test_command import run, serve, settings
from tests.crawl.test_fetch import check_shards, offer, open_study
from tests.local_web import LocalWeb

Picture = Callable[..., bytes]
IMAGES = 24
BYTES = 40_000


@pytest.fixture
def noise(web: LocalWeb, table: Path, picture: Picture) -> LocalWeb:
    """Images of exactly BYTES bytes, each another, in the table."""
    for number in range(IMAGES):
        image = picture(number)
        offer(table, web.add(f"/i/{number}", image + bytes(BYTES - len(image))))
    return web


def begin(study: Study, class_file: Path, *sets: str, web: LocalWeb, table: Path):
    opened = open_study(study, table, web, sets=("crawl.shard_bytes=1000000000", *sets))
    top_up, _ = plan_crawl(opened, class_file, "table")
    return opened, top_up


def images_asked(web: LocalWeb) -> list[str]:
    return [path for path in web.asked if path.startswith("/i/")]


def used(study: Study) -> dict[str, Used]:
    found = study.database().read(lambda session: budgets.used(session, None, study.landing))
    return {budget.name: budget for budget in found}


def test_a_download_budget_ends_a_crawl_and_a_larger_one_goes_on(
    study: Study, noise: LocalWeb, table: Path, class_file: Path
) -> None:
    opened, top_up = begin(study, class_file, "crawl.max_download=400kB", web=noise, table=table)
    with pytest.raises(BudgetReached) as end:
        crawl(opened, top_up)
    first = images_asked(noise)
    assert len(first) == 10, "one at a time near the end: the last of them reaches 400 kB"
    assert end.value.used.name == "download" and end.value.used.spent == 400_000
    assert check_shards(opened) == 10 and states(opened)["stored", None] == 10
    with pytest.raises(BudgetReached):
        crawl(opened, top_up)
    assert images_asked(noise) == first, "with the same budget nothing more is asked for"
    larger, top_up = begin(study, class_file, "crawl.max_download=2MB", web=noise, table=table)
    crawl(larger, top_up)
    assert states(larger) == {("stored", None): IMAGES} and len(images_asked(noise)) == IMAGES
    assert used(larger)["download"].spent == IMAGES * BYTES


def test_what_fails_was_downloaded_too(study: Study, web: LocalWeb, table: Path, class_file: Path) -> None:
    offer(table, *(web.add(f"/i/{n}", b"\xff\xd8\xff\xe0" + bytes([n]) * BYTES) for n in range(5)))
    opened, top_up = begin(study, class_file, web=web, table=table)
    crawl(opened, top_up)
    assert check_shards(opened) == 0
    assert used(opened)["download"].spent >= 5 * BYTES


@pytest.mark.parametrize("shard_bytes", [10**9, 15_000], ids=["one shard", "many"])
def test_a_disk_budget_counts_what_shards_hold_and_is_overshot_by_less_than_an_item(
    study: Study, noise: LocalWeb, table: Path, class_file: Path, shard_bytes: int
) -> None:
    sets = ("crawl.max_disk=50kB", f"crawl.shard_bytes={shard_bytes}")
    opened, top_up = begin(study, class_file, *sets, web=noise, table=table)
    with pytest.raises(BudgetReached) as end:
        crawl(opened, top_up)
    on_disk = sum(path.stat().st_size for path in opened.landing.glob("*.tar"))
    assert end.value.used.spent == on_disk == used(opened)["disk"].spent
    assert 50_000 <= on_disk < 50_000 + max(KEPT_BYTES["image"], 25_000)
    assert states(opened)["waiting", None] == IMAGES - check_shards(opened) > 0


def test_a_floor_of_free_space_and_used_hours_let_nothing_begin(
    study: Study, noise: LocalWeb, table: Path, class_file: Path
) -> None:
    for setting, name in (("crawl.min_free_disk=9000TB", "free"), ("crawl.max_hours=0.001", "hours")):
        opened, top_up = begin(study, class_file, setting, web=noise, table=table)
        opened.database().write(lambda s: s.execute(update(Budget).values(spent=Budget.spent + 10.0)))
        with pytest.raises(BudgetReached) as end:
            crawl(opened, top_up)
        assert end.value.used.name == name
        assert work(opened) == 0 or not images_asked(noise), "searches too are put back"
    assert noise.asked == []


def test_an_hours_budget_counts_work_and_neither_rests_nor_clock_jumps(database: Database) -> None:
    def after(seconds: float) -> float:
        def tick(session) -> float:
            session.execute(update(Budget).where(Budget.name == "hours").values(moment=ledger.now(session) - seconds))
            session.expire_all()
            budgets.tick(session)
            return session.get_one(Budget, "hours").spent

        return database.write(tick)

    database.write(lambda session: budgets.begin(session, CrawlSettings()))
    assert after(30.0) == pytest.approx(30.0, abs=2.0)
    assert after(3600.0) == pytest.approx(30.0, abs=2.0), "nobody was there for an hour, or the clock jumped"
    assert after(-3600.0) == pytest.approx(30.0, abs=2.0)
    assert after(20.0) == pytest.approx(50.0, abs=4.0)


@pytest.mark.parametrize(("kind", "parts"), [("download", False), ("disk", False), ("disk", True)])
def test_the_grants_of_jobs_at_once_and_what_is_used_never_exceed_a_budget(
    database: Database, tmp_path: Path, kind: str, parts: bool
) -> None:
    """Also where jobs record what they stored a part at a time (`parts`), each part counted once."""
    limit = 75 * 10**6
    given = CrawlSettings(**{f"max_{kind}": config.Size(limit)})
    database.write(lambda session: budgets.begin(session, given))
    for name in ("drain 1", "drain 2", "drain 3"):
        database.write(lambda session, name=name: ledger.enqueue(session, "fetch", name))
    leases = [ledger.claim(database, ["fetch"], "me", 600.0) for _ in range(3)]
    meters, stored = [Meter(given, tmp_path, 3) for _ in leases], [0, 0, 0]

    def renew(at: int) -> None:
        def write(session) -> dict:
            told = meters[at].renew(session, leases[at].job_id, stored[at])
            ledger.tell(session, leases[at], {"bytes": stored[at], **told})
            return told

        meters[at].settled(database.write(write))

    def record(at: int, turn: int) -> None:
        def write(session) -> None:
            told = session.get_one(ledger.Job, leases[at].job_id).result
            count = stored[at] - told["recorded"].get("bytes", 0)
            facts = {"kind": "landing", "medium": "image", "sha256": "0" * 64, "freed": False, "created": 0.0}
            session.add(Shard(path=f"landing/{turn}.tar", count=1, bytes=count, **facts))
            ledger.note_recorded(session, leases[at], turn, {"bytes": stored[at]})

        database.write(write)

    for turn in range(60):
        at = turn % 3
        renew(at)
        while meters[at].has_room(stored[at]):
            if kind == "download":
                meters[at].count(10**6)
            else:
                stored[at] += 10**6
        if parts and turn % 4:
            record(at, turn)
        total = sum(stored) if kind == "disk" else sum(meter.downloaded for meter in meters)
        assert total < limit + 10**6
    assert total >= limit - SMALL, "what is left is given out to the end"


def test_a_crawl_reads_no_faster_than_its_bandwidth(
    study: Study, web: LocalWeb, noise: LocalWeb, table: Path, class_file: Path
) -> None:
    rate = 300_000
    opened, top_up = begin(study, class_file, f"crawl.max_bytes_per_second={rate}", web=web, table=table)
    began = time.monotonic()
    crawl(opened, top_up)
    assert time.monotonic() - began >= (IMAGES * BYTES - 2 * AHEAD) / rate
    assert states(opened) == {("stored", None): IMAGES}


def test_a_slow_bandwidth_is_no_servers_fault_and_may_be_lifted(
    study: Study, web: LocalWeb, noise: LocalWeb, table: Path, class_file: Path
) -> None:
    """At the rate of the settings the crawl would take hours; each image alone longer than an image may."""
    sets = ("crawl.max_bytes_per_second=100", "crawl.image_deadline_s=1.0", "crawl.host_concurrency=8")
    opened, top_up = begin(study, class_file, *sets, web=web, table=table)
    lift = threading.Timer(4.0, opened.database().write, [lambda session: control.set_bandwidth(session, 0)])
    lift.start()
    crawl(opened, top_up)
    lift.join()
    assert states(opened) == {("stored", None): IMAGES} and len(images_asked(web)) == IMAGES


def test_fetch_jobs_share_the_bandwidth_and_obey_what_is_set(database: Database, tmp_path: Path) -> None:
    given = CrawlSettings(max_bytes_per_second=config.Size(900_000))
    for name in ("drain 1", "drain 2", "drain 3"):
        database.write(lambda session, name=name: ledger.enqueue(session, "fetch", name))
    leases = [ledger.claim(database, ["fetch"], "me", 600.0) for _ in range(3)]
    meter = Meter(given, tmp_path, 3)

    def rate() -> float:
        database.write(lambda session: meter.renew(session, leases[0].job_id, 0))
        return meter.bandwidth.rate

    assert rate() == 300_000
    database.write(lambda session: ledger.finish(session, leases[2]))
    assert rate() == 450_000
    database.write(lambda session: control.set_bandwidth(session, 200_000))
    assert rate() == 100_000
    database.write(lambda session: control.set_bandwidth(session, 0))
    assert rate() == math.inf
    database.write(lambda session: control.clear_rate(session, "all"))
    assert rate() == 450_000


def test_items_under_way_are_held_against_the_grant() -> None:
    meter = Meter(CrawlSettings(), may_download=3 * MEDIA_BYTES["image"])
    items = [Asset(id=number, kind="image") for number in range(5)]
    begun = []
    for item in items:
        if meter.has_room(0):
            meter.begin(item)
            begun.append(item)
    assert len(begun) == 3
    meter.end(begun[0])
    assert meter.has_room(0)


def test_the_plan_says_which_budget_it_does_not_fit_into_with_the_arithmetic(tmp_path: Path) -> None:
    line = PlanLine("commons", "image", 10, 10, 1000, 90_000_000, 35_000_000, 10.0, 7200.0)
    given = CrawlSettings(max_download=config.Size(10**6), max_disk=config.Size(2 * 10**6), max_hours=1.5)
    download, disk, hours = over_budget([line], given, tmp_path, [Used("download", 300_000, 10**6)])
    assert "90.0 MB (1,000 images of 90.0 kB)" in download and "crawl.max_download = 1.0 MB, 300.0 kB" in download
    assert "35.0 MB (1,000 images of 35.0 kB)" in disk and "crawl.max_disk = 2.0 MB" in disk
    assert "2.0 hours" in hours and "crawl.max_hours = 1.5" in hours
    assert over_budget([line], CrawlSettings(), tmp_path) == []
    (floor,) = over_budget([line], CrawlSettings(min_free_disk=config.Size(10**18)), tmp_path)
    assert "crawl.min_free_disk" in floor


@pytest.mark.parametrize(
    ("text", "count"),
    [("20GB", 20 * 10**9), ("1.5 TB", 1500 * 10**9), ("512MiB", 2**29), (4096, 4096), ("7", 7), ("2k", 2000)],
)
def test_sizes_are_read(text: object, count: int) -> None:
    assert config.build(CrawlSettings, {"max_disk": text}).max_disk == count


@pytest.mark.parametrize("text", ["-1", "20 parsecs", "", True, None, "1.2.3GB"])
def test_what_is_no_size_gets_a_sentence(text: object) -> None:
    with pytest.raises(UserError, match=r"max_disk .*20GB"):
        config.build(CrawlSettings, {"max_disk": text})


def test_the_command_ends_with_a_sentence_and_status_shows_it(
    tmp_path: Path, web: LocalWeb, class_file: Path, picture: Picture, capsys: pytest.CaptureFixture[str]
) -> None:
    commons = serve(web, picture, 40)

    async def answer(request: aioweb.Request) -> aioweb.Response:
        image = picture(int(request.path.rpartition("/")[2]))
        return aioweb.Response(body=image + bytes(BYTES - len(image)))

    web.routes.update({path: answer for path in web.routes if path.startswith("/upload/")})
    workspace = tmp_path / "study"
    arguments = ["--classes", str(class_file), "--media", "image", "--json", *settings(web, commons)]
    done = run(workspace, *arguments, "--max-download", "400kB")
    assert done.returncode == 0, done.stderr
    answered = json.loads(done.stdout)
    assert "crawl.max_download" in answered["budget"]["sentence"] and "--max-download" in answered["budget"]["sentence"]
    assert "400.0 kB" in done.stderr and "Note:" in done.stderr, "the plan did not fit"
    assert 10 <= answered["assets"]["stored"] <= 13 and answered["assets"]["waiting"] > 0
    opened = Study.open(workspace)
    assert check_shards(opened) == answered["assets"]["stored"]
    assert used(opened)["download"].limit == 400_000 and used(opened)["hours"].spent > 0
    assert main.run(["status", "--workspace", str(workspace)]) == 0
    assert "kB of 400.0 kB are used" in capsys.readouterr().out
    assert main.run(["status", "--workspace", str(workspace), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)["crawl"]["budgets"]
    assert shown["download"]["used"] == used(opened)["download"].spent and "free" not in shown
