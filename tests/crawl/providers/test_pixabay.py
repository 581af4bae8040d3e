from __future__ import annotations

from typing import Any

import pytest

from omnisrc.crawl.providers.keys import KeyRefusedError
from omnisrc.crawl.providers.provider import Page, Question
from omnisrc.crawl.settings import PixabaySettings, ProviderSettings
from omnisrc.errors import ErrorClass, ItemError, UserError
from tests.crawl.fake_pixabay import KEY, FakePixabay, plain
from tests.crawl.providers.asking import IMAGES, VIDEOS, failure_of, walk, with_provider
from tests.local_web import LocalWeb

PERMISSION = "Pixabay, letter of 2026-03-04"


@pytest.fixture
def pixabay(web: LocalWeb, monkeypatch: pytest.MonkeyPatch) -> FakePixabay:
    monkeypatch.setenv("OMNISRC_PIXABAY_KEY", KEY)
    return FakePixabay(web)


def ask(pixabay: FakePixabay, use: Any, permission: str = PERMISSION) -> Any:
    settings = ProviderSettings(pixabay=PixabaySettings(pixabay.endpoint, permission=permission))
    return with_provider("pixabay", settings, [pixabay.served.site], use)


def find(pixabay: FakePixabay, question: Question = IMAGES, cursor: str = "", limit: int = 200) -> Page:
    return ask(pixabay, lambda provider: provider.find(question, cursor, limit))


def failure(pixabay: FakePixabay) -> ItemError:
    return failure_of(lambda: find(pixabay))


def test_without_a_permission_nobody_is_asked(pixabay: FakePixabay) -> None:
    with pytest.raises(UserError, match=r"providers\.pixabay\.permission"):
        ask(pixabay, lambda provider: provider.check(), permission="")
    assert pixabay.calls == []


def test_a_photo_becomes_a_candidate_near_the_size_that_is_kept(pixabay: FakePixabay) -> None:
    pixabay.photos = 1
    (found,) = find(pixabay).candidates
    assert found.url == f"{pixabay.served.url}/get/0_640.jpg"
    assert (found.kind, found.title, found.author) == ("image", "photo 0, hair", "Pia")
    assert (found.page_url, found.license) == ("https://pixabay.com/photos/p-0/", "Pixabay Content License")
    assert (found.width, found.height) == (4000, 2667)
    pixabay.height = 1500
    assert find(pixabay).candidates[0].url.endswith("_1280.jpg"), "640x240 is too flat, 1280x480 is not"


def test_a_video_is_the_smallest_version_that_is_large_enough(pixabay: FakePixabay) -> None:
    pixabay.videos = 1
    (found,) = find(pixabay, VIDEOS).candidates
    assert found.url == f"{pixabay.served.url}/video/0_tiny.mp4" and found.bytes == 640_000
    assert (found.kind, found.duration, found.width, found.height) == ("video", 12.0, 1920, 1080)


def test_pages_follow_each_other_whatever_is_wanted_each_time(pixabay: FakePixabay) -> None:
    pixabay.photos = 90
    _, titles = walk(lambda cursor, limit: find(pixabay, cursor=cursor, limit=limit), [4, 40])
    assert titles == [f"photo {n}, hair" for n in range(90)]


@pytest.mark.parametrize("limit", [200, 150])
def test_after_500_results_a_query_is_exhausted(pixabay: FakePixabay, limit: int) -> None:
    pixabay.photos = 9000
    _, titles = walk(lambda cursor, _: find(pixabay, cursor=cursor, limit=limit), [limit])
    assert len(titles) == len(set(titles)) == 500


def test_a_total_that_promises_too_much_ends_with_the_last_page(pixabay: FakePixabay) -> None:
    pixabay.photos, pixabay.total = 40, 400
    pages, titles = walk(lambda cursor, _: find(pixabay, cursor=cursor, limit=20), [20])
    assert len(titles) == 40 and pages[-1].candidates == []


def test_a_long_text_is_cut_after_a_word(pixabay: FakePixabay) -> None:
    find(pixabay, Question("juggling " * 20, "image"))
    find(pixabay, Question("x" * 120, "image"))
    first, second = (query["q"] for _, query in pixabay.calls)
    assert first == "juggling " * 10 + "juggling" and second == "x" * 100


def test_missing_fields_leave_gaps_and_items_without_media_are_left_out(pixabay: FakePixabay) -> None:
    pixabay.photos = pixabay.videos = 1
    pixabay.lost = ("user", "tags", "imageWidth", "webformatURL", "duration")
    photo, film = find(pixabay).candidates[0], find(pixabay, VIDEOS).candidates[0]
    assert photo.url.endswith("_1280.jpg")
    assert (photo.author, photo.title, photo.width, film.duration) == (None, None, None, None)
    pixabay.lost = ("webformatURL", "largeImageURL", "videos")
    assert find(pixabay).candidates == find(pixabay, VIDEOS).candidates == []


def test_a_bad_key_is_told_in_plain_text(pixabay: FakePixabay, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMNISRC_PIXABAY_KEY", "not-the-right-key")
    with pytest.raises(KeyRefusedError, match=r"OMNISRC_PIXABAY_KEY.*ERROR 400"):
        find(pixabay)


def test_another_400_keeps_its_plain_words(pixabay: FakePixabay) -> None:
    pixabay.moods = [plain(400, '[ERROR 400] "page" is out of valid range.')]
    caught = failure(pixabay)  # of a first page this is no end but a failure
    assert caught.error is ErrorClass.HTTP_4XX and "out of valid range" in caught.detail


def test_a_spent_minute_waits_until_it_is_over(pixabay: FakePixabay) -> None:
    pixabay.left = 0
    caught = failure(pixabay)
    assert (caught.error, caught.retry_after) == (ErrorClass.HTTP_429, 42.0)


def test_the_check_tells_what_is_left(pixabay: FakePixabay) -> None:
    assert ask(pixabay, lambda provider: provider.check()) == "99 of 100 calls left"
    assert [query["per_page"] for _, query in pixabay.calls] == ["3"]
