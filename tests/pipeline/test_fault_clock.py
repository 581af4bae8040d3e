"""The wall clock of the workers and of the database jumps by an hour in the middle of a crawl."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from aiohttp import web as http

from tests import services
from tests.local_web import LocalWeb
from tests.pipeline import accounts, killing
from tests.pipeline.listed_web import ListedWeb, small_picture

HOUR = 3600
SOURCE = Path(__file__).with_name("shifted_clock.c")


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("cc")
    if compiler is None:
        services.missing("a C compiler (cc) is not on this machine, and the clock cannot be shifted without one")
    library = tmp_path_factory.mktemp("shim") / "shifted_clock.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(SOURCE)], check=True)
    return library


def set_clock(place: Path, shift: int) -> None:
    """In place: a file cut to nothing, if only for a moment, kills with SIGBUS whoever has it mapped."""
    with place.open("r+b") as file:
        file.write(struct.pack("<q", shift))


def wait_for(holds: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 100.0
    while not holds():
        assert process.poll() is None and time.monotonic() < until
        time.sleep(0.02)


@pytest.mark.parametrize(
    "jumps",
    [pytest.param((-HOUR,), id="backward"), pytest.param((HOUR, 0), id="forward and back")],
)
def test_a_clock_that_jumps_by_an_hour_neither_loses_work_nor_stalls_it(
    shim: Path, tmp_path: Path, jumps: tuple[int, ...]
) -> None:
    """A host asks for a pause before each jump, so that what waits has a time to wait for."""
    place = tmp_path / "shift"
    place.write_bytes(struct.pack("<q", 0))
    refused: list[int] = []
    with LocalWeb() as steady, LocalWeb() as busy:
        listed = ListedWeb(tmp_path / "lists", steady, busy)
        listed.pictures(50)
        listed.pictures(10, web=1, first=1000)
        listed.mishaps()
        body = small_picture(2000)
        listed.add("/later.jpg", body, web=1)

        async def later(request: http.Request) -> http.StreamResponse:
            if len(refused) < len(jumps):
                refused.append(1)
                return http.Response(status=429, headers={"Retry-After": "4"})
            return http.Response(body=body)

        busy.routes["/later.jpg"] = later
        env = {**os.environ, "LD_PRELOAD": str(shim), "CLOCK_SHIFT": str(place)}
        workspace = tmp_path / "study"
        command = listed.command("crawl.host_rate=20", "crawl.drain_s=3", "crawl.longest_wait_s=60")
        process = killing.start(workspace, *command, env=env)
        try:
            for number, shift in enumerate(jumps, 1):
                wait_for(lambda number=number: len(refused) >= number, process)
                time.sleep(0.5)
                set_clock(place, shift)
            assert process.wait(100.0) == 0, killing.log_of(workspace)
        finally:
            killing.end(process)
    books = accounts.balance(workspace, listed.expected)
    assert books["strikes"] == 0
