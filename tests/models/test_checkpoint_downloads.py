"""A download that breaks off goes on from where it was: over cuts, kills, changed files and others beside it."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from aiohttp import web as aiohttp_web

from omnisrc.errors import UserError, WorldError
from omnisrc.models.fetch import fetch
from omnisrc.models.settings import ModelSettings
from tests.local_web import LocalWeb

PLAIN = ModelSettings()
FILE = bytes(range(256)) * 4000
OTHER = FILE[::-1]


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class Ranged:
    """A server of one file that knows ranges and cuts the connection after `most` bytes of an answer (0: never).

    `sent` are (status, bytes) of each answer, `held` keeps an answer open after `most` bytes until it is set.
    """

    def __init__(self, content: bytes, most: int = 0, tag: str = '"one"') -> None:
        self.content, self.most, self.tag, self.ranges = content, most, tag, True
        self.sent: list[tuple[int, int]] = []
        self.held: threading.Event | None = None
        self.modified = ""

    async def __call__(self, request: aiohttp_web.Request) -> aiohttp_web.StreamResponse:
        begin, headers = 0, {"ETag": self.tag} if self.tag else {}
        if self.modified:
            headers["Last-Modified"] = self.modified
        wish, condition = request.headers.get("Range", ""), request.headers.get("If-Range", "")
        if wish and self.ranges and condition in (self.tag, self.modified):
            begin = int(wish.removeprefix("bytes=").removesuffix("-"))
            if begin >= len(self.content):
                return aiohttp_web.Response(status=416)
            headers["Content-Range"] = f"bytes {begin}-{len(self.content) - 1}/{len(self.content)}"
        body = self.content[begin:]
        headers["Content-Length"] = str(len(body))
        answer = aiohttp_web.StreamResponse(status=206 if begin else 200, headers=headers)
        await answer.prepare(request)
        piece = body[: self.most] if self.most else body
        self.sent.append((answer.status, len(piece)))
        await answer.write(piece)
        if self.held is not None:
            import asyncio

            while not self.held.is_set():
                await asyncio.sleep(0.01)
        if len(piece) < len(body):
            assert request.transport is not None
            request.transport.close()
        return answer


@pytest.fixture
def web() -> Iterator[LocalWeb]:
    with LocalWeb() as served:
        yield served


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def broken(web: LocalWeb, ranged: Ranged, folder: Path, content: bytes = FILE) -> str:
    """The URL, after one attempt that broke off and gave up, since the second cut brought nothing more."""
    web.routes["/x.pth"] = ranged
    ranged.most = 300_000
    ranged.ranges = False
    with pytest.raises(WorldError, match="what has come is kept"):
        fetch(f"{web.url}/x.pth", folder, PLAIN, sha256(content))
    ranged.most, ranged.ranges = 0, True
    ranged.sent.clear()
    return f"{web.url}/x.pth"


def test_cuts_are_gone_on_from_within_one_call(web: LocalWeb, tmp_path: Path) -> None:
    ranged = Ranged(FILE, most=400_000)
    web.routes["/x.pth"] = ranged
    heard: list[tuple[int, int | None]] = []
    path = fetch(f"{web.url}/x.pth", tmp_path, PLAIN, sha256(FILE), lambda done, total: heard.append((done, total)))
    assert path.read_bytes() == FILE and left(tmp_path) == ["x.pth"]
    assert [status for status, _ in ranged.sent] == [200, 206, 206]
    assert sum(count for _, count in ranged.sent) == len(FILE)
    assert heard[-1] == (len(FILE), len(FILE)) and [done for done, _ in heard] == sorted(done for done, _ in heard)


@pytest.mark.parametrize("by", ["tag", "date"])
def test_another_command_goes_on_from_there(web: LocalWeb, tmp_path: Path, by: str) -> None:
    ranged = Ranged(FILE, tag='"one"' if by == "tag" else "")
    ranged.modified = "" if by == "tag" else "Sat, 01 Nov 2025 10:00:00 GMT"
    url = broken(web, ranged, tmp_path)
    assert len(left(tmp_path)) == 2  # the part and its note
    assert fetch(url, tmp_path, PLAIN, sha256(FILE)).read_bytes() == FILE
    assert ranged.sent == [(206, len(FILE) - 300_000)] and left(tmp_path) == ["x.pth"]


def test_a_server_that_says_nothing_of_the_files_version_is_asked_for_all_of_it(web: LocalWeb, tmp_path: Path) -> None:
    ranged = Ranged(FILE, most=300_000, tag='W/"weak"')
    web.routes["/x.pth"] = ranged
    with pytest.raises(WorldError, match="truncated"):
        fetch(f"{web.url}/x.pth", tmp_path, PLAIN, sha256(FILE))
    assert left(tmp_path) == []


def test_a_changed_file_is_fetched_from_its_start(web: LocalWeb, tmp_path: Path) -> None:
    ranged = Ranged(FILE)
    url = broken(web, ranged, tmp_path, OTHER)
    ranged.content, ranged.tag = OTHER, '"two"'
    assert fetch(url, tmp_path, PLAIN, sha256(OTHER)).read_bytes() == OTHER
    assert ranged.sent == [(200, len(OTHER))]


def test_a_file_that_changed_under_the_same_tag_is_found_by_its_hash_and_fetched_again(
    web: LocalWeb, tmp_path: Path
) -> None:
    ranged = Ranged(FILE)
    url = broken(web, ranged, tmp_path, OTHER)
    ranged.content = OTHER
    assert fetch(url, tmp_path, PLAIN, sha256(OTHER)).read_bytes() == OTHER
    assert ranged.sent == [(206, len(OTHER) - 300_000), (200, len(OTHER))]


def test_a_file_that_is_shorter_now_is_fetched_from_its_start(web: LocalWeb, tmp_path: Path) -> None:
    ranged, short = Ranged(FILE), FILE[:200_000]
    url = broken(web, ranged, tmp_path, short)
    ranged.content = short
    assert fetch(url, tmp_path, PLAIN, sha256(short)).read_bytes() == short
    assert ranged.sent == [(200, len(short))]


def test_the_wrong_content_leaves_nothing_however_it_came(web: LocalWeb, tmp_path: Path) -> None:
    ranged = Ranged(FILE)
    url = broken(web, ranged, tmp_path)
    ranged.content = OTHER
    with pytest.raises(UserError, match="another file, or was changed on the way"):
        fetch(url, tmp_path, PLAIN, sha256(FILE))
    assert left(tmp_path) == [] and [status for status, _ in ranged.sent] == [206, 200]


FETCHING = """
import sys
from pathlib import Path
from omnisrc.models.fetch import fetch
from omnisrc.models.settings import ModelSettings
fetch(sys.argv[1], Path(sys.argv[2]), ModelSettings(), sys.argv[3])
"""


def test_a_killed_download_loses_nothing_that_had_come(web: LocalWeb, tmp_path: Path) -> None:
    ranged = Ranged(FILE, most=500_000)
    ranged.held = threading.Event()
    web.routes["/x.pth"] = ranged
    url = f"{web.url}/x.pth"
    process = subprocess.Popen([sys.executable, "-c", FETCHING, url, str(tmp_path), sha256(FILE)])
    try:
        while not any(path.stat().st_size == 500_000 for path in tmp_path.glob(".fetching-*.pth")):
            assert process.poll() is None
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    ranged.held.set()
    ranged.held, ranged.most = None, 0
    ranged.sent.clear()
    assert fetch(url, tmp_path, PLAIN, sha256(FILE)).read_bytes() == FILE
    assert ranged.sent == [(206, len(FILE) - 500_000)] and left(tmp_path) == ["x.pth"]


def test_two_at_once_fetch_it_once(web: LocalWeb, tmp_path: Path) -> None:
    ranged = Ranged(FILE)
    ranged.held = threading.Event()
    web.routes["/x.pth"] = ranged
    with ThreadPoolExecutor(2) as both:
        asked = [both.submit(fetch, f"{web.url}/x.pth", tmp_path, PLAIN, sha256(FILE)) for _ in range(2)]
        while not ranged.sent:
            assert not any(each.done() for each in asked)
        ranged.held.set()
        assert {each.result() for each in asked} == {tmp_path / "x.pth"}
    assert ranged.sent == [(200, len(FILE))] and (tmp_path / "x.pth").read_bytes() == FILE
    assert left(tmp_path) == ["x.pth"]


def test_what_is_there_is_not_asked_for_again_and_another_file_is_named(web: LocalWeb, tmp_path: Path) -> None:
    ranged = Ranged(FILE)
    web.routes["/x.pth"] = ranged
    for _ in range(2):
        assert fetch(f"{web.url}/x.pth", tmp_path, PLAIN, sha256(FILE)) == tmp_path / "x.pth"
    assert ranged.sent == [(200, len(FILE))]
    with pytest.raises(UserError, match=f"another .*/x.pth already, of the SHA-256 {sha256(FILE)[:16]}"):
        fetch(f"{web.url}/x.pth", tmp_path, PLAIN, sha256(OTHER))
    assert left(tmp_path) == ["x.pth"] and (tmp_path / "x.pth").read_bytes() == FILE
