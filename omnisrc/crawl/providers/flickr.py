"""Flickr: images and short videos, by flickr.photos.search.

https://www.flickr.com/services/api/ ; errors come with status 200 and {"stat": "fail", "code": ..., "message": ...}.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from omnisrc.crawl.providers.about import About, CallLimits
from omnisrc.crawl.providers.endpoints import site_of
from omnisrc.crawl.providers.keyed_call import Heard, ask
from omnisrc.crawl.providers.keys import KeyRefusedError, need_key
from omnisrc.crawl.providers.paging import Place
from omnisrc.crawl.providers.provider import Candidate, MediaWish, Page, Question
from omnisrc.crawl.providers.sizes import Version, near_version, objects, text_of, whole
from omnisrc.crawl.settings import ProviderSettings
from omnisrc.crawl.windows import Window
from omnisrc.errors import ErrorClass, ItemError
from omnisrc.web.client import Client

SIZES = "mnzclo"
"""Suffixes of the extras `url_m` and so on, longest sides 240 to the original."""

EXTRAS = ",".join(["license", "owner_name", "media", *(f"url_{size}" for size in SIZES)])
INVALID_KEY, BUSY = 100, {10, 105, 106}
GONE = {1, 2}
"""Of flickr.photos.getSizes: the photo was not found, or is not for us."""
BUSY_PAUSE_S = 60.0
SMALLEST_PAGE, VIDEO_PAGE = 20, 50
FILMS = ("MP4", "720p", "1080p", "360p", "Video Original")
"""Endings of the labels of sizes that are films; `Video Player` is a web page."""

_CC = "https://creativecommons.org/licenses"
LICENCES = {
    0: ("All rights reserved", None),
    1: ("CC BY-NC-SA 2.0", f"{_CC}/by-nc-sa/2.0/"),
    2: ("CC BY-NC 2.0", f"{_CC}/by-nc/2.0/"),
    3: ("CC BY-NC-ND 2.0", f"{_CC}/by-nc-nd/2.0/"),
    4: ("CC BY 2.0", f"{_CC}/by/2.0/"),
    5: ("CC BY-SA 2.0", f"{_CC}/by-sa/2.0/"),
    6: ("CC BY-ND 2.0", f"{_CC}/by-nd/2.0/"),
    7: ("No known copyright restrictions", "https://www.flickr.com/commons/usage/"),
    8: ("United States Government Work", "https://www.usa.gov/copyright.shtml"),
    9: ("CC0 1.0", "https://creativecommons.org/publicdomain/zero/1.0/"),
    10: ("Public Domain Mark 1.0", "https://creativecommons.org/publicdomain/mark/1.0/"),
}
"""Flickr's licences by id; newer ones are asked for (flickr.photos.licenses.getInfo)."""

Licences = Mapping[int, tuple[str, str | None]]


