from __future__ import annotations

import time
from typing import Any

import pytest

from omnisrc.crawl.providers.keys import KeyRefusedError
from omnisrc.crawl.providers.provider import Page, Question
from omnisrc.crawl.settings import PexelsSettings, ProviderSettings
from omnisrc.errors import ErrorClass, ItemError, UserError
from tests.crawl.fake_commons import status
from tests.crawl.fake_pexels import BASE, KEY, FakePexels
from tests.crawl.providers.asking import IMAGES, VIDEOS, failure_of, walk, with_provider
from tests.local_web import LocalWeb

PERMISSION = "Pexels, letter of 2026-03-04"


@pytest.fixture
def pexels(web: LocalWeb, monkeypatch: pytest.MonkeyPatch) -> FakePexels:
    monkeypatch.setenv("OMNISRC_PEXELS_KEY", KEY)
    return FakePexels(web)


def ask(pexels: FakePexels, use: Any, *sites: str, permission: str = PERMISSION) -> Any:
    settings = ProviderSettings(pexels=PexelsSettings(pexels.endpoint, permission=permission))
    return with_provider("pexels", settings, [pexels.served.site, *sites], use)


def find(pexels: FakePexels, question: Question = IMAGES, cursor: str = "", limit: int = 80) -> Page:
    return ask(pexels, lambda provider: provider.find(question, cursor, limit))


def failure(pexels: FakePexels) -> ItemError:
    return failure_of(lambda: find(pexels))


def test_without_a_permission_nobody_is_asked(pexels: FakePexels) -> None:
    with pytest.raises(UserError, match=r"providers\.pexels\.permission"):
        ask(pexels, lambda provider: provider.check(), permission="")
    assert pexels.calls == []


def test_a_photo_becomes_a_candidate_near_the_size_that_is_kept(pexels: FakePexels) -> None:
    pexels.photos = 1
    (found,) = find(pexels).candidates
    assert found.url.endswith("h=650&w=940"), "433x650; 233x350 would be too narrow"
    assert (found.kind, found.title, found.author) == ("image", "Photo 0", "Pat Photographer")
    assert (found.page_url, found.license) == ("https://www.pexels.com/photo/0/", "Pexels License")
    assert (found.width, found.height) == (4000, 6000)
    pexels.width, pexels.height = 6000, 4000
    assert find(pexels).candidates[0].url.endswith("h=350"), "525x350 is large enough, lying"
    pexels.width, pexels.height = 300, 200
    assert min(found.width, found.height) >= 300 and "?" not in find(pexels).candidates[0].url


def test_a_video_is_the_smallest_file_that_is_large_enough(pexels: FakePexels) -> None:
    pexels.videos = 1
    (found,) = find(pexels, VIDEOS).candidates
    assert found.url.endswith("/0-sd_240_426.mp4"), "240 lines are near 256"
    assert (found.kind, found.author, found.duration) == ("video", "Vic Videographer", 12.0)
    assert pexels.calls[-1][0] == f"{BASE}/videos/search"


def test_pages_follow_each_other_whatever_is_wanted_each_time(pexels: FakePexels) -> None:
    pexels.photos = 130
    _, titles = walk(lambda cursor, limit: find(pexels, cursor=cursor, limit=limit), [4, 40, 80])
    assert titles == [f"Photo {n}" for n in range(130)]
    assert {query["per_page"] for _, query in pexels.calls} == {"15"}


def test_a_page_without_a_next_one_is_the_last(pexels: FakePexels) -> None:
    from aiohttp import web

    photo = pexels._photo(0)
    pexels.moods = [lambda request: web.json_response({"total_results": 8000, "photos": [photo]})]
    page = find(pexels)
    assert len(page.candidates) == 1 and page.next is None


def test_missing_fields_leave_gaps_and_items_without_media_are_left_out(pexels: FakePexels) -> None:
    pexels.photos = pexels.videos = 2
    pexels.lost = ("photographer", "alt", "width", "user", "duration")
    photo, film = find(pexels).candidates[0], find(pexels, VIDEOS).candidates[0]
    assert (photo.author, photo.title, photo.width, film.author, film.duration) == (None,) * 5
    pexels.lost = ("src", "video_files")
    assert find(pexels).candidates == find(pexels, VIDEOS).candidates == []


def test_a_bad_key_is_the_users_mistake(pexels: FakePexels, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMNISRC_PEXELS_KEY", "not-the-right-key")
    with pytest.raises(KeyRefusedError, match="OMNISRC_PEXELS_KEY"):
        find(pexels)


def test_429_asks_for_a_pause(pexels: FakePexels) -> None:
    pexels.moods = [status(429, "no", Retry_After="30"), status(429, "no", X_Ratelimit_Reset="120")]
    pexels.left = 0
    caught = [failure(pexels) for _ in range(3)]
    assert [error.retry_after for error in caught] == [30.0, 120.0, 900.0]
    assert {error.error for error in caught} == {ErrorClass.HTTP_429}


def test_a_reset_that_is_a_time_is_a_pause_until_then_and_at_most_a_day(pexels: FakePexels) -> None:
    pexels.moods = [status(429, "no", X_Ratelimit_Reset=str(int(time.time()) + ahead)) for ahead in (300, 10**6, -50)]
    pauses = [failure(pexels).retry_after for _ in range(3)]
    assert pauses == [pytest.approx(300, abs=60), 86400.0, 900.0]


def test_the_check_tells_what_is_left(pexels: FakePexels) -> None:
    assert ask(pexels, lambda provider: provider.check()) == "19999 of 20000 calls left"
    assert len(pexels.calls) == 1 and pexels.calls[0][1]["per_page"] == "1"


def test_the_key_does_not_follow_a_redirect_to_another_server(pexels: FakePexels) -> None:
    with LocalWeb("127.0.0.2") as other:
        other.add("/elsewhere", b'{"photos": []}')
        pexels.served.redirect(f"{BASE}/search", f"{other.url}/elsewhere")
        page = ask(pexels, lambda provider: provider.find(IMAGES, "", 5), other.site)
        assert page.candidates == [] and other.asked == ["/elsewhere"]
        assert "Authorization" not in other.headers[0]
        pexels.served.redirect(f"{BASE}/search", f"{BASE}/moved")
        pexels.served.add(f"{BASE}/moved", b'{"photos": []}')
        find(pexels)
        assert pexels.served.headers[-1]["Authorization"] == KEY, "on the same server it stays"
