"""SIGKILL of workers, guards and the command itself, at random moments of a crawl: nothing is lost or twice."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from tests.local_web import LocalWeb
from tests.pipeline import accounts, killing
from tests.pipeline.listed_web import ListedWeb


def wait_for_guards(command: subprocess.Popen[bytes]) -> bool:
    """Whether the crawl has come to decoding; false where it ended before."""
    while command.poll() is None:
        if killing.processes(command)["guard"]:
            return True
        time.sleep(0.02)
    return False


def crawl_under_kills(
    workspace: Path, command: Sequence[str], kills: int, rng: random.Random, span: tuple[float, float], limit_s: float
) -> Counter[str]:
    """Runs the crawl to its end, starting it again whenever it was killed itself; what was killed how often."""
    hit: Counter[str] = Counter()
    until = time.monotonic() + limit_s
    while True:
        process = killing.start(workspace, *command)
        try:
            while hit.total() < kills and wait_for_guards(process):
                assert time.monotonic() < until, "it does not come to an end"
                kind = rng.choice(("command", "worker", "guard"))
                with suppress(subprocess.TimeoutExpired):
                    process.wait(rng.uniform(*span))
                if pids := killing.processes(process)[kind] if process.poll() is None else []:
                    os.kill(rng.choice(pids), signal.SIGKILL)
                    hit[kind] += 1
                    if kind == "command":
                        process.wait()
            code = process.wait(max(1.0, until - time.monotonic()))
        finally:
            killing.end(process)
        if code == 0:
            return hit
        assert code == -signal.SIGKILL, killing.log_of(workspace)


def crawl_and_count(
    tmp_path: Path,
    *sets: str,
    items: int,
    kills: int,
    span: tuple[float, float],
    rate: float,
    seed: int,
    limit_s: float,
) -> None:
    with LocalWeb() as web:
        listed = ListedWeb(tmp_path / "lists", web)
        listed.pictures(items)
        listed.mishaps()
        command = listed.command(f"crawl.host_rate={rate}", *sets)
        began, workspace = time.monotonic(), tmp_path / "study"
        hit = crawl_under_kills(workspace, command, kills, random.Random(seed), span, limit_s)
        took = time.monotonic() - began
    assert hit.total() == kills, "the crawl was over before it was killed often enough"
    database = [setting for setting in sets if setting.startswith("database.")]
    killing.doctor(workspace, *database)
    books = accounts.balance(workspace, listed.expected, database)
    print(f"{len(listed.expected)} assets, {dict(hit)} killed, {took:.0f} s, {books}")


def test_a_crawl_whose_processes_are_killed_loses_nothing(tmp_path: Path) -> None:
    crawl_and_count(tmp_path, items=200, kills=8, span=(0.0, 1.2), rate=25.0, seed=3, limit_s=150.0)


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_fifty_kills_over_three_thousand_items_lose_nothing(tmp_path: Path) -> None:
    crawl_and_count(
        tmp_path, "engine.io_workers=2", items=3000, kills=50, span=(0.5, 4.0), rate=40.0, seed=5, limit_s=1400.0
    )


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_kills_lose_nothing_on_postgresql_either(tmp_path: Path, postgresql_url: str) -> None:
    crawl_and_count(
        tmp_path,
        f"database.url={postgresql_url}",
        items=300,
        kills=6,
        span=(0.0, 2.0),
        rate=40.0,
        seed=7,
        limit_s=300.0,
    )
