"""A YouTube Data API v3 on the local web: search.list and videos.list, a quota, and Google's error envelope."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.local_web import LocalWeb

BASE = "/youtube/v3"
KEY = "AIzaSyFAKE-fake_FAKE-fake_FAKE-fake_123"


@dataclass
class Clip:
    """One video; what is None is left out of the answer."""

    id: str
    license: str | None = "creativeCommon"
    duration: str | None = "PT1M5S"
    definition: str = "hd"
    private: bool = False  # found, but not told of


@dataclass
class FakeYoutube:
    served: LocalWeb
    found: dict[str, list[Clip]] = field(default_factory=dict)
    searches_left: int = 100
    calls: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    moods: list[Callable[[web.Request], web.StreamResponse | None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.served.routes[f"{BASE}/search"] = self._answer
        self.served.routes[f"{BASE}/videos"] = self._answer

    @property
    def endpoint(self) -> str:
        return self.served.url + BASE

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        query, what = dict(request.query), request.path.rpartition("/")[2]
        self.calls.append((what, query))
        mood = self.moods.pop(0)(request) if self.moods else None
        if mood is not None:
            return mood
        if (request.headers.get("X-Goog-Api-Key") or query.get("key")) != KEY:
            return bad_key(request)
        if what == "videos":
            return web.json_response(self._videos(query))
        if self.searches_left == 0:
            return error(403, "quotaExceeded", "The request cannot be completed: you have exceeded your quota.")(
                request
            )
        self.searches_left -= 1
        if "videoLicense" in query and query.get("type") != "video":
            return error(400, "invalidSearchFilter", "videoLicense requires type=video")(request)
        return web.json_response(self._search(query))

    def _search(self, query: dict[str, str]) -> dict[str, Any]:
        clips = self.found.get(query["q"], [])
        if query.get("videoLicense", "any") != "any":
            clips = [clip for clip in clips if clip.license == query["videoLicense"]]
        start, most = int(query.get("pageToken", "T0")[1:]), int(query.get("maxResults", 5))
        assert 0 <= most <= 50
        items = [
            {
                "kind": "youtube#searchResult", "etag": "e", "id": {"kind": "youtube#video", "videoId": clip.id},
                "snippet": {
                    "publishedAt": "2020-01-01T00:00:00Z", "channelId": "UC1", "channelTitle": "A channel",
                    "title": f"Clip {clip.id}", "description": "", "thumbnails": {},
                },
            }
            for clip in clips[start : start + most]
        ]  # fmt: skip
        body: dict[str, Any] = {
            "kind": "youtube#searchListResponse", "etag": "e", "regionCode": "DE",
            "pageInfo": {"totalResults": 1_000_000, "resultsPerPage": most}, "items": items,
        }  # fmt: skip
        if start + most < len(clips):
            body["nextPageToken"] = f"T{start + most}"
        return body

    def _videos(self, query: dict[str, str]) -> dict[str, Any]:
        asked = query["id"].split(",")
        assert len(asked) <= 50
        parts = query["part"].split(",")
        clips = [clip for found in self.found.values() for clip in found if clip.id in asked and not clip.private]
        items = []
        for clip in reversed(clips):
            item: dict[str, Any] = {"kind": "youtube#video", "etag": "e", "id": clip.id}
            if "contentDetails" in parts:
                item["contentDetails"] = {"dimension": "2d", "definition": clip.definition, "caption": "false"}
                if clip.duration is not None:
                    item["contentDetails"]["duration"] = clip.duration
            if "status" in parts:
                item["status"] = {"uploadStatus": "processed", "privacyStatus": "public", "embeddable": True}
                if clip.license is not None:
                    item["status"]["license"] = clip.license
            items.append(item)
        return {"kind": "youtube#videoListResponse", "etag": "e", "items": items, "pageInfo": {}}


def error(status: int, reason: str, message: str) -> Callable[[web.Request], web.StreamResponse]:
    body = {"error": {"code": status, "message": message, "errors": [
        {"message": message, "domain": "youtube.quota", "reason": reason}]}}  # fmt: skip
    return lambda request: web.json_response(body, status=status)


def bad_key(request: web.Request) -> web.StreamResponse:
    message = "API key not valid. Please pass a valid API key."
    return web.json_response(
        {
            "error": {
                "code": 400,
                "message": message,
                "errors": [{"message": message, "domain": "global", "reason": "badRequest"}],
                "status": "INVALID_ARGUMENT",
                "details": [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}],
            }
        },
        status=400,
    )
