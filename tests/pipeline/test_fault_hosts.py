"""A host that answers 429 for a while, files that kill their decoder, and one that kills whoever fetches it."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest
from aiohttp import web as http
from sqlalchemy import select

from db.models import Asset
from omnisrc.study import Study
from tests.local_web import LocalWeb
from tests.media_files import png_bomb
from tests.pipeline import accounts, killing
from tests.pipeline.listed_web import ListedWeb, small_picture

EXACT_S = 0.05  # what a clock of the event loop may be off by


class BusyHost:
    """Answers 429 for `busy_s` seconds from its first request, and until the steady host is done; `told` is its
    Retry-After. `seen` are the moments (seconds) and answers of its requests."""

    def __init__(self, steady: LocalWeb, items: int, busy_s: float, told: str | None) -> None:
        self.steady, self.items, self.busy_s = steady, items, busy_s
        self.headers = {"Retry-After": told} if told else {}
        self.seen: list[tuple[float, int]] = []

    def serve(self, body: bytes) -> http.Response:
        now = time.monotonic()
        first = self.seen[0][0] if self.seen else now
        served = sum(path.endswith(".jpg") for path in self.steady.asked)
        status = 429 if now - first < self.busy_s or served < self.items else 200
        self.seen.append((now, status))
        return http.Response(body=body) if status == 200 else http.Response(status=status, headers=self.headers)

    def waits(self) -> list[float]:
        """Seconds from each 429 to the next request."""
        pairs = zip(self.seen, self.seen[1:], strict=False)
        return [after - before for (before, status), (after, _) in pairs if status == 429]


def crawl_with_busy_hosts(tmp_path: Path, busy_s: float, tells: Sequence[str | None], items: int) -> list[BusyHost]:
    """One host that answers, and a busy one for each Retry-After (None: without)."""
    with ExitStack() as stack:
        steady, *webs = (stack.enter_context(LocalWeb()) for _ in range(1 + len(tells)))
        listed = ListedWeb(tmp_path / "lists", steady, *webs)
        listed.pictures(120)
        hosts = [BusyHost(steady, 120, busy_s, told) for told in tells]
        for number, (web, host) in enumerate(zip(webs, hosts, strict=True), 1):
            for seed in range(items):
                body = small_picture(5000 * number + seed)
                url = listed.add(f"/busy-{seed}.jpg", body, web=number)

                async def answer(request: http.Request, host: BusyHost = host, body: bytes = body) -> http.Response:
                    return host.serve(body)

                web.routes[url.removeprefix(web.url)] = answer
        one = ", ".join(f"'{web.site}': {{'concurrency': 1}}" for web in webs)
        killing.finish(tmp_path / "study", *listed.command(f"crawl.hosts={{{one}}}", "crawl.drain_s=20"))
    accounts.balance(tmp_path / "study", listed.expected)
    assert all({status for _, status in host.seen} == {429, 200} for host in hosts)
    return hosts


def test_hosts_that_are_busy_for_a_while_cost_no_asset_and_hold_up_no_other_host(tmp_path: Path) -> None:
    """The busy hosts give nothing before the other one is done, so waiting for them would never end."""
    for host in crawl_with_busy_hosts(tmp_path, 5.0, (None, "2"), items=5):
        assert all(wait >= 2.0 - EXACT_S for wait in host.waits())
        assert max(host.waits()) >= 4.0 - EXACT_S, "it is asked as often as in the beginning"


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_host_that_is_busy_for_a_minute_and_asks_for_short_pauses_costs_no_asset(tmp_path: Path) -> None:
    crawl_with_busy_hosts(tmp_path, 60.0, (None, "1"), items=2)


DEADLY = """
import os, signal, sys
read = os.readv
def readv(handle, buffers):
    got = read(handle, buffers)
    data = b"".join(bytes(buffer) for buffer in buffers)
    for number in (signal.SIGSEGV, signal.SIGKILL):
        if b"deadly-%d-" % number in data:
            os.kill(os.getpid(), number)
    return got
if "omnisrc.media.guard_child" in sys.orig_argv:
    os.readv = readv
"""


def test_files_that_kill_their_decoder_are_set_aside_alone(tmp_path: Path) -> None:
    """The guards load a `sitecustomize` that dies of certain bytes; the bomb needs more memory than a guard has."""
    (tmp_path / "deadly").mkdir()
    (tmp_path / "deadly" / "sitecustomize.py").write_text(DEADLY)
    with LocalWeb() as web:
        listed = ListedWeb(tmp_path / "lists", web)
        listed.pictures(40)
        listed.add("/segv.jpg", small_picture(7001) + b"deadly-%d-" % signal.SIGSEGV, end="decode")
        listed.add("/kill.jpg", small_picture(7002) + b"deadly-%d-" % signal.SIGKILL, end="worker-lost")
        listed.add("/bomb.png", png_bomb(9000, 9000), end="bomb")
        listed.pictures(40, first=40)
        env = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(tmp_path / "deadly"), os.environ.get("PYTHONPATH", "")]),
        }
        process = killing.start(tmp_path / "study", *listed.command("media.guard_memory_mb=500"), env=env)
        try:
            assert process.wait(150.0) == 0, killing.log_of(tmp_path / "study")
        finally:
            killing.end(process)
    books = accounts.balance(tmp_path / "study", listed.expected)
    assert books == {"strikes": 0, "losses": 0, "jobs lost": 0}, "a decoder's death is no worker's"


def crawl_with_a_killer(tmp_path: Path, neighbours: int) -> dict[str, int]:
    """A URL that kills the worker that asks for it, each time; its strikes."""
    workspace, running = tmp_path / "study", list[subprocess.Popen[bytes]]()
    with LocalWeb() as web:
        listed = ListedWeb(tmp_path / "lists", web)
        listed.pictures(neighbours)
        url = listed.add("/killer.jpg", b"", end="worker-lost")

        async def answer(request: http.Request) -> http.StreamResponse:
            for pid in killing.processes(running[0])["worker"]:
                os.kill(pid, signal.SIGKILL)
            return http.Response(body=b"too late")

        web.routes["/killer.jpg"] = answer
        running.append(killing.start(workspace, *listed.command()))
        try:
            assert running[0].wait(150.0) == 0, killing.log_of(workspace)
        finally:
            killing.end(running[0])
    killing.doctor(workspace)
    accounts.balance(workspace, listed.expected)
    study = Study.open(workspace)
    strikes = study.database().read(
        lambda s: s.execute(select(Asset.url, Asset.strikes).where(Asset.strikes > 0)).all()
    )
    study.database().dispose()
    assert [found for found, _ in strikes] == [url]
    return {found: count for found, count in strikes}


@pytest.mark.slow
def test_what_kills_the_worker_that_fetches_it_is_set_aside_after_three_strikes_alone(tmp_path: Path) -> None:
    assert set(crawl_with_a_killer(tmp_path, neighbours=20).values()) == {3}
