from __future__ import annotations

from typing import Any

import pytest

from omnisrc.crawl.providers.keys import KeyRefusedError
from omnisrc.crawl.providers.provider import Page, Question
from omnisrc.crawl.settings import FlickrSettings, ProviderSettings
from omnisrc.errors import ErrorClass, ItemError, UserError
from tests.crawl.fake_commons import status
from tests.crawl.fake_flickr import KEY, FakeFlickr, Photo, fail
from tests.crawl.providers.asking import IMAGES, VIDEOS, failure_of, walk, with_provider
from tests.local_web import LocalWeb


@pytest.fixture
def flickr(web: LocalWeb, monkeypatch: pytest.MonkeyPatch) -> FakeFlickr:
    monkeypatch.setenv("OMNISRC_FLICKR_KEY", KEY)
    return FakeFlickr(web)


def ask(flickr: FakeFlickr, use: Any, **given: Any) -> Any:
    settings = ProviderSettings(flickr=FlickrSettings(flickr.endpoint, **given))
    return with_provider("flickr", settings, [flickr.served.site], use)


def find(flickr: FakeFlickr, question: Question = IMAGES, cursor: str = "", limit: int = 50, **given: Any) -> Page:
    return ask(flickr, lambda provider: provider.find(question, cursor, limit), **given)


def failure(flickr: FakeFlickr) -> ItemError:
    return failure_of(lambda: find(flickr))


def test_a_photo_becomes_a_candidate_near_the_size_that_is_kept(flickr: FakeFlickr) -> None:
    flickr.found["brush hair"] = [Photo(1)]
    page = find(flickr)
    (found,) = page.candidates
    assert found.url == f"{flickr.served.url}/1_z.jpg", "640x480: the smallest whose short side is near 320"
    assert (found.kind, found.title, found.author) == ("image", "Photo 1", "Ann Owner")
    assert found.page_url == "https://www.flickr.com/photos/12@N01/1"
    assert (found.license, found.license_url) == ("CC BY 2.0", "https://creativecommons.org/licenses/by/2.0/")
    assert (found.width, found.height, found.bytes) == (4000, 3000, None)
    assert page.next is None and page.calls == 1


def test_a_panorama_comes_larger_and_a_small_photo_as_it_is(flickr: FakeFlickr) -> None:
    flickr.found["brush hair"] = [Photo(1, 4000, 1100), Photo(2, 300, 200)]
    wide, small = find(flickr).candidates
    assert (wide.url, small.url) == (f"{flickr.served.url}/1_l.jpg", f"{flickr.served.url}/2_o.jpg")
    assert (small.width, small.height) == (300, 200)


def test_the_search_asks_for_licences_media_and_safety(flickr: FakeFlickr) -> None:
    find(flickr)
    find(flickr, VIDEOS, licenses=())
    find(flickr, licenses=(9, 10))
    images, videos, own = flickr.calls
    assert images["license"] == "4,5,7,8,9,10" and own["license"] == "9,10" and "license" not in videos
    assert (images["media"], videos["media"]) == ("photos", "videos")
    assert images["content_type"] == "1" and "content_type" not in videos
    assert images["safe_search"] == "1" and images["sort"] == "relevance"


def test_pages_follow_each_other_whatever_is_wanted_each_time(flickr: FakeFlickr) -> None:
    flickr.found["brush hair"] = [Photo(n) for n in range(75)]
    pages, titles = walk(lambda cursor, limit: find(flickr, cursor=cursor, limit=limit), [3, 30, 50])
    assert titles == [f"Photo {n}" for n in range(75)]
    assert [len(page.candidates) for page in pages][:2] == [3, 17]
    assert {call["per_page"] for call in flickr.calls} == {"20"}, "pages of another size would shift"


def test_pages_that_are_shorter_than_promised_are_not_the_last(flickr: FakeFlickr) -> None:
    flickr.found["brush hair"] = [Photo(n) for n in range(70)]
    flickr.thin = 2
    _, titles = walk(lambda cursor, limit: find(flickr, cursor=cursor, limit=limit), [20])
    assert titles == [f"Photo {n}" for n in range(70) if n % 20 < 18]


def test_after_4000_results_a_query_is_exhausted(flickr: FakeFlickr) -> None:
    flickr.found["brush hair"] = [Photo(n) for n in range(4300)]
    pages, titles = walk(lambda cursor, limit: find(flickr, cursor=cursor, limit=limit), [500])
    assert len(titles) == len(set(titles)) == 4000 and len(pages) == 8
    assert {call["per_page"] for call in flickr.calls} == {"500"}
    assert len(find(flickr, cursor="3999/500", limit=500).candidates) == 1


