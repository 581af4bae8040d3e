"""Pages of any site that yt-dlp supports, from the user's table or from YouTube's search, downloaded through yt-dlp.

A candidate's URL is its page. The fetch stage hands an asset to yt-dlp when its find came from this provider (the
asset's `provider`), as `folder` alone may bring file: URLs: so the page keeps its one spelling, by which its site is
paced, asked for its opt-outs and matched with take-downs, and no other provider can have a URL opened this way.
"""

from __future__ import annotations

import asyncio
import math
import shutil
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from omnisrc.crawl.providers.about import About, CallLimits
from omnisrc.crawl.providers.provider import Candidate, MediaWish, Page, Question
from omnisrc.crawl.providers.sizes import objects, text_of
from omnisrc.crawl.providers.ytdlp_pages import pages_of
from omnisrc.crawl.settings import CrawlSettings, ProviderSettings, YtdlpSettings
from omnisrc.crawl.ytdlp.downloader import Downloader
from omnisrc.crawl.ytdlp.options import LIVE, RUNTIMES
from omnisrc.errors import UserError
from omnisrc.web.client import Client

NAME = "ytdlp"
SITE = "www.youtube.com:443"
A_REQUEST = 20
"""YouTube's search answers so many at a time, and each page of a growing N asks for all of them again."""


def need_terms(settings: YtdlpSettings) -> None:
    """Raises UserError unless the user took the terms upon himself."""
    if not settings.accept_terms:
        raise UserError(
            "The provider `ytdlp` is off: most sites' terms, YouTube's among them, forbid downloading without "
            "permission; if you may, say so with --set providers.ytdlp.accept_terms=true."
        )


class Ytdlp:
    """The provider `ytdlp`. A page's cursor is the number of finds before it."""

    page_size = 50
    kinds = ("video",)
    limits = CallLimits(per_hour=300, results=500)
    about = About(
        "most sites' terms forbid downloading without permission; each uploader's licence holds",
        gate="providers.ytdlp.accept_terms",
    )

    def __init__(self, settings: ProviderSettings, wish: MediaWish, client: Client) -> None:
        need_terms(settings.ytdlp)
        self._settings = settings.ytdlp
        self._client = client
        self._pages = Path(settings.ytdlp.pages).expanduser() if settings.ytdlp.pages else None
        if self._pages is not None and not self._pages.is_file():
            raise UserError(f"There is no table of pages {self._pages} (providers.ytdlp.pages).")

    @property
    def site(self) -> str | None:
        return SITE if self._pages is None else None

    @property
    def note(self) -> str:
        """What full support of YouTube needs and whether it is here."""
        return runtimes_in_words()

    async def find(self, question: Question, cursor: str, limit: int) -> Page:
        """The next pages of the class in the table, or the next places of YouTube's search. Raises ItemError."""
        start, count = int(cursor or 0), max(1, min(limit, self.page_size))
        if self._pages is not None:
            rows = await asyncio.to_thread(pages_of, self._pages, question)
            end = start + count
            return Page(rows[start:end], str(end) if end < len(rows) else None, calls=0)
        last = min(start + count, self.limits.results or start + count)
        async with Downloader(self._client.gate, self._client.allow, CrawlSettings(), self._settings) as downloader:
            playlist = await downloader.search(question.text, start + 1, last)
        return page_of(playlist, last - start, last, self._settings.max_duration, self.limits.results or last)


def page_of(playlist: Mapping[str, Any], asked: int, last: int, max_duration: float, most: int) -> Page:
    """A flat playlist as a page: `asked` entries were, up to place `last`. Broadcasts and what is known to be too long
    are left out. Fewer entries than asked for are the last."""
    entries = objects(playlist.get("entries"))
    found = [candidate for entry in entries if (candidate := candidate_of(entry, max_duration)) is not None]
    onward = str(last) if len(entries) >= asked and last < most else None
    return Page(found, onward, calls=math.ceil(last / A_REQUEST))


def candidate_of(entry: Mapping[str, Any], max_duration: float) -> Candidate | None:
    """An entry of a flat playlist, by the fields that yt-dlp documents; None for what cannot be wanted."""
    page = text_of(entry.get("webpage_url")) or text_of(entry.get("url"))
    if page is None or entry.get("live_status") in LIVE:
        return None
    told = entry.get("duration")
    duration = float(told) if isinstance(told, int | float) and told > 0 else None
    if duration is not None and duration > max_duration > 0:
        return None
    return Candidate(
        url=page,
        kind="video",
        page_url=page,
        license=text_of(entry.get("license")),
        author=text_of(entry.get("channel")) or text_of(entry.get("uploader")),
        title=text_of(entry.get("title")),
        duration=duration,
    )


def runtimes_in_words() -> str:
    """The JavaScript runtimes of this machine, by yt-dlp's names."""
    here = [name for name, program in RUNTIMES.items() if shutil.which(program)]
    if not here:
        return f"no JavaScript runtime ({', '.join(RUNTIMES)}): parts of YouTube cannot be had"
    scripts = "" if find_spec("yt_dlp_ejs") else "; for all of YouTube the package yt-dlp-ejs is missing"
    return f"JavaScript runtime: {', '.join(here)}{scripts}"
