"""Pixabay: photos and videos. Its terms forbid mass downloads without permission, so that a setting must name one.

https://pixabay.com/api/docs/ ; a query gives at most `totalHits` (500) results, errors are plain text.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from omnisrc.crawl.providers.about import About, CallLimits
from omnisrc.crawl.providers.endpoints import site_of
from omnisrc.crawl.providers.keyed_call import Heard, ask
from omnisrc.crawl.providers.keys import need_key
from omnisrc.crawl.providers.paging import Place
from omnisrc.crawl.providers.permission import need_permission
from omnisrc.crawl.providers.provider import Candidate, MediaWish, Page, Question
from omnisrc.crawl.providers.sizes import Version, near_version, objects, text_of, whole
from omnisrc.crawl.settings import ProviderSettings
from omnisrc.web.client import Client

log = logging.getLogger(__name__)

SMALLEST_PAGE, LONGEST_TEXT = 20, 100
BUSY_PAUSE_S = 60.0
LARGE = 1280
"""The longest side of `largeImageURL`."""
LICENCE, LICENCE_URL = "Pixabay Content License", "https://pixabay.com/service/license-summary/"


class Pixabay:
    """The provider `pixabay`."""

    page_size = 200
    kinds = ("image", "video")
    limits = CallLimits(per_minute=100, results=500)
    about = About(
        "terms forbid systematic mass downloads without permission", needs_key=True, gate="providers.pixabay.permission"
    )

    def __init__(self, settings: ProviderSettings, wish: MediaWish, client: Client) -> None:
        self._endpoint = settings.pixabay.endpoint.rstrip("/")
        self._wish = wish
        self._client = client
        self._site = site_of("pixabay", self._endpoint)
        need_permission("pixabay", settings.pixabay.permission)
        self._key = need_key("pixabay", settings.pixabay.key_file)

    @property
    def site(self) -> str | None:
        return self._site

    async def check(self) -> str | None:
        """One search for three photos, the fewest that can be asked for; what is left of the minute's calls."""
        heard = await self._call("/", {"q": "dog", "per_page": 3})
        heard.raise_for_status(heard.text)
        return heard.quota_left

    async def find(self, question: Question, cursor: str, limit: int) -> Page:
        """One page of a search. Raises ItemError, and KeyRefusedError."""
        place = Place.read(cursor, limit, SMALLEST_PAGE, self.page_size)
        params: dict[str, str | int] = {
            "q": _short(question.text),
            "per_page": place.per_page,
            "page": place.page,
            "safesearch": "true",
        }
        if question.kind == "image":
            params["image_type"] = "photo"
        heard = await self._call("/" if question.kind == "image" else "/videos/", params)
        if heard.status == 400 and place.page > 1 and "out of valid range" in heard.text:
            return Page([], None)
        heard.raise_for_status(heard.text, pause_s=BUSY_PAUSE_S)
        data = heard.json()
        total = min(whole(data.get("totalHits")), self.limits.results or 0) if "totalHits" in data else None
        items, onward = place.take(objects(data.get("hits")), limit, total)
        make = self._photo if question.kind == "image" else self._video
        return Page([found for item in items if (found := make(item)) is not None], onward)

    async def _call(self, path: str, params: Mapping[str, str | int]) -> Heard:
        heard = await ask(self._client, self._endpoint + path, params, self._key, in_query="key")
        if heard.status in (400, 401, 403) and "api key" in heard.text.lower():
            raise self._key.refused(heard.host, heard.text)
        return heard

    def _photo(self, hit: Mapping[str, Any]) -> Candidate | None:
        width, height = whole(hit.get("imageWidth")), whole(hit.get("imageHeight"))
        scale = min(1.0, LARGE / max(width, height, 1))
        web = Version(
            text_of(hit.get("webformatURL")) or "", whole(hit.get("webformatWidth")), whole(hit.get("webformatHeight"))
        )
        large = Version(text_of(hit.get("largeImageURL")) or "", round(scale * width), round(scale * height))
        return _candidate("image", hit, near_version([web, large], self._wish.image_short_side), width, height)

    def _video(self, hit: Mapping[str, Any]) -> Candidate | None:
        versions = [
            Version(
                text_of(version.get("url")) or "",
                whole(version.get("width")),
                whole(version.get("height")),
                whole(version.get("size")) or None,
            )
            for version in objects(list((hit.get("videos") or {}).values()))
        ]
        largest = max(versions, key=lambda version: version.area, default=Version(""))
        best = near_version(versions, self._wish.clip_short_side)
        return _candidate("video", hit, best, largest.width, largest.height, duration=whole(hit.get("duration")))


def _candidate(
    kind: str, hit: Mapping[str, Any], version: Version | None, width: int, height: int, duration: int = 0
) -> Candidate | None:
    if version is None:
        return None
    return Candidate(
        url=version.url,
        kind=kind,
        page_url=text_of(hit.get("pageURL")),
        license=LICENCE,
        license_url=LICENCE_URL,
        author=text_of(hit.get("user")),
        title=text_of(hit.get("tags")),
        width=width or None,
        height=height or None,
        duration=float(duration) or None,
        bytes=version.bytes,
    )


def _short(text: str) -> str:
    """The text, cut after a word where it is longer than the service takes."""
    if len(text) <= LONGEST_TEXT:
        return text
    log.info("pixabay takes %d letters; the rest of %r is not asked for", LONGEST_TEXT, text)
    return text[: LONGEST_TEXT + 1].rpartition(" ")[0] or text[:LONGEST_TEXT]
