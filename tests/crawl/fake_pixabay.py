"""A Pixabay on the local web: photos and videos, at most 500 a query, errors as plain text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from tests.crawl.fake_stock import FakeStock

KEY = "12345678-0123456789abcdef012345678"
MOST = 500


@dataclass
class FakePixabay(FakeStock):
    BASE = "/api"
    PATHS = ("/", "/videos/")

    total: int | None = None  # what totalHits says; None: the truth
    height: int = 2667

    def _reply(self, request: web.Request, query: dict[str, str]) -> web.StreamResponse:
        if query.get("key") != KEY:
            return plain(400, "[ERROR 400] Invalid or missing API key (https://pixabay.com/api/docs/).")(request)
        if len(query.get("q", "")) > 100:
            return plain(400, '[ERROR 400] "q" is too long.')(request)
        limits = {
            "X-RateLimit-Limit": "100",
            "X-RateLimit-Remaining": str(max(0, self.left - 1)),
            "X-RateLimit-Reset": "42",
        }
        if self.left == 0:
            return web.Response(status=429, text="[ERROR 429] API rate limit exceeded", headers=limits)
        self.left -= 1
        film = request.path.endswith("/videos/")
        number = self.videos if film else self.photos
        per_page, page = int(query.get("per_page", 20)), int(query.get("page", 1))
        if not 3 <= per_page <= 200:
            return plain(400, '[ERROR 400] "per_page" is out of valid range.')(request)
        start = (page - 1) * per_page
        if page > 1 and start >= min(number, MOST):
            return plain(400, '[ERROR 400] "page" is out of valid range.')(request)
        hits = self.items(film, start, per_page, MOST)
        told = min(number, MOST) if self.total is None else self.total
        return web.json_response({"total": number, "totalHits": told, "hits": hits}, headers=limits)

    def _photo(self, n: int) -> dict[str, Any]:
        scale = 640 / max(self.width, self.height)
        return {
            "id": n, "pageURL": f"https://pixabay.com/photos/p-{n}/", "type": "photo", "tags": f"photo {n}, hair",
            "previewURL": f"{self.served.url}/p/{n}_150.jpg", "previewWidth": 150, "previewHeight": 100,
            "webformatURL": f"{self.served.url}/get/{n}_640.jpg", "webformatWidth": round(scale * self.width),
            "webformatHeight": round(scale * self.height), "largeImageURL": f"{self.served.url}/get/{n}_1280.jpg",
            "imageWidth": self.width, "imageHeight": self.height, "imageSize": 4_731_420, "views": 1, "downloads": 1,
            "user_id": 7, "user": "Pia", "userImageURL": "",
        }  # fmt: skip

    def _video(self, n: int) -> dict[str, Any]:
        def version(name: str, width: int, height: int) -> dict[str, Any]:
            url = f"{self.served.url}/video/{n}_{name}.mp4" if width else ""
            return {"url": url, "width": width, "height": height, "size": width * 1000, "thumbnail": ""}

        videos = {
            "large": version("large", 0, 0), "medium": version("medium", 1920, 1080),
            "small": version("small", 960, 540), "tiny": version("tiny", 640, 360),
        }  # fmt: skip
        return {
            "id": n, "pageURL": f"https://pixabay.com/videos/v-{n}/", "type": "film", "tags": f"film {n}",
            "duration": 12, "videos": videos, "views": 1, "downloads": 1, "user_id": 7, "user": "Pia",
        }  # fmt: skip


def plain(status: int, text: str) -> Callable[[web.Request], web.StreamResponse]:
    return lambda request: web.Response(status=status, text=text)
