"""Wikimedia Commons: images and videos, by the MediaWiki Action API.

https://www.mediawiki.org/wiki/API:Search, API:Imageinfo, Extension:TimedMediaHandler/API (imageinfo and videoinfo
cannot be asked in one request). Errors come with status 200 and an `error` object. Time windows are asked for by
CirrusSearch's `creationdate:`, which knows whole days, and kept to the second by the time of the file's upload.
"""

from __future__ import annotations

import html
import json
import logging
import re
from collections.abc import Iterable, Mapping
from typing import Any

from omnisrc.crawl.providers.about import About
from omnisrc.crawl.providers.call import Reply, call_json
from omnisrc.crawl.providers.provider import Candidate, MediaWish, Page, Question
from omnisrc.crawl.providers.renditions import asked_width, derivative, thumbnail
from omnisrc.crawl.settings import ProviderSettings
from omnisrc.crawl.windows import Window, iso, moment_of
from omnisrc.errors import ErrorClass, ItemError, UserError
from omnisrc.web.client import Client
from omnisrc.web.urls import parse_url

log = logging.getLogger(__name__)

FILE_NAMESPACE = 6
FILTERS = {"image": "filetype:bitmap", "video": "filetype:video"}
METADATA = "LicenseShortName|LicenseUrl|UsageTerms|Artist|Credit"
BUSY = {"maxlag", "ratelimited", "readonly"}
MAX_PARTS = 10
_TAG = re.compile(r"<[^>]*>")


