"""A crawl that runs, and a person who pauses, resumes and paces it from another process."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest
from aiohttp import web as aioweb
from sqlalchemy import select, update

from db.controls import Controls, Setting, read_controls, resume_all, set_pace, set_paused
from db.frontier import next_wait
from db.ledger import enqueue
from db.models import Asset, Control, Job
from omnisrc.cli import main
from omnisrc.crawl.control import pause, resume
from omnisrc.crawl.jobs import add_fetch
from omnisrc.crawl.pace import Limits
from omnisrc.crawl.settings import CrawlSettings, HostSettings
from omnisrc.study import Study
from tests.crawl.fake_commons import FakeCommons, File
from tests.crawl.studies import assets, crawl, crawl_study, jobs, plan_crawl, states, work
from tests.crawl.test_claims import claims, fill, slots, taken
from tests.crawl.test_fetch import check_shards, offer
from tests.local_web import LocalWeb

ROOT = Path(__file__).resolve().parents[2]
Picture = Callable[..., bytes]


class Clocked(LocalWeb):
    """A local web that notes when each picture was asked for."""

    def __init__(self, picture: Picture, number: int, pause_s: float = 0.0, address: str = "127.0.0.1") -> None:
        super().__init__(address)
        self.times: list[float] = []
        self.number = number

        async def answer(request: aioweb.Request) -> aioweb.Response:
            self.times.append(time.monotonic())
            await asyncio.sleep(pause_s)
            return aioweb.Response(body=picture(int(request.path.rpartition("/")[2])))

        self.routes = {f"/upload/{n}": answer for n in range(number)}

    @property
    def urls(self) -> list[str]:
        return [self.url + path for path in self.routes if path.startswith("/upload/")]


def omnisrc(workspace: Path, *arguments: str) -> None:
    """A person's command, in a process of its own."""
    command = [sys.executable, "-m", "omnisrc", *arguments, "--workspace", str(workspace)]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@contextmanager
def crawling(workspace: Path, class_file: Path, table: Path, *sets: str) -> Iterator[subprocess.Popen[str]]:
    settings = [f"providers.table.path={table}", "media.guard_processes=1", *sets]
    arguments = ["--classes", str(class_file), "--provider", "table", "--media", "image", "--per-class", "200"]
    command = [sys.executable, "-m", "omnisrc", "crawl", "--workspace", str(workspace), "--json", *arguments]
    command += [part for text in settings for part in ("--set", text)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, env=environment, stdout=pipe, stderr=pipe, text=True, cwd=workspace.parent)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            process.communicate(timeout=60)


def attempts(study: Study) -> Counter[int]:
    """How many assets were tried how often."""
    return Counter(study.database().read(lambda s: s.scalars(select(Asset.attempts)).all()))


def until(true: Callable[[], bool], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.05)


def test_a_host_paused_in_mid_crawl_is_left_alone_until_resumed_and_nothing_is_lost(
    tmp_path: Path, class_file: Path, table: Path, picture: Picture
) -> None:
    """The other host goes on; the crawl waits longer than `longest_wait_s`, because a person paused it.

    A worker has a batch in hand that would take it twelve seconds.
    """
    workspace = tmp_path / "study"
    with Clocked(picture, 30, pause_s=1.5) as web, Clocked(picture, 200, address="127.0.0.2") as other:
        offer(table, *web.urls, *other.urls[60:120])
        sets = (f"crawl.allow_hosts=['{web.site}','{other.site}']", "crawl.host_rate=0", "crawl.longest_wait_s=0.5")
        with crawling(workspace, class_file, table, *sets) as process:
            until(lambda: len(web.times) >= 2)
            omnisrc(workspace, "crawl", "pause", web.site)
            paused = time.monotonic()
            until(lambda: len(other.times) == 60)
            until(lambda: time.monotonic() - paused > 9)
            late = [moment - paused for moment in web.times if moment > paused + 5]
            assert late == [] and 2 <= len(web.times) < 30 and process.poll() is None
            resting = Study.open(workspace)
            held = [a for a in assets(resting) if a["state"] == "waiting" and a["url"].startswith(web.url)]
            assert len(held) == 30 - len(web.times) and attempts(resting) == {0: len(held), 1: 90 - len(held)}
            fetches = len(jobs(resting, "fetch"))
            time.sleep(1.5)
            assert len(jobs(resting, "fetch")) == fetches, "a paused crawl does not spin"
            resting.database().dispose()
            omnisrc(workspace, "crawl", "resume", web.site)
            out, err = process.communicate(timeout=90)
            assert process.returncode == 0, err
        assert json.loads(out)["assets"] == {"stored": 90}
        assert f"paused: {web.site}" in err
        assert sorted(path for path in web.asked if "upload" in path) == sorted(web.routes), "each once"
    study = Study.open(workspace)
    assert check_shards(study) == 90 and attempts(study) == {1: 90}