class Flickr:
    """The provider `flickr`."""

    page_size = 500
    kinds = ("image", "video")
    limits = CallLimits(per_hour=3600, results=4000, calls_per_find={"video": 1})
    about = About(
        "API free for non-commercial use; each owner's licence holds (setting licenses)", needs_key=True, windows=True
    )

    def __init__(self, settings: ProviderSettings, wish: MediaWish, client: Client) -> None:
        self._settings = settings.flickr
        self._wish = wish
        self._client = client
        self._site = site_of("flickr", self._settings.endpoint)
        self._key = need_key("flickr", self._settings.key_file)

    @property
    def site(self) -> str | None:
        return self._site

    async def check(self) -> str | None:
        """One tiny call that the key must be good for."""
        await self._call("flickr.test.echo")
        return None

    async def find(self, question: Question, cursor: str, limit: int) -> Page:
        """One page of a full-text search, by relevance. Raises ItemError, and KeyRefusedError."""
        largest = self.page_size if question.kind == "image" else VIDEO_PAGE
        place = Place.read(cursor, limit, SMALLEST_PAGE, largest)
        data = await self._call("flickr.photos.search", **self._search(question, place))
        found = data.get("photos")
        if not isinstance(found, dict):
            raise ItemError(ErrorClass.PROVIDER, "an answer without photos", http_status=200)
        total = min(whole(found.get("total")), self.limits.results or 0) if "total" in found else self.limits.results
        photos, onward = place.take(objects(found.get("photo")), min(limit, largest), total)
        calls = 1
        licences: Licences = LICENCES
        if any(self._licence_id(photo) not in LICENCES for photo in photos):
            licences, calls = {**LICENCES, **await self._newer_licences()}, calls + 1
        candidates = []
        for photo in photos:
            versions = _listed(photo) if question.kind == "image" else []
            if not versions and photo.get("id"):
                versions, calls = await self._sizes(str(photo["id"]), question.kind), calls + 1
            candidate = self._candidate(question.kind, photo, versions, licences)
            if candidate is not None:
                candidates.append(candidate)
        return Page(candidates, onward, calls)

    def _search(self, question: Question, place: Place) -> dict[str, str | int]:
        params: dict[str, str | int] = {
            "text": question.text,
            "media": "photos" if question.kind == "image" else "videos",
            "sort": "relevance",
            "safe_search": 1,
            "extras": EXTRAS,
            "per_page": place.per_page,
            "page": place.page,
        }
        window = Window.read(question.time_window)
        if window.since is not None:
            params["min_upload_date"] = int(window.since)
        if window.until is not None:
            params["max_upload_date"] = int(window.until)
        if question.kind == "image":
            params["content_type"] = 1  # no screenshots, no drawings
        if self._settings.licenses:
            params["license"] = ",".join(map(str, self._settings.licenses))
        return params

    async def _call(self, method: str, **params: str | int) -> dict[str, Any]:
        every: dict[str, str | int] = {"method": method, "format": "json", "nojsoncallback": 1}
        heard = await ask(self._client, self._settings.endpoint, {**every, **params}, self._key, in_query="api_key")
        heard.raise_for_status()
        data = heard.json()
        if data.get("stat") != "ok":
            raise self._failure(heard, data)
        return data

    def _failure(self, heard: Heard, data: Mapping[str, Any]) -> ItemError | KeyRefusedError:
        code, message = whole(data.get("code")), str(data.get("message") or "no message")
        if code == INVALID_KEY:
            return self._key.refused(heard.host, message)
        if code in BUSY:
            return heard.failure(ErrorClass.HTTP_5XX, f"{code}: {message}", heard.retry_after or BUSY_PAUSE_S)
        return _RefusalOfCall(ErrorClass.PROVIDER, f"{code}: {message}"[:300], code)

    async def _newer_licences(self) -> dict[int, tuple[str, str | None]]:
        data = await self._call("flickr.photos.licenses.getInfo")
        known = objects((data.get("licenses") or {}).get("license"))
        return {
            whole(one.get("id")): (str(one.get("name") or "unknown"), text_of(one.get("url")))
            for one in known
            if whole(one.get("id"))
        }

    async def _sizes(self, photo_id: str, kind: str) -> list[Version]:
        """The versions of a photo or film; none where it is gone since it was found."""
        try:
            data = await self._call("flickr.photos.getSizes", photo_id=photo_id)
        except _RefusalOfCall as error:
            if error.code in GONE:
                return []
            raise
        sizes = objects((data.get("sizes") or {}).get("size"))
        return [
            Version(str(size.get("source") or ""), whole(size.get("width")), whole(size.get("height")))
            for size in sizes
            if (kind == "video") == (size.get("media") == "video")
            and (kind == "image" or str(size.get("label")).endswith(FILMS))
        ]

    def _licence_id(self, photo: Mapping[str, Any]) -> int:
        return whole(photo.get("license"))

    def _candidate(
        self, kind: str, photo: Mapping[str, Any], versions: list[Version], licences: Licences
    ) -> Candidate | None:
        wanted = self._wish.image_short_side if kind == "image" else self._wish.clip_short_side
        version = near_version(versions, wanted)
        if version is None:
            return None
        largest = max(versions, key=lambda one: one.area)
        owner, photo_id = photo.get("owner"), photo.get("id")
        licence, licence_url = (None, None)
        if photo.get("license") is not None:
            licence, licence_url = licences.get(self._licence_id(photo), (f"Flickr licence {photo['license']}", None))
        return Candidate(
            url=version.url,
            kind=kind,
            page_url=f"https://www.flickr.com/photos/{owner}/{photo_id}" if owner and photo_id else None,
            license=licence,
            license_url=licence_url,
            author=text_of(photo.get("ownername")) or text_of(owner),
            title=text_of(photo.get("title")),
            width=largest.width or None,
            height=largest.height or None,
        )


class _RefusalOfCall(ItemError):
    """A `fail` that is about what was asked, by its code."""

    def __init__(self, error: ErrorClass, detail: str, code: int) -> None:
        super().__init__(error, detail, http_status=200)
        self.code = code


def _listed(photo: Mapping[str, Any]) -> list[Version]:
    """The versions that a search with extras tells."""
    return [
        Version(url, whole(photo.get(f"width_{size}")), whole(photo.get(f"height_{size}")))
        for size in SIZES
        if (url := text_of(photo.get(f"url_{size}")))
    ]
