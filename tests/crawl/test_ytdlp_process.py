"""The downloader process: what it may not do, what its failures mean, how long it lives."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web as aioweb
from yt_dlp.networking.exceptions import TransportError
from yt_dlp.utils import DownloadError, ExtractorError

from omnisrc.crawl.settings import CrawlSettings, YtdlpSettings
from omnisrc.crawl.ytdlp.downloader import Downloader, heed_heads, only_file
from omnisrc.crawl.ytdlp.failures import failure_in, failure_of
from omnisrc.crawl.ytdlp.options import unwanted
from omnisrc.errors import REFUSED, ErrorClass, ItemError
from omnisrc.web.addresses import AllowedHosts
from omnisrc.web.download import BodyLimits
from omnisrc.web.hosts import HostGate, Pace
from omnisrc.web.urls import parse_url
from tests.local_web import LocalWeb
from tests.media_files import video_bytes

CHECK = """
import os, socket, subprocess, sys
from omnisrc.crawl.ytdlp.child import WayOut
near = socket.create_server(("127.0.0.1", 0))
sys.addaudithook(WayOut(near.getsockname()[1]).audit)
other = ("127.0.0.1", int(sys.argv[1]))
def refused(work):
    try:
        work()
    except PermissionError:
        return True
    return False
socket.create_connection(near.getsockname())
print([refused(work) for work in (
    lambda: socket.create_connection(other),
    lambda: socket.socket().connect_ex(other),
    lambda: socket.create_connection(("localhost", other[1])),
    lambda: socket.getaddrinfo("example.org", 80),
    lambda: socket.gethostbyname("example.org"),
    lambda: socket.socket(type=socket.SOCK_DGRAM).sendto(b"x", other),
    lambda: socket.socket(socket.AF_UNIX).connect("/run/x"),
    lambda: subprocess.run(["ffmpeg", "-version"]),
    lambda: os.system("true"),
)])
"""


def test_the_process_has_no_way_out_but_the_proxy(web: LocalWeb) -> None:
    done = subprocess.run([sys.executable, "-c", CHECK, str(web.port)], capture_output=True, text=True, timeout=60)
    refused = done.stdout.strip()
    assert refused == str([True] * 9), done.stderr
    assert web.connections == 0


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("[youtube] abc: Private video. Sign in if you've been granted access to this video", ErrorClass.HTTP_4XX),
        ("[youtube] abc: Video unavailable. This video has been removed by the uploader", ErrorClass.HTTP_4XX),
        ("[youtube] abc: This video is private", ErrorClass.HTTP_4XX),
        ("[youtube] abc: Sign in to confirm your age. This video may be inappropriate", ErrorClass.LICENCE),
        ("[youtube] abc: Join this channel to get access to members-only content", ErrorClass.LICENCE),
        ("[youtube] abc: Sign in to confirm you’re not a bot. Use --cookies", ErrorClass.HTTP_429),
        ("[youtube] abc: This content isn't available, try again later", ErrorClass.HTTP_429),
        ("Unsupported URL: https://a.example/", ErrorClass.NOT_MEDIA),
        ("[generic] Unable to download webpage: The read operation timed out", ErrorClass.TIMEOUT),
        ("[youtube] abc: Unable to extract initial player response", ErrorClass.PROVIDER),
    ],
)
def test_what_yt_dlp_says_has_its_class(words: str, kind: ErrorClass) -> None:
    error = failure_in(f"ERROR: {words}")
    assert error.error is kind and (error.retry_after is not None) == (kind is ErrorClass.HTTP_429)
    wrapped = DownloadError(f"ERROR: {words}", (ExtractorError, ExtractorError(words, expected=True), None))
    assert failure_of(wrapped).error is kind


def test_an_exception_inside_says_more_than_its_message() -> None:
    def wrapped(cause: BaseException) -> DownloadError:
        return DownloadError("ERROR: it failed", (ExtractorError, ExtractorError("it failed", cause=cause), None))

    assert failure_of(wrapped(TimeoutError())).error is ErrorClass.TIMEOUT
    assert failure_of(wrapped(TransportError("no"))).error is ErrorClass.CONNECT
    assert failure_of(wrapped(OSError(27, "File too large"))).error is ErrorClass.TOO_LARGE


def test_a_page_can_tell_that_its_video_is_not_wanted() -> None:
    def error(licenses: tuple[str, ...] = (), **info: Any) -> ErrorClass | None:
        found = unwanted(info, 600.0, licenses)
        assert found is None or found.error in REFUSED
        return found.error if found else None

    assert error(duration=600) is None and error() is None
    assert error(duration=601) is ErrorClass.TOO_LARGE
    assert error(is_live=True) is ErrorClass.NOT_MEDIA and error(live_status="is_upcoming") is ErrorClass.NOT_MEDIA
    by = ("creative commons",)
    assert error(by, license="Creative Commons Attribution license (reuse allowed)") is None
    assert error(by, license="Standard") is ErrorClass.LICENCE and error(by) is ErrorClass.LICENCE


def test_only_one_plain_file_is_taken(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"x")
    folder = tmp_path / "media"
    folder.mkdir()
    (folder / "media.mp4").symlink_to(tmp_path / "secret")
    with pytest.raises(ItemError):
        only_file(folder)
    (folder / "a.mp4").write_bytes(b"x")
    assert only_file(folder).name == "a.mp4"


class Anything:
    async def check(self, target: object) -> None: ...

    def heed(self, target: object, status: int, headers: Any) -> None:
        if "noai" in headers.getall("x-robots-tag", []):
            raise ItemError(ErrorClass.OPT_OUT, str(target))


def test_the_heads_of_its_answers_are_heeded() -> None:
    head = {"url": "http://a.example/", "status": 200, "headers": [["X-Robots-Tag", "noai"]]}
    with pytest.raises(ItemError, match="opt-out"):
        heed_heads([{**head, "url": "data:,x"}, head], Anything())
    heed_heads([{**head, "headers": []}], Anything())


def test_a_process_is_replaced_after_so_many_downloads_and_ends_with_its_user(tmp_path: Path, web: LocalWeb) -> None:
    clip = video_bytes(5)
    pages = [parse_url(web.add(f"/{n}.mp4", clip, headers={"Content-Type": "video/mp4"})) for n in range(5)]
    own = YtdlpSettings(accept_terms=True, downloads_per_process=2, request_pause=0)
    limits = BodyLimits(10**6, folder=tmp_path, prefix="fetch-")

    async def main() -> list[int | None]:
        pids = []
        gate, allow = HostGate(Pace(1)), AllowedHosts.parse([web.site])
        async with Downloader(gate, allow, CrawlSettings(), own) as downloader:
            for page in pages:
                body, _ = await downloader.download(page, limits, Anything())
                assert body.read() == clip
                pids.append(downloader.pid)
        return pids

    pids = asyncio.run(main())
    assert [pids.count(pid) for pid in dict.fromkeys(pids)] == [2, 2, 1]
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids) and list(tmp_path.iterdir()) == []


def test_https_goes_through_the_proxy_with_its_credentials(tmp_path: Path, web: LocalWeb) -> None:
    """The local server speaks no TLS: that it was connected to shows that the tunnel was opened."""
    own = YtdlpSettings(accept_terms=True, request_pause=0)

    async def main() -> ErrorClass:
        async with Downloader(HostGate(Pace(1)), AllowedHosts.parse([web.site]), CrawlSettings(), own) as downloader:
            page = parse_url(f"https://{web.site}/a")
            with pytest.raises(ItemError) as error:
                await downloader.download(page, BodyLimits(10**6, folder=tmp_path), Anything())
            return error.value.error

    assert asyncio.run(main()) in (ErrorClass.TLS, ErrorClass.CONNECT) and web.connections > 0


WAIT = """
import asyncio, sys
from pathlib import Path
from omnisrc.crawl.settings import CrawlSettings, YtdlpSettings
from omnisrc.crawl.ytdlp.downloader import Downloader
from omnisrc.web.addresses import AllowedHosts
from omnisrc.web.download import BodyLimits
from omnisrc.web.hosts import HostGate, Pace
from omnisrc.web.urls import parse_url
async def main():
    allow = AllowedHosts.parse([sys.argv[1]])
    async with Downloader(HostGate(Pace(1)), allow, CrawlSettings(), YtdlpSettings(True)) as downloader:
        page = parse_url(f"http://{sys.argv[1]}/hang.mp4")
        work = asyncio.create_task(downloader.download(page, BodyLimits(10**6, folder=Path(sys.argv[2])), None))
        while downloader.pid is None:
            await asyncio.sleep(0.05)
        print(downloader.pid, flush=True)
        await work
