from __future__ import annotations

import asyncio
import gzip
import time
from collections.abc import Sequence
from dataclasses import replace
from email.utils import formatdate

import pytest
from aiohttp import web as aioweb

from omnisrc.crawl.providers.commons import Commons
from omnisrc.crawl.providers.provider import MediaWish, Page, Question
from omnisrc.crawl.settings import CommonsSettings, ProviderSettings
from omnisrc.crawl.windows import asked_window
from omnisrc.errors import ErrorClass, ItemError, UserError
from omnisrc.web.addresses import AllowedHosts
from omnisrc.web.client import Client
from omnisrc.web.hosts import HostGate, Pace
from tests.crawl.fake_commons import API, FakeCommons, File, error, status
from tests.crawl.providers.asking import failure_of
from tests.local_web import LocalWeb

IMAGES = Question("brush hair", "image", "brush hair")
VIDEOS = Question("brush hair", "video", "brush hair")


@pytest.fixture
def commons(web: LocalWeb) -> FakeCommons:
    return FakeCommons(web)


def find(commons: FakeCommons, question: Question = IMAGES, cursor: str = "", limit: int = 50) -> Page:
    async def main() -> Page:
        async with Client("omnisrc/0", HostGate(Pace(1)), allow=AllowedHosts.parse([commons.served.site])) as client:
            settings = ProviderSettings(commons=CommonsSettings(commons.endpoint))
            return await Commons(settings, MediaWish(), client).find(question, cursor, limit)

    return asyncio.run(main())


def failure(commons: FakeCommons) -> ItemError:
    return failure_of(lambda: find(commons))


def photo(number: int, **given: object) -> File:
    return File(f"File:Brush hair {number}.jpg", f"http://upload.example/{number}.jpg", **given)


def test_a_file_becomes_a_candidate_with_all_that_is_said_of_it(commons: FakeCommons) -> None:
    commons.found["brush hair"] = [photo(1)]
    page = find(commons)
    (found,) = page.candidates
    assert (found.url, found.kind, found.title) == ("http://upload.example/1.jpg", "image", "Brush hair 1")
    assert found.page_url == f"{commons.served.url}/wiki/File:Brush_hair_1.jpg"
    assert (found.license, found.license_url) == ("CC BY-SA 4.0", "https://creativecommons.org/licenses/by-sa/4.0")
    assert found.author == "A & B"
    assert (found.width, found.height, found.bytes, found.mime, found.sha1) == (
        400,
        300,
        50_000,
        "image/jpeg",
        "a" * 40,
    )
    assert page.next is None and page.calls == 1


def test_pages_follow_each_other_by_the_cursor_in_the_order_of_the_search(commons: FakeCommons) -> None:
    commons.found["brush hair"] = [photo(n) for n in range(7)]
    titles, cursor, limits = [], "", []
    for limit in (3, 3, 50):
        page = find(commons, cursor=cursor, limit=limit)
        titles += [found.title for found in page.candidates]
        cursor = page.next
        limits.append(commons.calls[-1]["gsrlimit"])
    assert titles == [f"Brush hair {n}" for n in range(7)] and cursor is None
    assert limits == ["3", "3", "50"]


def test_a_time_window_is_asked_for_in_days_and_kept_to_the_second(commons: FakeCommons) -> None:
    """At the edges the service knows days only; a file that came anew after the window is no longer what it was."""
    moments = [
        "2025-01-30T23:59:59Z", "2025-01-31T11:59:59Z", "2025-01-31T12:00:00Z", "2025-02-01T10:00:00Z",
        "2025-02-02T23:59:59Z", "2025-02-03T00:00:00Z",
    ]  # fmt: skip
    commons.found["brush hair"] = [photo(n, uploaded=moment) for n, moment in enumerate(moments)]
    commons.found["brush hair"].append(photo(6, created="2025-02-01T00:00:00Z", uploaded="2026-01-01T00:00:00Z"))
    window = asked_window("2025-01-31T12:00", "2025-02-03")
    page = find(commons, replace(IMAGES, time_window=str(window)))
    assert [found.title for found in page.candidates] == [f"Brush hair {n}" for n in (2, 3, 4)]
    asked = "filetype:bitmap creationdate:>=2025-01-31 creationdate:<=2025-02-02 brush hair"
    assert [call["gsrsearch"] for call in commons.calls] == [asked]


