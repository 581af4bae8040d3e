from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from omnisrc.crawl.pace import call_interval_s
from omnisrc.crawl.providers.provider import MediaWish, Page, Question
from omnisrc.crawl.providers.registry import open_provider
from omnisrc.crawl.providers.ytdlp import Ytdlp, page_of, runtimes_in_words
from omnisrc.crawl.settings import CrawlSettings, HostSettings, ProviderSettings, YtdlpSettings
from omnisrc.crawl.ytdlp.downloader import Downloader
from omnisrc.errors import ErrorClass, ItemError, UserError
from omnisrc.web.client import Client
from omnisrc.web.hosts import HostGate, Pace

ASKED = Question("brush hair", "video", "brush hair")


def entry(number: int, **fields: Any) -> dict[str, Any]:
    """An entry of `ytsearchN:` with extract_flat, by the fields that yt-dlp's README names."""
    made = {
        "_type": "url", "ie_key": "Youtube", "id": f"id{number:09}", "title": f"video {number}", "duration": 61.0,
        "url": f"https://www.youtube.com/watch?v=id{number:09}", "channel": "Ann", "uploader": "ann",
        "live_status": None, "view_count": 7, "description": None, "availability": None, "__x_forwarded_for_ip": None,
    }  # fmt: skip
    return {**made, **fields}


def provider(**settings: Any) -> Any:
    own = ProviderSettings(ytdlp=YtdlpSettings(accept_terms=True, **settings))
    return open_provider("ytdlp", own, MediaWish(), Client("x", HostGate(Pace(1))))


def test_it_is_off_until_its_terms_are_accepted() -> None:
    with pytest.raises(UserError, match=r"providers\.ytdlp\.accept_terms=true"):
        open_provider("ytdlp", ProviderSettings(), MediaWish(), Client("x", HostGate(Pace(1))))


def test_a_flat_playlist_is_candidates() -> None:
    entries = [
        entry(0), entry(1, live_status="is_live"), entry(2, duration=601), entry(3, duration=None, channel=None),
        entry(4, url=None), None,
    ]  # fmt: skip
    page = page_of({"_type": "playlist", "entries": entries}, asked=50, last=50, max_duration=600, most=500)
    first, second = page.candidates
    assert first.url == first.page_url == "https://www.youtube.com/watch?v=id000000000"
    assert (first.title, first.author, first.duration, first.license) == ("video 0", "Ann", 61, None)
    assert (second.title, second.author, second.duration) == ("video 3", "ann", None)
    assert page.next is None and page.calls == 3


def test_a_search_is_paged_by_places_until_it_ends_or_gives_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    everything, asked = [entry(n) for n in range(120)], []

    async def search(self: Downloader, text: str, first: int, last: int) -> dict[str, Any]:
        asked.append((text, first, last))
        return {"entries": everything[first - 1 : last]}

    monkeypatch.setattr(Downloader, "search", search)
    found, cursor, pages = [], "", 0
    while pages == 0 or cursor:
        page: Page = asyncio.run(provider().find(ASKED, cursor, 1000))
        found, cursor, pages = found + page.candidates, page.next or "", pages + 1
    assert [one.title for one in found] == [f"video {n}" for n in range(120)]
    assert asked == [("brush hair", 1, 50), ("brush hair", 51, 100), ("brush hair", 101, 150)]
    everything.extend(entry(n) for n in range(120, 900))
    last = asyncio.run(provider().find(ASKED, "480", 50))
    assert len(last.candidates) == 20 and last.next is None, "a query gives 500"


def test_pages_are_those_of_the_class(tmp_path: Path) -> None:
    lines, table = tmp_path / "pages.txt", tmp_path / "pages.csv"
    lines.write_text(
        "# of mine\nbrush_hair\thttps://a.example/1\n\nski\thttps://a.example/2\nBrush Hair\thttps://b.example/3\n"
    )
    table.write_text(
        "class,url,license,author,duration\nbrush hair,https://a.example/1,CC BY 4.0,Ann,12\nski,https://a.example/2,,,\n"
        "brush hair,https://b.example/3,,,\n"
    )
    for path in (lines, table):
        own = provider(pages=str(path))
        first = asyncio.run(own.find(ASKED, "", 1))
        second = asyncio.run(own.find(ASKED, first.next or "", 9))
        assert [c.url for c in first.candidates + second.candidates] == ["https://a.example/1", "https://b.example/3"]
        assert second.next is None and own.site is None and first.candidates[0].page_url == "https://a.example/1"
    assert (first.candidates[0].license, first.candidates[0].author) == ("CC BY 4.0", "Ann")


def test_a_line_that_is_no_page_is_named(tmp_path: Path) -> None:
    path = tmp_path / "pages.txt"
    path.write_text("ski\thttps://a.example/2\nbrush hair https://a.example/1\n")
    with pytest.raises(ItemError, match="line 2") as error:
        asyncio.run(provider(pages=str(path)).find(ASKED, "", 5))
    assert error.value.error is ErrorClass.PROVIDER
    with pytest.raises(UserError, match=r"providers\.ytdlp\.pages"):
        provider(pages=str(tmp_path / "none.txt"))


def test_the_runtime_that_youtube_wants_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "no JavaScript runtime (deno, node, bun, quickjs)" in runtimes_in_words()
    (tmp_path / "qjs").write_text("#!/bin/sh\n")
    (tmp_path / "qjs").chmod(0o755)
    assert "quickjs" in runtimes_in_words() and "no JavaScript" not in runtimes_in_words()


def test_youtube_has_a_pace_of_its_own_that_the_user_may_change() -> None:
    site = provider().site
    assert CrawlSettings().host(site) == HostSettings(0.1, 1)
    own = CrawlSettings(hosts={"www.youtube.com": HostSettings(rate=0.05)})
    assert own.host(site).rate == 0.05 and CrawlSettings().host("a.example:443") == HostSettings(4.0, 2)
    assert call_interval_s(CrawlSettings(), site, Ytdlp) == 12.0, "300 calls an hour"