asyncio.run(main())
"""


def test_a_downloader_dies_with_a_worker_that_is_killed(tmp_path: Path, web: LocalWeb) -> None:
    async def hang(request: aioweb.Request) -> aioweb.StreamResponse:
        while request.transport is not None and not request.transport.is_closing():
            await asyncio.sleep(0.05)
        return aioweb.Response()

    web.routes["/hang.mp4"] = hang
    worker = subprocess.Popen([sys.executable, "-c", WAIT, web.site, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert worker.stdout is not None
    child = Path("/proc", worker.stdout.readline().strip())
    until(lambda: web.count("/hang.mp4") > 0)
    assert child.exists()
    worker.kill()
    worker.wait()
    until(lambda: not child.exists() or "Z" in child.joinpath("stat").read_text().rpartition(")")[2].split()[0])


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_process_that_takes_too_long_or_is_not_wanted_any_more_is_gone_at_once(tmp_path: Path, web: LocalWeb) -> None:
    async def hang(request: aioweb.Request) -> aioweb.StreamResponse:
        while request.transport is not None and not request.transport.is_closing():
            await asyncio.sleep(0.05)
        return aioweb.Response()

    web.routes["/hang.mp4"] = hang
    page, limits = parse_url(f"{web.url}/hang.mp4"), BodyLimits(10**6, folder=tmp_path, prefix="fetch-")
    crawl = CrawlSettings(video_deadline_s=2.0, idle_s=60.0)

    async def main() -> None:
        gate, allow = HostGate(Pace(1)), AllowedHosts.parse([web.site])
        async with Downloader(gate, allow, crawl, YtdlpSettings(True, request_pause=0)) as downloader:
            for stop in (False, True):
                task = asyncio.create_task(downloader.download(page, limits, Anything()))
                while downloader.pid is None or web.count("/hang.mp4") < 1 + stop:
                    await asyncio.sleep(0.05)
                child = Path(f"/proc/{downloader.pid}")
                if stop:
                    task.cancel()
                (said,) = await asyncio.gather(task, return_exceptions=True)
                assert isinstance(said, asyncio.CancelledError) if stop else said.error is ErrorClass.TIMEOUT
                assert not child.exists() and list(tmp_path.iterdir()) == []

    asyncio.run(main())
