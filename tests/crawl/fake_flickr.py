"""A Flickr of a few photos on the local web: flickr.photos.search and its kin, with the real one's envelopes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.local_web import LocalWeb

API = "/services/rest/"
KEY = "0123456789abcdef0123456789abcdef"
LONGEST = {"m": 240, "n": 320, "z": 640, "c": 800, "l": 1024}
MOST = 4000


@dataclass
class Photo:
    """One photo or video; `said` goes over what a search says of it."""

    id: int
    width: int = 4000
    height: int = 3000
    license: str = "4"
    media: str = "photo"
    said: dict[str, Any] = field(default_factory=dict)
    uploaded: int = 0  # seconds since 1970
    lost: tuple[str, ...] = ()  # fields that the search leaves out
    films: tuple[tuple[str, int, int], ...] = (("360p", 640, 360), ("HD MP4", 1280, 720))

    @property
    def title(self) -> str:
        return f"Photo {self.id}"


@dataclass
class FakeFlickr:
    """Answers `found[text]`. `moods` come before anything else, one a call. `thin` pages hold that many fewer."""

    served: LocalWeb
    found: dict[str, list[Photo]] = field(default_factory=dict)
    moods: list[Callable[[web.Request], web.StreamResponse | None]] = field(default_factory=list)
    calls: list[dict[str, str]] = field(default_factory=list)
    thin: int = 0
    gone: set[int] = field(default_factory=set)  # ids that getSizes does not know any more
    echo: bool = False  # titles and owners hold the caller's key

    def __post_init__(self) -> None:
        self.served.routes[API] = self._answer

    @property
    def endpoint(self) -> str:
        return self.served.url + API

    def methods(self) -> list[str]:
        return [call["method"].rpartition(".")[2] for call in self.calls]

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        query = dict(request.query)
        self.calls.append(query)
        mood = self.moods.pop(0)(request) if self.moods else None
        if mood is not None:
            return mood
        assert query["format"] == "json"
        if query.get("api_key") != KEY:
            return fail(100, "Invalid API Key (Key has invalid format)")(request)
        body = {
            "flickr.photos.search": self._search,
            "flickr.photos.getSizes": self._sizes,
            "flickr.photos.licenses.getInfo": self._licences,
            "flickr.test.echo": self._echo,
        }[query["method"]](query)
        text = web.json_response(body).text or ""
        if query.get("nojsoncallback") != "1":
            text = f"jsonFlickrApi({text})"
        return web.Response(text=text, content_type="application/json")

    def _echo(self, query: dict[str, str]) -> dict[str, Any]:
        return {**{name: {"_content": value} for name, value in query.items()}, "stat": "ok"}

    def _search(self, query: dict[str, str]) -> dict[str, Any]:
        media = {"photos": "photo", "videos": "video"}[query["media"]]
        photos = [photo for photo in self.found.get(query["text"], []) if photo.media == media]
        if "license" in query:
            photos = [photo for photo in photos if photo.license in query["license"].split(",")]
        first, last = int(query.get("min_upload_date", 0)), int(query.get("max_upload_date", 2**40))
        photos = [photo for photo in photos if first <= photo.uploaded <= last]
        per_page, page = min(int(query["per_page"]), 500), int(query["page"])
        last = max(1, -(-min(len(photos), MOST) // per_page))
        start = (min(page, last) - 1) * per_page  # a page beyond the end is the last one again
        listed = photos[start : start + per_page][: per_page - self.thin]
        extras = query.get("extras", "").split(",")
        items = [self._item(photo, extras, query) for photo in listed]
        head = {"page": page, "pages": last, "perpage": per_page, "total": str(len(photos))}
        return {"photos": {**head, "photo": items}, "stat": "ok"}

    def _item(self, photo: Photo, extras: list[str], query: dict[str, str]) -> dict[str, Any]:
        item: dict[str, Any] = {
            "id": str(photo.id), "owner": "12@N01", "secret": "s", "server": "1", "farm": 1, "title": photo.title,
            "ispublic": 1, "isfriend": 0, "isfamily": 0,
        }  # fmt: skip
        if "license" in extras:
            item["license"] = photo.license
        if "owner_name" in extras:
            item["ownername"] = f"Owner {query['api_key']}" if self.echo else "Ann Owner"
        if "media" in extras:
            item["media"] = photo.media
        for suffix, longest in LONGEST.items():
            if f"url_{suffix}" in extras and longest < max(photo.width, photo.height):
                scale = longest / max(photo.width, photo.height)
                item |= self._size(photo, suffix, round(scale * photo.width), round(scale * photo.height))
        if "url_o" in extras and photo.media == "photo":
            item |= self._size(photo, "o", photo.width, photo.height)
        for name in photo.lost:
            for one in [key for key in item if key == name or key.partition("_")[0] == name]:
                del item[one]
        return {**item, **photo.said}

    def _size(self, photo: Photo, suffix: str, width: int, height: int) -> dict[str, Any]:
        url = f"{self.served.url}/{photo.id}_{suffix}.jpg"
        return {f"url_{suffix}": url, f"width_{suffix}": width, f"height_{suffix}": str(height)}

    def _sizes(self, query: dict[str, str]) -> dict[str, Any]:
        photos = {str(photo.id): photo for found in self.found.values() for photo in found}
        photo = photos[query["photo_id"]]
        if photo.id in self.gone:
            return {"stat": "fail", "code": 1, "message": "Photo not found"}
        still = f"{self.served.url}/{photo.id}_z.jpg"
        sizes = [{"label": "Medium 640", "width": 640, "height": 480, "source": still, "url": "x", "media": "photo"}]
        if photo.media == "video":
            player = f"{self.served.url}/apps/video/stewart.swf?photo_id={photo.id}"
            sizes.append({"label": "Video Player", "width": 640, "height": 360, "source": player, "media": "video"})
            for label, width, height in photo.films:
                source = f"{self.served.url}/{photo.id}/play/{label.replace(' ', '')}/s/"
                sizes.append(
                    {"label": label, "width": width, "height": str(height), "source": source, "media": "video"}
                )
        return {"sizes": {"canblog": 0, "candownload": 1, "size": sizes}, "stat": "ok"}

    def _licences(self, query: dict[str, str]) -> dict[str, Any]:
        known = [
            {"id": 0, "name": "All Rights Reserved", "url": ""},
            {"id": "11", "name": "CC BY 4.0", "url": "https://creativecommons.org/licenses/by/4.0/"},
        ]
        return {"licenses": {"license": known}, "stat": "ok"}


def fail(code: int, message: str) -> Callable[[web.Request], web.StreamResponse]:
    """A failure as Flickr sends it: status 200."""
    return lambda request: web.json_response({"stat": "fail", "code": code, "message": message})