@pytest.mark.parametrize(
    ("since", "until", "found"), [("2025-02-01", None, [3, 4]), (None, "2025-02-01", [0, 1, 2]), (None, None, range(5))]
)
def test_a_window_may_be_open_at_either_end(
    commons: FakeCommons, since: str | None, until: str | None, found: Sequence[int]
) -> None:
    commons.found["brush hair"] = [photo(n, uploaded=f"2025-0{n // 3 + 1}-0{n % 3 + 1}T06:00:00Z") for n in range(5)]
    page = find(commons, replace(IMAGES, time_window=str(asked_window(since, until))))
    assert [candidate.title for candidate in page.candidates] == [f"Brush hair {n}" for n in found]


def test_within_a_window_a_file_of_no_time_is_left_out(commons: FakeCommons) -> None:
    commons.found["brush hair"] = [photo(1, said={"timestamp": None}), photo(2, said={"timestamp": "soon"}), photo(3)]
    assert len(find(commons, replace(IMAGES, time_window=str(asked_window("2019-01-01", None)))).candidates) == 1
    assert len(find(commons).candidates) == 3


def test_images_and_videos_are_asked_for_apart(commons: FakeCommons) -> None:
    film = File("File:Brush.webm", "http://upload.example/b.webm", 320, 240, "video/webm", duration=12.5)
    commons.found["brush hair"] = [photo(1), film]
    assert [found.title for found in find(commons).candidates] == ["Brush hair 1"]
    (found,) = find(commons, VIDEOS).candidates
    assert (found.kind, found.duration, found.url) == ("video", 12.5, film.url)
    assert "iiurlwidth" not in commons.calls[-1] and commons.calls[0]["iiurlwidth"] == "500"


def test_a_large_image_is_fetched_as_a_thumbnail_of_a_standard_width(commons: FakeCommons) -> None:
    commons.found["brush hair"] = [photo(1, width=4000, height=3000), photo(2, width=3000, height=1000)]
    wide, panorama = find(commons).candidates
    assert wide.url == "http://upload.example/1.jpg/thumb/500px-1.jpg"
    assert panorama.url == "http://upload.example/2.jpg/thumb/960px-2.jpg"
    assert wide.bytes is None and wide.sha1 is None and wide.width == 4000


def test_a_large_video_is_fetched_as_its_smallest_version_that_is_large_enough(commons: FakeCommons) -> None:
    film = File("File:B.webm", "http://upload.example/b.webm", 1920, 1080, "video/webm")
    film.derivatives = [
        {"src": film.url, "type": "video/webm", "width": 1920, "height": 1080},
        {
            "src": "http://upload.example/240.webm",
            "type": "video/webm",
            "width": 426,
            "height": 240,
            "transcodekey": "a",
        },
        {
            "src": "http://upload.example/360.webm",
            "type": "video/webm",
            "width": 640,
            "height": 360,
            "transcodekey": "b",
        },
        {
            "src": "http://upload.example/480.webm",
            "type": "video/webm",
            "width": 854,
            "height": 480,
            "transcodekey": "c",
        },
    ]
    commons.found["brush hair"] = [film]
    page = find(commons, VIDEOS)
    assert [found.url for found in page.candidates] == ["http://upload.example/360.webm"] and page.calls == 2


def test_a_wiki_without_video_versions_gives_the_original(commons: FakeCommons) -> None:
    film = File("File:B.webm", "http://upload.example/b.webm", 1920, 1080, "video/webm")
    commons.found["brush hair"] = [film]
    commons.moods = [lambda request: None, error("badvalue", "Unrecognized value")]
    assert [found.url for found in find(commons, VIDEOS).candidates] == [film.url]


def test_files_without_imageinfo_or_url_are_left_out(commons: FakeCommons) -> None:
    commons.found["brush hair"] = [photo(1), photo(2), photo(3, said={"url": None}), photo(4)]
    commons.bare = {"File:Brush hair 2.jpg"}
    assert [found.title for found in find(commons).candidates] == ["Brush hair 1", "Brush hair 4"]


