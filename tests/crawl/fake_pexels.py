"""A Pexels on the local web: photos and videos by pages, a budget of calls with its headers on successes."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from tests.crawl.fake_stock import FakeStock

BASE = "/v1"
KEY = "563492ad6f91700001000001pexelsfakekey0123456789abcdef012"


@dataclass
class FakePexels(FakeStock):
    BASE = BASE
    PATHS = ("/search", "/videos/search")

    height: int = 6000
    left: int = 20_000

    def _reply(self, request: web.Request, query: dict[str, str]) -> web.StreamResponse:
        if request.headers.get("Authorization") != KEY:
            return web.json_response({"status": 401, "code": "Unauthorized"}, status=401)
        if self.left == 0:
            return web.json_response({"status": 429, "code": "Too Many Requests"}, status=429)
        self.left -= 1
        film = request.path.endswith("/videos/search")
        number = self.videos if film else self.photos
        per_page, page = int(query.get("per_page", 15)), int(query.get("page", 1))
        assert 1 <= per_page <= 80
        start = (page - 1) * per_page
        body: dict[str, Any] = {"page": page, "per_page": per_page, "total_results": number}
        body["videos" if film else "photos"] = self.items(film, start, per_page)
        if start + per_page < number:
            body["next_page"] = f"{self.served.url}{request.path}?page={page + 1}&per_page={per_page}"
        headers = {
            "X-Ratelimit-Limit": "20000", "X-Ratelimit-Remaining": str(self.left),
            "X-Ratelimit-Reset": str(int(time.time()) + 1_000_000),
        }  # fmt: skip
        return web.json_response(body, headers=headers)

    def _photo(self, n: int) -> dict[str, Any]:
        url = f"{self.served.url}/photos/{n}/pexels-photo-{n}.jpeg"
        sized = {"large2x": "dpr=2&h=650&w=940", "large": "h=650&w=940", "medium": "h=350", "small": "h=130"}
        src = {"original": url, **{name: f"{url}?auto=compress&cs=tinysrgb&{size}" for name, size in sized.items()}}
        src |= {"portrait": f"{url}?fit=crop&h=1200&w=800", "tiny": f"{url}?dpr=1&fit=crop&h=200&w=280"}
        return {
            "id": n, "width": self.width, "height": self.height, "url": f"https://www.pexels.com/photo/{n}/",
            "photographer": "Pat Photographer", "photographer_url": "https://www.pexels.com/@pat", "photographer_id": 1,
            "avg_color": "#978E82", "src": src, "liked": False, "alt": f"Photo {n}",
        }  # fmt: skip

    def _video(self, n: int) -> dict[str, Any]:
        def file(quality: str | None, width: int | None, height: int | None, kind: str = "video/mp4") -> dict[str, Any]:
            link = f"{self.served.url}/video-files/{n}/{n}-{quality}_{width}_{height}.mp4"
            return {
                "id": n,
                "quality": quality,
                "file_type": kind,
                "width": width,
                "height": height,
                "fps": 25.0,
                "link": link,
            }

        files = [
            file("uhd", 2160, 4096), file("hd", 720, 1366), file("sd", 360, 684), file("sd", 240, 426),
            file("hls", 256, 300, "application/x-mpegURL"), file(None, None, None),
        ]  # fmt: skip
        return {
            "id": n, "width": 2160, "height": 4096, "url": f"https://www.pexels.com/video/{n}/", "image": "x",
            "duration": 12, "user": {"id": 1, "name": "Vic Videographer", "url": "x"}, "video_files": files,
            "video_pictures": [],
        }  # fmt: skip
