"""yt-dlp for one worker: one process that is asked one thing at a time, behind a proxy of ours.

The process is replaced after so many calls (yt-dlp's memory grows), and ended where it takes too long.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from aiohttp.abc import AbstractResolver
from multidict import CIMultiDict

from omnisrc.crawl.settings import CrawlSettings, YtdlpSettings
from omnisrc.crawl.ytdlp.process import DownloadProcess
from omnisrc.crawl.ytdlp.requests import MEDIA, DownloadRequest, Reach, SearchRequest
from omnisrc.errors import ErrorClass, ItemError
from omnisrc.media.answers import meta_of
from omnisrc.media.wire import WireError, WireTimeout
from omnisrc.web.addresses import AllowedHosts
from omnisrc.web.client import AGENT, OwnersWishes
from omnisrc.web.download import Body, BodyLimits, read_file
from omnisrc.web.forward_proxy import ForwardProxy, Passage
from omnisrc.web.hosts import Gate
from omnisrc.web.refusal import Refusal
from omnisrc.web.urls import WebUrl, parse_url

PAGES_BYTES = 32 * 2**20
"""So many bytes of pages and scripts may come beside the media."""

LONGEST_TURN_S = 10.0


class DownloaderBusy(Exception):
    """The worker's process is at another download; to be asked again later."""


@dataclass(frozen=True)
class Told:
    """What a page says of its video."""

    license: str | None = None
    author: str | None = None
    title: str | None = None


class Downloader:
    """Searches and downloads with yt-dlp. An asynchronous context manager for one event loop.

    The proxy and the process are started by the first call.
    """

    def __init__(
        self,
        gate: Gate,
        allow: AllowedHosts,
        crawl: CrawlSettings,
        settings: YtdlpSettings,
        resolver: AbstractResolver | None = None,
    ) -> None:
        self._gate = gate
        self._allow = allow
        self._crawl = crawl
        self._settings = settings
        self._resolver = resolver
        self._stack = AsyncExitStack()
        self._turn = asyncio.Lock()
        self._proxy: ForwardProxy | None = None
        self._process: DownloadProcess | None = None
        self._thread = ThreadPoolExecutor(1, "ytdlp")  # the process dies with the thread that started it

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.stop()
        await asyncio.to_thread(self._thread.shutdown)
        if self._process is not None:
            self._process.kill()
        await self._stack.aclose()

    @property
    def pid(self) -> int | None:
        """The process as it is now."""
        return None if self._process is None else self._process.pid

    async def search(self, text: str, first: int, last: int) -> dict[str, Any]:
        """Places `first` to `last` of what YouTube finds, as yt-dlp's flat playlist. The caller has the host's slot."""
        async with self._way_out(PAGES_BYTES, "www.youtube.com:443") as (passage, reach):
            request = SearchRequest(reach, text, first, last)
            found = await self._ask("search", request, passage, self._crawl.video_deadline_s)
        playlist = found.get("playlist")
        return playlist if isinstance(playlist, dict) else {}

    async def download(self, page: WebUrl, limits: BodyLimits, wishes: OwnersWishes) -> tuple[Body, Told]:
        """The video of a page. Waits for its site's gate and for the process.

        Raises ItemError; DownloaderBusy where the process stays busy; and what the gate raises, of any host.
        """
        try:
            async with asyncio.timeout(LONGEST_TURN_S):
                await self._turn.acquire()
        except TimeoutError:
            raise DownloaderBusy from None
        try:
            async with self._gate.slot(page.site):
                return await self._download(page, limits, wishes)
        finally:
            self._turn.release()

    async def _download(self, page: WebUrl, limits: BodyLimits, wishes: OwnersWishes) -> tuple[Body, Told]:
        settings = self._settings
        try:
            folder = tempfile.TemporaryDirectory(prefix=limits.prefix, dir=limits.folder, ignore_cleanup_errors=True)
        except OSError as error:
            raise ItemError(ErrorClass.STORAGE, f"no temporary folder: {error}") from error
        with folder as place:
            async with self._way_out(limits.max_bytes + PAGES_BYTES, page.site) as (passage, reach):
                request = DownloadRequest(
                    reach, str(page), place, limits.max_bytes, settings.max_height, settings.max_duration,
                    settings.licenses, (AGENT, *self._crawl.optout_agents),
                )  # fmt: skip
                answer = await self._ask("download", request, passage, self._crawl.video_deadline_s)
            heed_page(answer.get("refused"))
            heed_heads(answer.get("heads"), wishes)
            body = await asyncio.to_thread(read_file, only_file(Path(place, MEDIA)), limits)
        body.longest_s = settings.max_duration
        return body, _told(answer.get("told"))

    @asynccontextmanager
    async def _way_out(self, max_bytes: int, *sites: str) -> AsyncIterator[tuple[Passage, Reach]]:
        if self._proxy is None:
            proxy = ForwardProxy(
                self._gate, allow=self._allow, connect_s=self._crawl.connect_s, resolver=self._resolver
            )
            self._proxy = await self._stack.enter_async_context(proxy)
        async with self._proxy.passage(max_bytes, *sites) as passage:
            yield passage, Reach(self._proxy.url(passage), self._crawl.idle_s, self._settings.request_pause)

    async def _ask(
        self, task: str, request: SearchRequest | DownloadRequest, passage: Passage, timeout_s: float
    ) -> dict[str, Any]:
        """The process's answer. What the proxy kept back says more than what yt-dlp makes of it."""
        asking = asyncio.get_running_loop().run_in_executor(
            self._thread, self._ask_process, task, asdict(request), timeout_s
        )
        try:
            answer = await asyncio.shield(asking)
        except asyncio.CancelledError:
            if self._process is not None:
                self._process.stop()
            with suppress(ItemError):
                await asking
            raise
        except ItemError:
            if passage.trouble is not None:
                raise passage.trouble from None
            raise
        if "meta" not in answer and passage.trouble is not None:
            raise passage.trouble
        return meta_of(answer)

    def _ask_process(self, task: str, params: dict[str, Any], timeout_s: float) -> dict[str, Any]:
        """In the one thread: asks the process, a new one where there is none or the old one has done enough."""
        process = self._process
        if process is not None and process.calls >= self._settings.downloads_per_process:
            process.close()
            process = self._process = None
        if process is None:
            process = self._process = DownloadProcess((self._crawl.max_video_bytes >> 20) + 16)
            process.wait_ready()
        try:
            return process.ask(task, b"", params, timeout_s)[0]
        except WireTimeout:
            self._process = None
            process.kill()
            raise ItemError(ErrorClass.TIMEOUT, f"not done in {timeout_s:.0f} s") from None
        except WireError as error:
            self._process = None
            died = process.kill()
            raise ItemError(ErrorClass.WORKER_LOST, f"the downloader died ({died.name if died else error})") from error


