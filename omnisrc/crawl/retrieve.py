"""The bytes of one asset: from the web, through every check of the guarded client, or from the user's own folder."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote, urlsplit

from db.models import Asset
from omnisrc.crawl.landing import head_check
from omnisrc.crawl.outcome import Fetched
from omnisrc.crawl.providers.ytdlp import NAME as YTDLP
from omnisrc.crawl.settings import CrawlSettings
from omnisrc.crawl.slots import SiteBusy
from omnisrc.crawl.ytdlp.downloader import Downloader, DownloaderBusy
from omnisrc.errors import ErrorClass, ItemError
from omnisrc.web.bandwidth import Bandwidth, Tap
from omnisrc.web.client import Answer, Client
from omnisrc.web.download import HEAD_BYTES, Body, BodyLimits, read_body
from omnisrc.web.optout import OptOuts
from omnisrc.web.urls import parse_url

MEMORY_BYTES = 2 * 2**20
BUSY_S = 5.0


class Retriever:
    """Fetches assets; large bodies go through files whose path begins with `spill`.

    `count` is told the bytes that come over the network, as they come; `bandwidth` holds back those of the guarded
    client.
    """

    def __init__(
        self,
        client: Client,
        optouts: OptOuts,
        settings: CrawlSettings,
        spill: Path,
        local_root: Path | None,
        downloader: Downloader | None = None,
        count: Callable[[int], None] | None = None,
        bandwidth: Bandwidth | None = None,
    ) -> None:
        self._client = client
        self._optouts = optouts
        self._settings = settings
        self._spill = spill
        self._local_root = local_root
        self._downloader = downloader
        self._count = count
        self._bandwidth = bandwidth or Bandwidth()

    async def retrieve(self, asset: Asset, heard: dict[str, Answer]) -> tuple[Body, Fetched]:
        """The body and where it came from at last.

        The final answer is noted in `heard["answer"]` before its body is read, so that a failure can be told by its
        site and status. Raises ItemError.
        """
        if asset.url.startswith("file:"):
            return self._local(asset), Fetched()
        if asset.provider == YTDLP:
            return await self._downloaded(asset)
        deadline_s = self._settings.image_deadline_s if asset.kind == "image" else self._settings.video_deadline_s
        async with (
            self._bandwidth.body() as tap,
            self._client.get(asset.url, optouts=self._optouts, deadline_s=deadline_s) as answer,
        ):
            heard["answer"] = answer
            answer.raise_for_status()
            body = await read_body(answer, self._limits(asset.kind, tap))
        return body, Fetched(str(answer.target), answer.status)

    async def _downloaded(self, asset: Asset) -> tuple[Body, Fetched]:
        """The video of a page, through yt-dlp; its owner is asked as of any other URL."""
        if self._downloader is None:
            raise ItemError(ErrorClass.PROVIDER, "providers.ytdlp.accept_terms is not set here")
        page = parse_url(asset.url)
        self._client.vet(page)
        await self._optouts.check(page)
        try:
            body, told = await self._downloader.download(page, self._limits(asset.kind), self._optouts)
        except DownloaderBusy:
            raise SiteBusy(page.site, BUSY_S) from None
        return body, Fetched(str(page), 200, told.license, told.author)

    def _limits(self, kind: str, tap: Tap | None = None) -> BodyLimits:
        settings = self._settings
        return BodyLimits(
            max_bytes=settings.max_image_bytes if kind == "image" else settings.max_video_bytes,
            min_speed=settings.min_speed,
            memory_bytes=MEMORY_BYTES,
            folder=self._spill.parent,
            prefix=self._spill.name,
            check_head=head_check(kind),
            count=self._count,
            pay=None if tap is None else tap.pay,
        )

    def _local(self, asset: Asset) -> Body:
        """A file under the folder that the user named, and no other."""
        path = Path(unquote(urlsplit(asset.url).path)).resolve()
        if self._local_root is None or asset.provider != "folder" or not path.is_relative_to(self._local_root):
            raise ItemError(ErrorClass.BAD_URL, "a file outside providers.folder.path")
        limits = self._limits(asset.kind)
        try:
            if path.stat().st_size > limits.max_bytes:
                raise ItemError(ErrorClass.TOO_LARGE, f"{path.stat().st_size} bytes")
            data = path.read_bytes()
        except OSError as error:
            raise ItemError(ErrorClass.BAD_URL, f"{path}: {error.strerror}") from error
        if not data:
            raise ItemError(ErrorClass.EMPTY, "no bytes")
        head_check(asset.kind)(data[:HEAD_BYTES])
        sha1 = hashlib.sha1(data, usedforsecurity=False).hexdigest()
        return Body(data, len(data), hashlib.sha256(data).hexdigest(), sha1)