class Commons:
    """The provider `commons`."""

    page_size = 50
    kinds = ("image", "video")
    about = About(
        "free licences only, attribution is told; robot policy: contact in the User-Agent, few calls at a time",
        windows=True,
    )

    def __init__(self, settings: ProviderSettings, wish: MediaWish, client: Client) -> None:
        self._endpoint = settings.commons.endpoint
        self._wish = wish
        self._client = client
        try:
            self._site = parse_url(self._endpoint).site
        except ItemError as error:
            raise UserError(
                f"The setting providers.commons.endpoint is {self._endpoint!r}, which is no http or https URL."
            ) from error

    @property
    def site(self) -> str | None:
        return self._site

    async def find(self, question: Question, cursor: str, limit: int) -> Page:
        """One page of a full-text search among files; its cursor is the API's `continue` object.

        A page of a time window may hold less than it was asked for: of its first and last day a part lies outside.
        """
        window = Window.read(question.time_window)
        params: dict[str, str | int] = {
            "generator": "search",
            "gsrsearch": " ".join([FILTERS[question.kind], *_days(window), question.text]),
            "gsrnamespace": FILE_NAMESPACE,
            "gsrlimit": max(1, min(limit, self.page_size)),
            "prop": "imageinfo",
            "iiprop": "url|size|mime|mediatype|sha1|user|timestamp|extmetadata",
            "iiextmetadatafilter": METADATA,
        }
        if question.kind == "image":
            params["iiurlwidth"] = asked_width(self._wish.image_short_side)
        pages, onward, calls = await self._whole_page(params, json.loads(cursor) if cursor else {})
        told = [(page, info) for page in pages for info in (page.get("imageinfo") or [])[:1] if info.get("url")]
        found = [(page, info) for page, info in told if window.holds(moment_of(info.get("timestamp")))]
        derivatives: dict[int, list[dict[str, Any]]] = {}
        if question.kind == "video" and (large := [page["pageid"] for page, info in found if self._is_large(info)]):
            derivatives = await self._derivatives(large)
            calls += 1
        candidates = [self._candidate(question.kind, page, info, derivatives) for page, info in found]
        return Page(candidates, json.dumps(onward, sort_keys=True) if onward else None, calls)

    async def _whole_page(
        self, params: Mapping[str, str | int], onward: dict[str, Any]
    ) -> tuple[list[dict[str, Any]], dict[str, Any], int]:
        """The found pages in their order. The API may give the properties of one page of results in parts."""
        merged: dict[int, dict[str, Any]] = {}
        calls = 0
        for _ in range(MAX_PARTS):
            reply = await self._query({**params, **onward})
            calls += 1
            for page in _pages(reply.data):
                known = merged.setdefault(page.get("pageid", -len(merged) - 1), page)
                known.update({key: value for key, value in page.items() if value})
            onward = reply.data.get("continue") or {}
            if "batchcomplete" in reply.data or not onward:
                break
        return sorted(merged.values(), key=lambda page: page.get("index", 0)), onward, calls

    async def _query(self, params: Mapping[str, str | int]) -> Reply:
        every: dict[str, str | int] = {"action": "query", "format": "json", "formatversion": 2, "maxlag": 5}
        reply = await call_json(self._client, self._endpoint, {**every, **params})
        for part, words in (reply.data.get("warnings") or {}).items():
            log.info("%s warns of %s: %s", self._site, part, words)
        problem = reply.data.get("error")
        if problem:
            code = str(problem.get("code", ""))
            detail = f"{code}: {_text(problem.get('info'))}"[:300]
            if code in BUSY:
                raise ItemError(ErrorClass.QUOTA, detail, http_status=200, retry_after=reply.retry_after or 5.0)
            raise ItemError(ErrorClass.PROVIDER, detail, http_status=200)
        return reply

    async def _derivatives(self, page_ids: list[int]) -> dict[int, list[dict[str, Any]]]:
        """The transcoded versions of videos, by page id; none where the wiki does not tell."""
        ids = "|".join(map(str, page_ids))
        try:
            reply = await self._query({"prop": "videoinfo", "viprop": "derivatives|size", "pageids": ids})
        except ItemError as error:
            if error.error is not ErrorClass.PROVIDER:
                raise
            log.info("%s has no derivatives: %s", self._site, error.detail)
            return {}
        return {page["pageid"]: info.get("derivatives") or [] for page, info in _infos(reply.data, "videoinfo")}

    def _is_large(self, info: Mapping[str, Any]) -> bool:
        return min(info.get("width") or 0, info.get("height") or 0) > 1.5 * self._wish.clip_short_side

    def _candidate(
        self, kind: str, page: Mapping[str, Any], info: Mapping[str, Any], derivatives: Mapping[int, Any]
    ) -> Candidate:
        said = info.get("extmetadata") or {}
        url = info["url"]
        if kind == "image":
            url = thumbnail(info, self._wish.image_short_side)
        elif page.get("pageid") in derivatives:
            url = derivative(derivatives[page["pageid"]], self._wish.clip_short_side) or url
        original = url == info["url"]
        return Candidate(
            url=url,
            kind=kind,
            page_url=info.get("descriptionurl"),
            license=_value(said, "LicenseShortName") or _value(said, "UsageTerms"),
            license_url=_value(said, "LicenseUrl"),
            author=_value(said, "Artist") or _value(said, "Credit") or info.get("user"),
            title=_title(page.get("title")),
            width=info.get("width"),
            height=info.get("height"),
            duration=info.get("duration"),
            bytes=info.get("size") if original else None,
            mime=info.get("mime") if original else None,
            sha1=info.get("sha1") if original else None,
        )


def _days(window: Window) -> list[str]:
    """The days (UTC) that a window touches, as the search knows them."""
    first = [] if window.since is None else [f"creationdate:>={iso(window.since)[:10]}"]
    last = [] if window.until is None else [f"creationdate:<={iso(window.until - 1)[:10]}"]
    return first + last


def _pages(data: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    """The pages of an answer, in either format version."""
    pages = (data.get("query") or {}).get("pages") or []
    return pages.values() if isinstance(pages, dict) else pages


def _infos(data: Mapping[str, Any], prop: str) -> Iterable[tuple[dict[str, Any], dict[str, Any]]]:
    return ((page, info) for page in _pages(data) for info in (page.get(prop) or [])[:1] if "pageid" in page)


def _value(metadata: Mapping[str, Any], name: str) -> str | None:
    return _text((metadata.get(name) or {}).get("value")) or None


def _text(value: Any) -> str:
    """Plain text of a value that may be HTML."""
    return " ".join(html.unescape(_TAG.sub("", str(value or ""))).split())


def _title(text: Any) -> str | None:
    """`File:Brush hair.jpg` -> `Brush hair`."""
    name = str(text or "").partition(":")[2] or str(text or "")
    return re.sub(r"\.[A-Za-z0-9]{2,4}$", "", name) or None
