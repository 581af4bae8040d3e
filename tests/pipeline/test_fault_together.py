"""Two crawls of one study, a crawl beside doctor, and a death between a shard's name and its rows."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.local_web import LocalWeb
from tests.pipeline import accounts, killing
from tests.pipeline.listed_web import ListedWeb


@contextmanager
def running(workspace: Path, *commands: list[str]) -> Iterator[list[subprocess.Popen[bytes]]]:
    started = [killing.start(workspace, *command) for command in commands]
    try:
        yield started
    finally:
        for process in started:
            killing.end(process)


def two_crawls(tmp_path: Path, *database: str) -> None:
    workspace = tmp_path / "study"
    with LocalWeb() as web:
        listed = ListedWeb(tmp_path / "lists", web)
        listed.pictures(100)
        listed.mishaps()
        command = listed.command("crawl.drain_s=1", "crawl.host_rate=60", *database)
        with running(workspace, command, command) as crawls:
            assert [crawl.wait(150.0) for crawl in crawls] == [0, 0], killing.log_of(workspace)
        asked = [path for path in web.asked if path.endswith(".jpg")]
    assert len(asked) == len(set(asked)), "something was fetched twice"
    books = accounts.balance(workspace, listed.expected, database)
    assert books == {"strikes": 0, "losses": 0, "jobs lost": 0}


def test_two_crawls_of_one_study_at_once_fetch_nothing_twice(tmp_path: Path) -> None:
    two_crawls(tmp_path)


def test_two_crawls_of_one_study_at_once_fetch_nothing_twice_on_postgresql(tmp_path: Path, postgresql_url: str) -> None:
    two_crawls(tmp_path, f"database.url={postgresql_url}")


def test_doctor_beside_a_crawl_takes_nothing_of_it_away(tmp_path: Path) -> None:
    workspace = tmp_path / "study"
    with LocalWeb() as web:
        listed = ListedWeb(tmp_path / "lists", web)
        listed.pictures(100)
        looks = 0
        with running(workspace, listed.command("crawl.drain_s=1", "crawl.host_rate=30")) as (crawl,):
            while not list(workspace.glob("landing/*")):
                assert crawl.poll() is None
                time.sleep(0.02)
            while crawl.poll() is None:
                said = killing.doctor(workspace)
                looks += 1
                assert (said["litter"], said["damage"], said["jobs_returned"]) == ([], [], 0)
            assert crawl.wait() == 0, killing.log_of(workspace)
    assert looks >= 1
    assert accounts.balance(workspace, listed.expected) == {"strikes": 0, "losses": 0, "jobs lost": 0}


def unrecorded(workspace: Path) -> list[Path]:
    """Landing shards that have their name and no row."""
    there = list((workspace / "landing").glob("*.tar"))
    with closing(sqlite3.connect(f"file:{workspace / 'catalog.db'}?mode=ro", uri=True)) as catalog:
        known = {path for (path,) in catalog.execute("select path from shard")}
    return [path for path in there if f"landing/{path.name}" not in known]


def kill_between_name_and_rows(workspace: Path, crawl: subprocess.Popen[bytes]) -> bool:
    """Stops the worker when a new shard has its name, and kills it where no row tells of the shard yet."""
    seen: set[str] = set()
    while crawl.poll() is None:
        names = {name for name in os.listdir(workspace / "landing") if name.endswith(".tar")} - seen
        if not names:
            continue
        seen |= names
        workers = killing.processes(crawl)["worker"]
        for pid in workers:
            os.kill(pid, signal.SIGSTOP)
        hit = bool(unrecorded(workspace))
        for pid in workers:
            os.kill(pid, signal.SIGKILL if hit else signal.SIGCONT)
        if hit:
            return True
    return False


@pytest.mark.parametrize("after", [pytest.param("the crawl goes on", marks=pytest.mark.slow), "doctor comes first"])
def test_a_death_between_a_shards_name_and_its_rows_loses_nothing(tmp_path: Path, after: str) -> None:
    workspace = tmp_path / "study"
    with LocalWeb() as web:
        listed = ListedWeb(tmp_path / "lists", web)
        listed.pictures(120)
        listed.mishaps()
        command = listed.command("crawl.drain_s=1", "crawl.host_rate=60", "engine.io_workers=2")
        with running(workspace, command) as (crawl,):
            while not (workspace / "landing").exists():
                time.sleep(0.01)
            assert kill_between_name_and_rows(workspace, crawl), "it was over before it could be killed"
            if after == "doctor comes first":
                os.kill(crawl.pid, signal.SIGKILL)
                crawl.wait()
                assert killing.doctor(workspace)["litter"] != []
                killing.finish(workspace, *command)
            assert crawl.wait(150.0) in (0, -signal.SIGKILL), killing.log_of(workspace)
    killing.doctor(workspace)
    assert accounts.balance(workspace, listed.expected)["jobs lost"] >= 1
