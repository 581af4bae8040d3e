from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from omnisrc.crawl.providers.keys import KeyRefusedError
from omnisrc.crawl.providers.provider import Page
from omnisrc.crawl.providers.youtube import until_midnight_pacific
from omnisrc.crawl.settings import ProviderSettings, YoutubeSettings
from omnisrc.errors import ErrorClass, ItemError
from tests.crawl.fake_commons import status
from tests.crawl.fake_youtube import KEY, Clip, FakeYoutube, error
from tests.crawl.providers.asking import VIDEOS, failure_of, walk, with_provider
from tests.local_web import LocalWeb


@pytest.fixture
def youtube(web: LocalWeb, monkeypatch: pytest.MonkeyPatch) -> FakeYoutube:
    monkeypatch.setenv("OMNISRC_YOUTUBE_KEY", KEY)
    return FakeYoutube(web)


def ask(youtube: FakeYoutube, use: Any, **given: Any) -> Any:
    settings = ProviderSettings(youtube=YoutubeSettings(youtube.endpoint, **given))
    return with_provider("youtube", settings, [youtube.served.site], use)


def find(youtube: FakeYoutube, cursor: str = "", limit: int = 50, **given: Any) -> Page:
    return ask(youtube, lambda provider: provider.find(VIDEOS, cursor, limit), **given)


def failure(youtube: FakeYoutube) -> ItemError:
    return failure_of(lambda: find(youtube))


def test_a_video_becomes_a_candidate_with_its_watch_page(youtube: FakeYoutube) -> None:
    youtube.found["brush hair"] = [Clip("abc"), Clip("def", license="youtube", duration="P0D")]
    page = find(youtube, license="any")
    free, other = page.candidates
    assert free.url == free.page_url == "https://www.youtube.com/watch?v=abc"
    assert (free.kind, free.title, free.author, free.duration) == ("video", "Clip abc", "A channel", 65.0)
    assert (free.license, free.license_url) == ("CC BY 3.0", "https://creativecommons.org/licenses/by/3.0/")
    assert "all rights reserved" in (other.license or "") and other.duration is None
    assert page.next is None and page.calls == 2


def test_a_time_window_is_asked_for(youtube: FakeYoutube) -> None:
    within = replace(VIDEOS, time_window="2026-01-01T00:00:00Z/2026-02-01T00:00:00Z")
    ask(youtube, lambda provider: provider.find(within, "", 5))
    (query,) = [query for path, query in youtube.calls if "q" in query]
    assert query["publishedAfter"] == "2026-01-01T00:00:00Z" and query["publishedBefore"] == "2026-02-01T00:00:00Z"


def test_the_key_goes_in_a_header_and_not_in_the_url(youtube: FakeYoutube) -> None:
    youtube.found["brush hair"] = [Clip("abc")]
    find(youtube)
    assert len(youtube.calls) == 2 and all("key" not in query for _, query in youtube.calls)
    assert all(headers["X-Goog-Api-Key"] == KEY for headers in youtube.served.headers)


def test_free_licences_are_asked_for_unless_told_otherwise(youtube: FakeYoutube) -> None:
    youtube.found["brush hair"] = [Clip("a"), Clip("b", license="youtube")]
    assert [found.title for found in find(youtube).candidates] == ["Clip a"]
    find(youtube, license="any", definition="high", duration="short")
    (_, first), _, (_, second), _ = youtube.calls
    assert first["videoLicense"] == "creativeCommon" and first["type"] == "video"
    asked = (second["videoLicense"], second["videoDefinition"], second["videoDuration"])
    assert asked == ("any", "high", "short")


def test_pages_follow_each_other_by_their_tokens(youtube: FakeYoutube) -> None:
    youtube.found["brush hair"] = [Clip(f"v{n}") for n in range(120)]
    pages, titles = walk(lambda cursor, limit: find(youtube, cursor, limit), [7, 50])
    assert titles == [f"Clip v{n}" for n in range(120)] and len(pages) == 4