def test_a_rate_that_is_set_reaches_requests_that_go_on(
    tmp_path: Path, class_file: Path, table: Path, picture: Picture
) -> None:
    workspace = tmp_path / "study"
    with Clocked(picture, 170) as web:
        offer(table, *web.urls)
        sets = (f"crawl.allow_hosts=['{web.site}']", "crawl.host_rate=2", "crawl.host_concurrency=1")
        with crawling(workspace, class_file, table, *sets) as process:
            until(lambda: len(web.times) >= 4)
            unset_at = time.monotonic()
            omnisrc(workspace, "crawl", "rate", web.site, "--rate", "25", "--concurrency", "4")
            set_at = time.monotonic()
            _, err = process.communicate(timeout=90)
            assert process.returncode == 0, err
    before = [t for t in web.times if t < unset_at]
    gaps = [b - a for a, b in pairwise(before)]
    assert min(gaps) > 0.35, "two a second at first"
    after = [t for t in web.times if t > set_at + 4]
    assert len(after) > 20 and (len(after) - 1) / (after[-1] - after[0]) > 8, "much faster soon after, within the drain"
    assert (len(web.times) - 1) / (web.times[-1] - web.times[0]) < 26


def test_jobs_of_a_paused_provider_are_put_back_without_blame(
    study: Study, web: LocalWeb, class_file: Path, picture: Picture
) -> None:
    urls = [web.add(f"/upload/{n}", picture(n)) for n in range(4)]
    files = [File(f"File:{n}.jpg", url, 200, 150) for n, url in enumerate(urls)]
    commons = FakeCommons(web, {"juggling balls": files[:2], "brush hair": files[2:]})
    own = crawl_study(study, f"providers.commons.endpoint={commons.endpoint}", f"crawl.allow_hosts=['{web.site}']")
    top_up, _ = plan_crawl(own, class_file)
    database = own.database()
    database.write(lambda s: pause(s, "provider:commons"))
    assert database.write(top_up)
    work(own)
    assert commons.calls == [] and database.write(top_up)
    assert {(job.state, job.attempts) for job in jobs(own, "discover")} == {("waiting", 0)}
    database.write(lambda s: resume(s, "provider:commons"))
    crawl(own, top_up)
    assert states(own) == {("stored", None): 4}


def test_assets_of_a_paused_provider_or_host_are_not_claimed(database) -> None:
    fill(database, a=3, b=4)
    change = update(Asset).where(Asset.url == "http://a/0").values(provider="commons")
    database.write(lambda s: s.execute(change) and None)
    for scope, left in (
        ("all", {}), ("a", {"b:80": 4}), ("a:80", {"b:80": 4}), ("a:81", {"a:80": 3, "b:80": 4}),
        ("provider:table", {"a:80": 1}), ("provider:commons", {"a:80": 2, "b:80": 4}),
    ):  # fmt: skip
        database.write(lambda s, scope=scope: pause(s, scope))
        given = database.read(read_controls)
        assert (database.read(lambda s, given=given: next_wait(s, given)) is None) == (left == {})
        mine = claims(database, "t")
        assert {share.site: len(share.assets) for share in mine.hosts(99, [])} == left, scope
        for host in left:
            mine.let_go(host, 0.0)
        database.write(lambda s: s.execute(update(Asset).values(lease_token=None)) and None)
        database.write(lambda s: resume(s, "all"))
        assert database.read(lambda s: s.scalars(select(Control)).all()) == []


def test_no_fetch_job_is_added_for_what_is_paused(study: Study) -> None:
    database = study.database()
    fill(database, a=3)
    database.write(lambda s: pause(s, "a"))
    database.write(lambda s: add_fetch(s, 1, []))
    assert jobs(study, "fetch") == []
    database.write(lambda s: resume(s, "a"))
    database.write(lambda s: add_fetch(s, 1, []))
    assert len(jobs(study, "fetch")) == 1


