"""Pexels: photos and videos. Its terms forbid data sets without permission, so that a setting must name one.

https://www.pexels.com/api/documentation/ ; the X-Ratelimit headers come with successes alone, their reset is the
month's.
"""

from __future__ import annotations

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

BUSY_PAUSE_S = 900.0
SMALLEST_PAGE = 15
LICENCE, LICENCE_URL = "Pexels License", "https://www.pexels.com/license/"
BOXES = {"medium": (None, 350), "large": (940, 650), "large2x": (1880, 1300)}
"""Renditions of `src` that keep the shape -> the width and height that they fit into."""


class Pexels:
    """The provider `pexels`."""

    page_size = 80
    kinds = ("image", "video")
    limits = CallLimits(per_hour=200)
    about = About(
        "terms forbid data sets and training without explicit permission",
        needs_key=True,
        gate="providers.pexels.permission",
    )

    def __init__(self, settings: ProviderSettings, wish: MediaWish, client: Client) -> None:
        self._endpoint = settings.pexels.endpoint.rstrip("/")
        self._wish = wish
        self._client = client
        self._site = site_of("pexels", self._endpoint)
        need_permission("pexels", settings.pexels.permission)
        self._key = need_key("pexels", settings.pexels.key_file)

    @property
    def site(self) -> str | None:
        return self._site

    async def check(self) -> str | None:
        """One search for one photo; what is left of the month's calls."""
        return (await self._call("/search", {"query": "dog", "per_page": 1})).quota_left

    async def find(self, question: Question, cursor: str, limit: int) -> Page:
        """One page of a search. Raises ItemError, and KeyRefusedError."""
        place = Place.read(cursor, limit, SMALLEST_PAGE, self.page_size)
        path, field = ("/search", "photos") if question.kind == "image" else ("/videos/search", "videos")
        params: dict[str, str | int] = {"query": question.text, "per_page": place.per_page, "page": place.page}
        data = (await self._call(path, params)).json()
        total = whole(data.get("total_results")) if "total_results" in data else None
        if "next_page" not in data:  # this page is the last, whatever the total says
            total = place.page * place.per_page
        items, onward = place.take(objects(data.get(field)), limit, total)
        make = self._photo if question.kind == "image" else self._video
        return Page([found for item in items if (found := make(item)) is not None], onward)

    async def _call(self, path: str, params: Mapping[str, str | int]) -> Heard:
        heard = await ask(self._client, self._endpoint + path, params, self._key, in_header="Authorization")
        if heard.status in (401, 403):
            raise self._key.refused(heard.host, heard.text)
        heard.raise_for_status(heard.text, pause_s=BUSY_PAUSE_S)
        return heard

    def _photo(self, photo: Mapping[str, Any]) -> Candidate | None:
        width, height = whole(photo.get("width")), whole(photo.get("height"))
        version = near_version(_renditions(photo.get("src"), width, height), self._wish.image_short_side)
        if version is None:
            return None
        return _candidate(
            "image", photo, version, width, height, text_of(photo.get("photographer")), title=text_of(photo.get("alt"))
        )

    def _video(self, video: Mapping[str, Any]) -> Candidate | None:
        files = [
            Version(str(file.get("link") or ""), whole(file.get("width")), whole(file.get("height")))
            for file in objects(video.get("video_files"))
            if file.get("file_type") == "video/mp4"
        ]
        version = near_version(files, self._wish.clip_short_side)
        if version is None:
            return None
        author = text_of((video.get("user") or {}).get("name"))
        width, height = whole(video.get("width")), whole(video.get("height"))
        duration = whole(video.get("duration"))
        return _candidate("video", video, version, width, height, author, duration=float(duration) or None)


def _renditions(src: Any, width: int, height: int) -> list[Version]:
    """The versions of a photo of the given size, each with the size that it comes out at."""
    if not isinstance(src, dict):
        return []
    found = [Version(text_of(src.get("original")) or "", width, height)]
    for name, (box_width, box_height) in BOXES.items():
        if width and height:
            scale = min(1.0, (box_width or width) / width, box_height / height)
            found.append(Version(text_of(src.get(name)) or "", round(scale * width), round(scale * height)))
        else:
            found.append(Version(text_of(src.get(name)) or ""))
    return found


def _candidate(
    kind: str,
    item: Mapping[str, Any],
    version: Version,
    width: int,
    height: int,
    author: str | None,
    *,
    title: str | None = None,
    duration: float | None = None,
) -> Candidate:
    return Candidate(
        url=version.url,
        kind=kind,
        page_url=text_of(item.get("url")),
        license=LICENCE,
        license_url=LICENCE_URL,
        author=author,
        title=title,
        width=width or None,
        height=height or None,
        duration=duration,
    )
