"""The disk is full, or somebody else holds the SQLite file, in the middle of a crawl."""

from __future__ import annotations

import os
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

ITEMS = 150


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A workspace on a file system of its own, of 12 MB."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system takes root")
    place = tmp_path / "study"
    place.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(place)], capture_output=True)
    if done.returncode != 0:
        pytest.skip(f"no file system can be mounted here: {done.stderr.decode().strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def fill_up(place: Path) -> Path:
    """A file that takes all the room that is left."""
    ballast = place / "ballast"
    with ballast.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space left"):
        for size in (1 << 16, 1 << 12, 1):
            while True:
                try:
                    file.write(bytes(size))
                except OSError:
                    if size == 1:
                        raise
                    break
    return ballast


def in_the_middle(web: LocalWeb, process: subprocess.Popen[bytes], items: int = ITEMS) -> None:
    until = time.monotonic() + 100.0
    while len(web.asked) < items // 2:
        assert process.poll() is None and time.monotonic() < until
        time.sleep(0.01)


def told_in_one_sentence(printed: str) -> None:
    said = [line for line in printed.splitlines() if line.startswith("omnisrc: ")]
    assert len(said) == 1 and ("disk is full" in said[0] or "No space left" in said[0]), printed
    assert said[0].endswith("run the same command again.") and "Traceback" not in printed, printed


@pytest.mark.parametrize("database", ["on the full disk", pytest.param("elsewhere", marks=pytest.mark.slow)])
def test_a_full_disk_ends_the_crawl_and_the_same_command_goes_on_when_there_is_room(
    small_disk: Path, tmp_path: Path, database: str
) -> None:
    workspace = small_disk
    url = [] if database == "on the full disk" else [f"database.url=sqlite:///{tmp_path / 'catalog.db'}"]
    with LocalWeb() as web:
        listed = ListedWeb(tmp_path / "lists", web)
        listed.pictures(ITEMS)
        command = listed.command("crawl.host_rate=50", "crawl.drain_s=1", *url)
        process = killing.start(workspace, *command)
        try:
            in_the_middle(web, process)
            ballast = fill_up(small_disk)
            assert process.wait(100.0) == 1
        finally:
            killing.end(process)
        told_in_one_sentence(killing.log_of(workspace))
        ballast.unlink()
        killing.finish(workspace, *command)
    killing.doctor(workspace, *url)
    accounts.balance(workspace, listed.expected, url)


@contextmanager
def locked(file: Path, seconds: float) -> Iterator[None]:
    """Nobody else can write to a SQLite file for so long."""
    with closing(sqlite3.connect(file, timeout=30.0, isolation_level=None)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        yield
        time.sleep(seconds)
        holder.execute("ROLLBACK")


def crawl_and_filter_with_the_database_locked(tmp_path: Path, seconds: float) -> None:
    workspace = tmp_path / "study"
    with LocalWeb() as web:
        listed = ListedWeb(tmp_path / "lists", web)
        listed.pictures(ITEMS)
        listed.mishaps()
        process = killing.start(workspace, *listed.command("crawl.host_rate=50"))
        try:
            in_the_middle(web, process)
            with locked(workspace / "catalog.db", seconds):
                pass
            assert process.wait(100.0) == 0, killing.log_of(workspace)
        finally:
            killing.end(process)
    books = accounts.balance(workspace, listed.expected)
    assert books == {"strikes": 0, "losses": 0, "jobs lost": 0}
    filtering = killing.start(workspace, "filter", "--rule", "all", "--set", "filter.images_per_shard=40")
    try:
        until = time.monotonic() + 100.0
        while not killing.processes(filtering)["worker"]:
            assert filtering.poll() is None and time.monotonic() < until
            time.sleep(0.01)
        with locked(workspace / "catalog.db", seconds):
            assert filtering.poll() is None
        assert filtering.wait(150.0) == 0, killing.log_of(workspace)
    finally:
        killing.end(filtering)
    assert killing.curated_members(workspace) == killing.packed(workspace).total() > 0
    accounts.balance(workspace, listed.expected)


def test_a_database_that_another_process_locks_for_a_while_delays_and_no_more(tmp_path: Path) -> None:
    crawl_and_filter_with_the_database_locked(tmp_path, 4.0)


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_database_that_another_process_locks_for_twenty_seconds_delays_and_no_more(tmp_path: Path) -> None:
    crawl_and_filter_with_the_database_locked(tmp_path, 20.0)