def test_a_total_that_is_missing_ends_with_an_empty_page(flickr: FakeFlickr) -> None:
    from aiohttp import web

    flickr.moods = [lambda request: web.json_response({"photos": {"photo": []}, "stat": "ok"})]
    page = find(flickr)
    assert page.candidates == [] and page.next is None


def test_a_video_is_asked_for_its_files(flickr: FakeFlickr) -> None:
    flickr.found["brush hair"] = [Photo(1), Photo(2, media="video"), Photo(3, media="video", films=())]
    page = find(flickr, VIDEOS)
    (found,) = page.candidates
    assert (found.url, found.kind) == (f"{flickr.served.url}/2/play/360p/s/", "video")
    assert (found.width, found.height) == (1280, 720)
    assert flickr.methods() == ["search", "getSizes", "getSizes"] and page.calls == 3


def test_a_video_that_is_gone_by_now_is_left_out(flickr: FakeFlickr) -> None:
    flickr.found["brush hair"] = [Photo(1, media="video"), Photo(2, media="video")]
    flickr.gone = {1}
    assert [found.title for found in find(flickr, VIDEOS).candidates] == ["Photo 2"]


def test_a_photo_without_sizes_in_the_search_is_asked_for_them(flickr: FakeFlickr) -> None:
    flickr.found["brush hair"] = [Photo(1, lost=("url",)), Photo(2)]
    page = find(flickr)
    assert [found.url for found in page.candidates] == [f"{flickr.served.url}/{n}_z.jpg" for n in (1, 2)]
    assert page.calls == 2


def test_missing_fields_leave_gaps_and_nothing_else(flickr: FakeFlickr) -> None:
    lost = ("license", "ownername", "title", "owner", "width", "height")
    flickr.found["brush hair"] = [Photo(1, lost=lost), Photo(2, said={"width_z": "?", "height_z": None})]
    gaps, odd = find(flickr).candidates
    assert (gaps.license, gaps.author, gaps.title, gaps.page_url, gaps.width) == (None, None, None, None, None)
    assert gaps.url.startswith(flickr.served.url) and odd.url == f"{flickr.served.url}/2_c.jpg"


def test_a_licence_that_is_new_is_looked_up(flickr: FakeFlickr) -> None:
    flickr.found["brush hair"] = [Photo(1, license="11"), Photo(2, license="99"), Photo(3, license="0")]
    new, unknown, reserved = find(flickr, licenses=()).candidates
    assert (new.license, new.license_url) == ("CC BY 4.0", "https://creativecommons.org/licenses/by/4.0/")
    assert (unknown.license, reserved.license) == ("Flickr licence 99", "All rights reserved")
    assert flickr.methods() == ["search", "getInfo"]


def test_a_bad_key_is_the_users_mistake_and_is_not_shown(flickr: FakeFlickr, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMNISRC_FLICKR_KEY", "not-the-right-key")
    for use in (lambda p: p.find(IMAGES, "", 5), lambda p: p.check()):
        with pytest.raises(KeyRefusedError, match=r"OMNISRC_FLICKR_KEY.*Invalid API Key") as caught:
            ask(flickr, use)
        assert "not-the-right-key" not in str(caught.value)


@pytest.mark.parametrize("code", [10, 105, 106])
def test_a_service_that_is_down_is_a_matter_of_waiting(flickr: FakeFlickr, code: int) -> None:
    flickr.moods = [fail(code, "Service currently unavailable")]
    caught = failure(flickr)
    assert (caught.error, caught.http_status, caught.retry_after) == (ErrorClass.HTTP_5XX, 200, 60.0)


def test_another_failure_is_the_providers(flickr: FakeFlickr) -> None:
    flickr.moods = [fail(3, "Parameterless searches have been disabled")]
    caught = failure(flickr)
    assert caught.error is ErrorClass.PROVIDER and caught.detail == "3: Parameterless searches have been disabled"


def test_429_asks_for_a_pause_with_or_without_a_header(flickr: FakeFlickr) -> None:
    flickr.moods = [status(429, "slow", Retry_After="17"), status(429, "slow")]
    assert [failure(flickr).retry_after for _ in range(2)] == [17.0, 60.0]


@pytest.mark.parametrize("text", ["<html>", "[]", "", '{"stat": "ok"}', '{"stat": "ok", "photos": []}'])
def test_what_is_no_answer_is_the_providers_failure(flickr: FakeFlickr, text: str) -> None:
    flickr.moods = [status(200, text)]
    assert failure(flickr).error is ErrorClass.PROVIDER


def test_the_check_is_one_tiny_call(flickr: FakeFlickr) -> None:
    assert ask(flickr, lambda provider: provider.check()) is None
    assert flickr.methods() == ["echo"]


def test_without_a_key_one_sentence_names_the_variable(flickr: FakeFlickr, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMNISRC_FLICKR_KEY")
    with pytest.raises(UserError, match="OMNISRC_FLICKR_KEY"):
        find(flickr)