def test_videos_that_are_not_told_of_are_left_out_and_gaps_stay_gaps(youtube: FakeYoutube) -> None:
    youtube.found["brush hair"] = [Clip("a", private=True), Clip("b", license=None, duration=None)]
    (found,) = find(youtube, license="any").candidates
    assert (found.title, found.license, found.license_url, found.duration) == ("Clip b", None, None, None)


def test_nothing_found_is_an_empty_last_page_for_one_call(youtube: FakeYoutube) -> None:
    page = find(youtube)
    assert (page.candidates, page.next, page.calls) == ([], None, 1)


def test_a_spent_quota_waits_until_midnight_pacific(youtube: FakeYoutube) -> None:
    youtube.searches_left = 0
    caught = failure(youtube)
    assert (caught.error, caught.http_status) == (ErrorClass.QUOTA, 403)
    assert caught.retry_after == pytest.approx(until_midnight_pacific(), abs=60)
    assert "quotaExceeded" in caught.detail


@pytest.mark.parametrize("reason", ["rateLimitExceeded", "userRateLimitExceeded", "dailyLimitExceeded"])
def test_other_limits_wait_too_and_those_of_a_minute_for_a_minute(youtube: FakeYoutube, reason: str) -> None:
    youtube.moods = [error(403, reason, "Too many"), error(429, reason, "Quota 'Queries per minute' exceeded")]
    day, minute = failure(youtube), failure(youtube)
    assert day.error is minute.error is ErrorClass.QUOTA
    assert day.retry_after == pytest.approx(until_midnight_pacific(), abs=60) and minute.retry_after == 60.0


@pytest.mark.parametrize(
    ("zone", "moment", "hours"),
    [
        ("America/Los_Angeles", (2026, 1, 15, 23, 0), 1),
        ("UTC", (2026, 1, 15, 8, 0), 24),  # midnight itself, in winter
        ("UTC", (2026, 7, 15, 6, 0), 1),  # in summer it is an hour earlier
        ("America/Los_Angeles", (2026, 3, 8, 0, 0), 23),  # the day on which summer time begins
        ("America/Los_Angeles", (2026, 11, 1, 0, 0), 25),
    ],
)
def test_midnight_is_that_of_california(zone: str, moment: tuple[int, ...], hours: int) -> None:
    assert until_midnight_pacific(datetime(*moment, tzinfo=ZoneInfo(zone))) == hours * 3600


@pytest.mark.parametrize("reason", ["keyInvalid", "accessNotConfigured", "ipRefererBlocked"])
def test_a_key_that_is_not_accepted_is_the_users_mistake(
    youtube: FakeYoutube, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    youtube.moods = [error(403, reason, "no access")]
    with pytest.raises(KeyRefusedError, match=f"OMNISRC_YOUTUBE_KEY.*{reason}"):
        find(youtube)
    monkeypatch.setenv("OMNISRC_YOUTUBE_KEY", "not-the-right-key")
    with pytest.raises(KeyRefusedError, match="API key not valid"):
        find(youtube)


def test_other_errors_keep_their_words(youtube: FakeYoutube) -> None:
    youtube.moods = [error(400, "invalidPageToken", "no such page"), error(503, "backendError", "oops"), status(404)]
    first, second, third = (failure(youtube) for _ in range(3))
    assert (first.error, first.detail) == (ErrorClass.HTTP_4XX, "HTTP 400: invalidPageToken: no such page")
    assert (second.error, third.error) == (ErrorClass.HTTP_5XX, ErrorClass.HTTP_4XX)


def test_the_check_costs_no_search(youtube: FakeYoutube) -> None:
    assert ask(youtube, lambda provider: provider.check()) is None
    assert [what for what, _ in youtube.calls] == ["videos"] and youtube.searches_left == 100
