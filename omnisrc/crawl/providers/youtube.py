"""YouTube, for finding alone: ids, licences and durations by the Data API v3. Its terms forbid downloading.

https://developers.google.com/youtube/v3/docs ; search.list has a bucket of 100 calls a day that is filled at midnight
Pacific time.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from omnisrc.crawl.providers.about import About, CallLimits
from omnisrc.crawl.providers.durations import iso_seconds
from omnisrc.crawl.providers.endpoints import site_of
from omnisrc.crawl.providers.keyed_call import Heard, ask
from omnisrc.crawl.providers.keys import need_key
from omnisrc.crawl.providers.provider import Candidate, MediaWish, Page, Question
from omnisrc.crawl.providers.sizes import objects, text_of
from omnisrc.crawl.settings import ProviderSettings
from omnisrc.crawl.windows import Window, iso
from omnisrc.errors import ErrorClass, ItemError
from omnisrc.web.client import Client

PACIFIC = ZoneInfo("America/Los_Angeles")
SPENT = {"quotaExceeded", "dailyLimitExceeded", "rateLimitExceeded", "userRateLimitExceeded"}
BAD_KEY = {"keyInvalid", "keyExpired", "accessNotConfigured", "ipRefererBlocked", "forbidden", "API_KEY_INVALID"}
A_MINUTE_S = 60.0
LICENCES = {
    "creativeCommon": ("CC BY 3.0", "https://creativecommons.org/licenses/by/3.0/"),
    "youtube": ("Standard YouTube Licence, all rights reserved", "https://www.youtube.com/static?template=terms"),
}
SOME_VIDEO = "dQw4w9WgXcQ"


class Youtube:
    """The provider `youtube`. A crawl refuses it: what it finds are pages to watch, not files to fetch."""

    page_size = 50
    kinds = ("video",)
    limits = CallLimits(per_day=100, results=500)
    about = About(
        "finding only: its terms forbid downloading without permission", needs_key=True, finds_only=True, windows=True
    )

    def __init__(self, settings: ProviderSettings, wish: MediaWish, client: Client) -> None:
        self._settings = settings.youtube
        self._client = client
        self._site = site_of("youtube", self._settings.endpoint)
        self._key = need_key("youtube", self._settings.key_file)

    @property
    def site(self) -> str | None:
        return self._site

    async def check(self) -> str | None:
        """One call of videos.list, which leaves the 100 searches of the day alone."""
        await self._call("videos", part="id", id=SOME_VIDEO)
        return None

    async def find(self, question: Question, cursor: str, limit: int) -> Page:
        """One page of a search, with the particulars of its videos. The cursor is a pageToken.

        Raises ItemError: QUOTA until midnight Pacific time where the day's calls are spent; and KeyRefusedError.
        """
        params: dict[str, str | int] = {
            "part": "snippet",
            "type": "video",
            "q": question.text,
            "maxResults": max(1, min(limit, self.page_size)),
            "videoLicense": self._settings.license,
            "videoDefinition": self._settings.definition,
            "videoDuration": self._settings.duration,
            "safeSearch": "strict",
        }
        window = Window.read(question.time_window)
        if window.since is not None:
            params["publishedAfter"] = iso(window.since)
        if window.until is not None:
            params["publishedBefore"] = iso(window.until)
        if cursor:
            params["pageToken"] = cursor
        data = await self._call("search", **params)
        snippets = {
            video_id: item.get("snippet") or {}
            for item in objects(data.get("items"))
            if (video_id := text_of((item.get("id") or {}).get("videoId")))
        }
        calls, said = 1, {}
        if snippets:
            answer = await self._call("videos", part="contentDetails,status", id=",".join(snippets))
            calls, said = 2, {str(item.get("id")): item for item in objects(answer.get("items"))}
        found = [
            _candidate(video_id, snippet, said[video_id]) for video_id, snippet in snippets.items() if video_id in said
        ]
        return Page(found, text_of(data.get("nextPageToken")), calls)

    async def _call(self, path: str, **params: str | int) -> dict[str, Any]:
        endpoint = f"{self._settings.endpoint.rstrip('/')}/{path}"
        heard = await ask(self._client, endpoint, params, self._key, in_header="X-Goog-Api-Key")
        if heard.status != 200:
            self._raise(heard)
        return heard.json()

    def _raise(self, heard: Heard) -> None:
        """Raises what the error envelope says: {"error": {"code", "message", "errors": [{"reason", "domain"}]}}."""
        reasons, message = _envelope(heard)
        words = f"{', '.join(reasons)}: {message}" if reasons else message
        if SPENT & set(reasons):
            pause_s = A_MINUTE_S if "per minute" in message.lower() else until_midnight_pacific()
            raise heard.failure(ErrorClass.QUOTA, words, heard.retry_after or pause_s)
        if BAD_KEY & set(reasons) or "API key not valid" in message or heard.status == 401:
            raise self._key.refused(heard.host, words)
        heard.raise_for_status(words)


def until_midnight_pacific(now: datetime | None = None) -> float:
    """Seconds until the day's calls come anew."""
    here = (now or datetime.now(PACIFIC)).astimezone(PACIFIC)
    midnight = datetime.combine(here.date() + timedelta(days=1), time(), PACIFIC)
    return midnight.timestamp() - here.timestamp()


def _envelope(heard: Heard) -> tuple[list[str], str]:
    """The reasons and the message of an error, as far as it tells them."""
    try:
        error = heard.json().get("error")
    except ItemError:
        return [], ""
    if not isinstance(error, dict):
        return [], str(error or "")
    inner = objects(error.get("errors")) + objects(error.get("details"))
    return [str(one["reason"]) for one in inner if one.get("reason")], str(error.get("message") or "")


def _candidate(video_id: str, snippet: Mapping[str, Any], said: Mapping[str, Any]) -> Candidate:
    watch = f"https://www.youtube.com/watch?v={video_id}"
    licence = text_of((said.get("status") or {}).get("license"))
    name, licence_url = LICENCES.get(licence or "", (licence, None))
    duration = iso_seconds(str((said.get("contentDetails") or {}).get("duration") or ""))
    return Candidate(
        url=watch,
        kind="video",
        page_url=watch,
        license=name,
        license_url=licence_url,
        author=text_of(snippet.get("channelTitle")),
        title=text_of(snippet.get("title")),
        duration=duration or None,  # a live broadcast has P0D
    )