def test_properties_that_come_in_parts_are_put_together(commons: FakeCommons) -> None:
    commons.found["brush hair"] = [photo(n) for n in range(6)]
    commons.parts = True
    first = find(commons, limit=4)
    second = find(commons, cursor=first.next, limit=4)
    assert [f.title for f in first.candidates] == [f"Brush hair {n}" for n in range(4)] and first.calls == 2
    assert [f.title for f in second.candidates] == ["Brush hair 4", "Brush hair 5"] and second.next is None


def test_the_older_format_is_read_too(commons: FakeCommons) -> None:
    commons.found["brush hair"] = [photo(n) for n in range(3)]
    commons.version_1 = True
    assert [found.title for found in find(commons, limit=2).candidates] == ["Brush hair 0", "Brush hair 1"]


def test_no_result_is_an_empty_last_page(commons: FakeCommons) -> None:
    page = find(commons)
    assert page.candidates == [] and page.next is None


def test_missing_metadata_leaves_gaps_and_nothing_else(commons: FakeCommons) -> None:
    commons.found["brush hair"] = [photo(1, said={"extmetadata": {"UsageTerms": {"value": "<b>Public domain</b>"}}})]
    (found,) = find(commons).candidates
    assert (found.license, found.license_url, found.author) == ("Public domain", None, "Uploader")


@pytest.mark.parametrize("code", ["maxlag", "ratelimited", "readonly"])
def test_a_busy_wiki_is_a_matter_of_waiting(commons: FakeCommons, code: str) -> None:
    commons.moods = [error(code, "Waiting for db1: 7 s lagged", Retry_After="9")]
    caught = failure(commons)
    assert (caught.error, caught.retry_after, caught.http_status) == (ErrorClass.QUOTA, 9.0, 200)
    commons.moods = [error(code)]
    assert failure(commons).retry_after == 5.0


def test_another_error_of_the_api_is_the_providers(commons: FakeCommons) -> None:
    commons.moods = [error("internal_api_error_DBQueryError", "<i>Oh</i> no")]
    caught = failure(commons)
    assert caught.error is ErrorClass.PROVIDER and caught.detail == "internal_api_error_DBQueryError: Oh no"


def test_429_carries_its_pause_in_seconds_or_as_a_date(commons: FakeCommons) -> None:
    commons.moods = [status(429, "slow down", Retry_After="10")]
    caught = failure(commons)
    assert (caught.error, caught.retry_after) == (ErrorClass.HTTP_429, 10.0)
    commons.moods = [status(429, Retry_After=formatdate(time.time() + 60, usegmt=True))]
    assert 55 <= failure(commons).retry_after <= 61


def test_a_page_in_place_of_json_is_the_providers_failure(commons: FakeCommons) -> None:
    for text in ("<!doctype html><html></html>", "[]", ""):
        commons.moods = [status(200, text)]
        assert failure(commons).error in (ErrorClass.PROVIDER, ErrorClass.EMPTY)


def test_warnings_and_a_packed_answer_are_no_hindrance(commons: FakeCommons) -> None:
    commons.found["brush hair"] = [photo(1)]

    def packed(request: aioweb.Request) -> aioweb.StreamResponse:
        assert request.headers["Accept-Encoding"] == "gzip"
        body = b'{"batchcomplete": true, "warnings": {"main": {"warnings": "Unrecognized parameter: maxlag."}}}'
        return aioweb.Response(body=gzip.compress(body), headers={"Content-Encoding": "gzip"})

    commons.moods = [packed]
    assert find(commons).candidates == []


def test_the_agent_is_named_and_robots_txt_of_the_api_is_not_asked(commons: FakeCommons, web: LocalWeb) -> None:
    web.add("/robots.txt", b"User-agent: *\nDisallow: /w/\n")
    find(commons)
    assert web.asked == [API] and web.agents == {"omnisrc/0"}


def test_an_endpoint_that_is_no_url_is_the_users_mistake() -> None:
    client = Client("omnisrc/0", HostGate(Pace(1)))
    with pytest.raises(UserError, match=r"providers\.commons\.endpoint"):
        Commons(ProviderSettings(commons=CommonsSettings("commons.wikimedia.org")), MediaWish(), client)