def only_file(folder: Path) -> Path:
    """The one regular file in a folder that another program has filled. Raises ItemError(NOT_MEDIA)."""
    found = [path for path in folder.iterdir() if path.is_file() and not path.is_symlink()] if folder.is_dir() else []
    if len(found) != 1:
        raise ItemError(ErrorClass.NOT_MEDIA, f"{len(found)} files were downloaded")
    return found[0]


def heed_heads(heads: object, wishes: OwnersWishes) -> None:
    """Asks of the answers' heads whether their owner refuses. Raises ItemError(OPT_OUT)."""
    for head in heads if isinstance(heads, list) else []:
        fields = CIMultiDict((str(name), str(value)) for name, value in head["headers"])
        try:
            target = parse_url(str(head["url"]))
        except ItemError:
            continue
        wishes.heed(target, int(head["status"]), fields)


def heed_page(said: object) -> None:
    """Raises Refusal(OPT_OUT) where the process found that a page's metas keep its video from us."""
    if isinstance(said, dict):
        words = {name: str(said.get(name, "")) for name in ("signal", "directive", "said", "where")}
        directive = words.pop("directive")
        raise Refusal(ErrorClass.OPT_OUT, f"{words['signal']}: {directive}", {**words, "at": time.time()})


def _told(said: object) -> Told:
    words = said if isinstance(said, dict) else {}
    licence = words.get("license")
    return Told(str(licence)[:200] if licence else None, words.get("uploader"), words.get("title"))