def test_what_is_set_goes_before_the_settings_and_what_names_the_host_before_all() -> None:
    settings = CrawlSettings(host_rate=4.0, host_concurrency=2, hosts={"b": HostSettings(rate=1.0)})
    given = Controls({"all": Setting(rate=9.0, concurrency=5), "c": Setting(rate=0.5), "c:81": Setting(concurrency=3)})
    found = {site: Limits.of(settings, site, given) for site in ("a:80", "b:80", "c:80", "c:81")}
    assert found == {"a:80": Limits(5, 9.0), "b:80": Limits(5, 1.0), "c:80": Limits(5, 0.5), "c:81": Limits(3, 0.5)}


def test_a_drain_takes_more_slots_or_gives_them_back_when_a_host_is_paced_anew(database) -> None:
    fill(database, a=50)
    mine = claims(database, "t1", host_concurrency=2, host_rate=0.0)
    assert taken(mine.hosts(99, [])) == {"a:80": 2} and mine.revise(["a:80"]).paces == {}
    for count, rate in ((5, 10.0), (1, 4.0)):
        database.write(lambda s, count=count, rate=rate: set_pace(s, "a", rate, count))
        (pace,) = mine.revise(["a:80"]).paces.values()
        assert (pace.concurrency, pace.interval_s, slots(database, "t1")) == (count, 1 / rate, count)
        assert mine.revise(["a:80"]).paces == {}
    database.write(lambda s: set_paused(s, "a:80", True))
    assert mine.revise(["a:80"]).shut == {"a:80"}
    assert claims(database, "t2").one_slot("a:80") == 30.0


def test_resume_all_lifts_every_pause_and_keeps_rates(database) -> None:
    database.write(lambda s: set_paused(s, "all", True))
    database.write(lambda s: set_pace(s, "a", 2.0, None))
    database.write(lambda s: set_paused(s, "a", True))
    assert database.read(read_controls).paused == ["all", "a"]
    assert database.write(resume_all) == ["all", "a"]
    assert database.read(read_controls).host("a:80").rate == 2.0 and database.read(read_controls).paused == []


def test_a_search_that_waits_for_a_pause_is_woken_by_resume_and_one_that_failed_is_not(study: Study) -> None:
    def add(session) -> None:
        for n in range(2):
            enqueue(session, "discover", f"query {n} page 0")
        session.execute(update(Job).values(not_before=9e12))
        session.execute(update(Job).where(Job.subject == "query 1 page 0").values(attempts=1))

    study.database().write(add)
    study.database().write(lambda s: resume(s, "all"))
    assert [job.not_before for job in jobs(study, "discover")] == [0.0, 9e12]


def test_the_commands_say_what_is_set_and_refuse_nonsense(study: Study, capsys: pytest.CaptureFixture[str]) -> None:
    where = ["--workspace", str(study.root), "--json"]

    def answer(*arguments: str) -> tuple[int, dict]:
        code = main.run(["crawl", *arguments, *where])
        return code, json.loads(capsys.readouterr().out)

    assert answer("pause")[1]["controls"]["all"]["paused"] is True
    assert answer("rate", "Example.org", "--rate", "0.5")[1]["controls"]["example.org"]["rate"] == 0.5
    again = answer("rate", "example.org", "--concurrency", "3")[1]["controls"]["example.org"]
    assert (again["rate"], again["concurrency"]) == (0.5, 3)
    assert answer("rate", "example.org", "--clear")[1]["controls"].keys() == {"all"}
    assert answer("resume") == (0, {"controls": {}})
    for arguments, words in (
        (["pause", "provider:comons"], "Did you mean commons"), (["pause", "http://a/b"], "is no host"),
        (["rate", "a.org"], "--rate R"), (["rate", "a.org", "--rate", "-1"], "makes no sense"),
        (["rate", "a.org", "--concurrency", "0"], "crawl pause a.org"),
        (["rate", "provider:table", "--rate", "1"], "for a host"),
        (["rate", "a.org", "--bandwidth", "2MB"], "for all hosts together"),
        (["rate", "all", "--bandwidth", "fast"], "such as 20GB"),
        (["rate", "a.org", "--clear", "--rate", "1"], "--clear alone"), (["--media", "image", "pause"], "go after it"),
    ):  # fmt: skip
        code, said = answer(*arguments)
        assert code == 2 and words in said["error"], (arguments, said)
