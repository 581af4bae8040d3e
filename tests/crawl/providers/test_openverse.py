from __future__ import annotations

import asyncio
import json
import logging
import time
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import replace
from email.utils import formatdate
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omnisrc.crawl.providers.openverse import Openverse, _pause_s
from omnisrc.crawl.providers.provider import MediaWish, Page, Question
from omnisrc.crawl.settings import OpenverseSettings, ProviderSettings
from omnisrc.crawl.windows import asked_window
from omnisrc.errors import ErrorClass, ItemError, UserError
from omnisrc.web.addresses import AllowedHosts
from omnisrc.web.client import Client
from omnisrc.web.hosts import HostGate, Pace
from tests.crawl.fake_commons import status
from tests.crawl.fake_openverse import CLIENT_ID, CLIENT_SECRET, SEARCH, TOKEN, FakeOpenverse, image, parrot, said
from tests.local_web import LocalWeb

QUESTION = Question("brush hair", "image", "brush hair")
SECRETS = (CLIENT_ID, CLIENT_SECRET, "c0ffee")


class Clock:
    """Time that passes when it is told to."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def openverse(web: LocalWeb, monkeypatch: pytest.MonkeyPatch) -> FakeOpenverse:
    for name in ("ID", "SECRET"):
        monkeypatch.delenv(f"OMNISRC_OPENVERSE_CLIENT_{name}", raising=False)
    return FakeOpenverse(web, {"brush hair": [image(n) for n in range(45)]})


@pytest.fixture
def registered(openverse: FakeOpenverse, monkeypatch: pytest.MonkeyPatch) -> FakeOpenverse:
    """The same, asked by an application that has credentials."""
    monkeypatch.setenv("OMNISRC_OPENVERSE_CLIENT_ID", CLIENT_ID)
    monkeypatch.setenv("OMNISRC_OPENVERSE_CLIENT_SECRET", CLIENT_SECRET)
    return openverse


def using(
    openverse: FakeOpenverse,
    work: Callable[[Openverse], Awaitable[object]],
    clock: Clock | None = None,
    **given: object,
) -> object:
    """What `work` makes of one provider object."""

    async def main() -> object:
        async with Client("omnisrc/0", HostGate(Pace(1)), allow=AllowedHosts.parse([openverse.served.site])) as client:
            settings = ProviderSettings(openverse=OpenverseSettings(openverse.endpoint, **given))
            return await work(Openverse(settings, MediaWish(), client, clock or Clock()))

    return asyncio.run(main())


def find(openverse: FakeOpenverse, cursor: str = "", limit: int = 20, **given: object) -> Page:
    return using(openverse, lambda provider: provider.find(QUESTION, cursor, limit), **given)


def every(openverse: FakeOpenverse, limit: int = 10**6, **given: object) -> list[Page]:
    async def walk(provider: Openverse) -> list[Page]:
        pages = [await provider.find(QUESTION, "", limit)]
        while pages[-1].next is not None:
            pages.append(await provider.find(QUESTION, pages[-1].next, limit))
        return pages

    return using(openverse, walk, **given)


def titles(pages: list[Page]) -> list[str]:
    return [found.title for page in pages for found in page.candidates]


def failure(openverse: FakeOpenverse, cursor: str = "") -> ItemError:
    with pytest.raises(ItemError) as caught:
        find(openverse, cursor)
    return caught.value


def test_an_image_becomes_a_candidate_with_all_that_is_said_of_it(openverse: FakeOpenverse) -> None:
    page = find(openverse, limit=1)
    (found,) = page.candidates
    assert (found.url, found.kind, found.title) == (
        "https://live.staticflickr.example/0_b.jpg",
        "image",
        "Brush hair 0",
    )
    assert (found.page_url, found.author) == ("https://www.flickr.com/photos/a/0", "A & B")
    assert (found.license, found.license_url) == ("CC BY 2.0", "https://creativecommons.org/licenses/by/2.0/")
    assert (found.width, found.height, found.bytes, page.calls) == (400, 300, 123456, 1)


def test_pages_follow_each_other_in_the_order_of_the_search_whatever_is_wanted_of_each(
    openverse: FakeOpenverse,
) -> None:
    for limit in (10**6, 20, 7, 1):
        pages = every(openverse, limit)
        assert titles(pages) == [f"Brush hair {n}" for n in range(45)]
        assert all(len(page.candidates) <= limit for page in pages)
    assert {call["page_size"] for call in openverse.calls} == {"20"} and set(openverse.bearers) == {""}


def test_within_a_window_results_that_were_indexed_at_another_time_are_dropped(openverse: FakeOpenverse) -> None:
    days = ["2024-12-31T23:59:59Z", "2025-01-01T00:00:00Z", "2025-01-31T23:59:59Z", "2025-02-01T00:00:00Z", None, "new"]
    openverse.found["brush hair"] = [image(n, indexed_on=days[n % 6]) for n in range(30)]
    question = replace(QUESTION, time_window=str(asked_window("2025-01-01", "2025-02-01")))

    async def both(provider: Openverse) -> list[Page]:
        first = await provider.find(question, "", 20)
        return [first, await provider.find(question, first.next, 20)]

    pages = using(openverse, both)
    assert titles(pages) == [f"Brush hair {n}" for n in range(30) if n % 6 in (1, 2)]
    assert [call["page"] for call in openverse.calls] == ["1", "2"] and pages[1].next is None


def test_what_is_asked_says_what_the_settings_want(openverse: FakeOpenverse) -> None:
    find(openverse)
    assert openverse.calls[-1] == {"q": "brush hair", "page": "1", "page_size": "20", "mature": "false"}
    find(openverse, license_type=("commercial", "modification"), sources=("flickr", "wikimedia"), mature=True)
    asked = openverse.calls[-1]
    assert asked["license_type"] == "commercial,modification" and asked["source"] == "flickr,wikimedia"
    assert asked["mature"] == "true"


def test_twenty_pages_are_all_that_an_anonymous_search_gives(openverse: FakeOpenverse) -> None:
    openverse.found["brush hair"] = [image(n) for n in range(900)]
    for says_pages in (True, False):
        openverse.says_pages, openverse.calls = says_pages, []
        pages = every(openverse)
        assert len(titles(pages)) == 400 and len(openverse.calls) == len(pages) == 20
    assert find(openverse, cursor="400") == Page([], None, calls=0)


def test_a_service_that_does_not_count_its_pages_is_read_to_the_first_empty_one(openverse: FakeOpenverse) -> None:
    openverse.says_pages = False
    assert len(titles(every(openverse))) == 45 and len(openverse.calls) == 4


def test_no_result_is_an_empty_last_page(openverse: FakeOpenverse) -> None:
    openverse.found = {}
    assert find(openverse) == Page([], None, 1)


def test_items_lack_fields_or_are_none_at_all(openverse: FakeOpenverse) -> None:
    bare = {"id": "x", "url": "https://a.example/bare.jpg"}
    odd = image(3, width="640", height=None, title=7, creator="  ", license=None, license_version=None, filesize=0)
    openverse.found["brush hair"] = [image(0, url=None), {}, None, "x", image(1, url=5), bare, odd]
    one, other = find(openverse).candidates
    assert (one.url, one.title, one.license, one.width, one.page_url) == (bare["url"], None, None, None, None)
    assert (other.title, other.author, other.width, other.height, other.bytes) == (None, None, 640, None, None)
    assert other.license == "CC BY 2.0", "the URL of a licence names it too"


@pytest.mark.parametrize(
    ("code", "version", "name"),
    [("by-nc-nd", "4.0", "CC BY-NC-ND 4.0"), ("cc0", "1.0", "CC0 1.0"), ("pdm", "1.0", "Public Domain Mark 1.0")],
)
def test_licences_are_named_as_people_name_them(openverse: FakeOpenverse, code: str, version: str, name: str) -> None:
    openverse.found["brush hair"] = [image(0, license=code, license_version=version)]
    assert find(openverse).candidates[0].license == name


def test_a_thumbnail_is_taken_where_it_is_near_the_wanted_size_and_no_robots_txt_forbids_it(
    openverse: FakeOpenverse,
) -> None:
    elsewhere = "https://thumbs.example/1"
    openverse.found["brush hair"] = [
        image(0, width=4000, height=3000, thumbnail=elsewhere),
        image(1, width=3000, height=1000, thumbnail=elsewhere),  # 600x200
        image(2, width=479, height=479, thumbnail=elsewhere),
        image(3, width=None, height=3000, thumbnail=elsewhere),
        image(4, width=3000, height=4000, thumbnail=None),
        image(5, width=4000, height=3000, thumbnail=f"{openverse.endpoint}images/5/thumb/"),
    ]
    found = find(openverse).candidates
    assert [candidate.url == elsewhere for candidate in found] == [True] + 5 * [False]
    assert (found[0].bytes, found[0].width, found[5].bytes) == (None, 4000, 123456)


def test_a_long_query_is_cut_where_the_service_would_cut_it(openverse: FakeOpenverse) -> None:
    text = "brush hair " * 40
    using(openverse, lambda provider: provider.find(Question(text, "image"), "", 5))
    assert openverse.calls[-1]["q"] == text[:200]


# what goes wrong


def test_nothing_left_is_a_pause_before_the_next_call_and_no_failure_of_this_one(
    openverse: FakeOpenverse, clock: Clock
) -> None:
    async def work(provider: Openverse) -> tuple[Page, ItemError, Page]:
        openverse.headers = {"X-RateLimit-Limit-anon_burst": "20/min", "X-RateLimit-Available-anon_burst": "0"}
        page = await provider.find(QUESTION, "", 20)
        with pytest.raises(ItemError) as caught:
            await provider.find(QUESTION, page.next, 20)
        openverse.headers["X-RateLimit-Available-anon_burst"] = "3"
        clock.now += 61
        return page, caught.value, await provider.find(QUESTION, page.next, 20)

    first, refused, second = using(openverse, work, clock)
    assert len(first.candidates) == 20 and first.pause_s == 60.0
    assert (refused.error, refused.retry_after) == (ErrorClass.QUOTA, 60.0)
    assert len(second.candidates) == 20 and second.pause_s is None and len(openverse.calls) == 2


@pytest.mark.parametrize(
    ("headers", "pause_s"),
    [
        ({}, None),
        ({"X-RateLimit-Available-anon_burst": "1", "X-RateLimit-Limit-anon_burst": "20/min"}, None),
        ({"X-RateLimit-Available-anon_burst": "0"}, 60.0),
        ({"x-ratelimit-available-a": "0", "X-RateLimit-Limit-A": "5/hour"}, 3600.0),
        ({"X-RateLimit-Available-a": "0", "X-RateLimit-Limit-a": "100/day"}, 3600.0),
        ({"X-RateLimit-Available-a": "-1", "X-RateLimit-Limit-a": "1/second"}, 1.0),
        ({"X-RateLimit-Available-a": "0", "X-RateLimit-Limit-a": "9/min", "X-RateLimit-Available-b": "x"}, 60.0),
        (
            {
                "X-RateLimit-Available-a": "0", "X-RateLimit-Limit-a": "9/min",
                "X-RateLimit-Available-b": "0", "X-RateLimit-Limit-b": "9/hour",
            },
            3600.0,
        ),
    ],
)  # fmt: skip
def test_a_pause_is_one_window_of_the_limit_but_an_hour_at_most(headers: dict[str, str], pause_s: float) -> None:
    assert _pause_s(headers) == pause_s


@given(st.dictionaries(st.sampled_from(["X-RateLimit-Available-a", "X-RateLimit-Limit-a", "Date"]), st.text()))
def test_no_header_breaks_the_reading_of_limits(headers: dict[str, str]) -> None:
    pause_s = _pause_s(headers)
    assert pause_s is None or 0 < pause_s <= 3600


def test_429_carries_its_pause_in_seconds_or_as_a_date(openverse: FakeOpenverse) -> None:
    throttled = {"detail": "Request was throttled. Expected available in 10 seconds."}
    openverse.moods = [said(throttled, 429, Retry_After="10")]
    caught = failure(openverse)
    assert (caught.error, caught.retry_after) == (ErrorClass.HTTP_429, 10.0) and "throttled" in caught.detail
    openverse.moods = [status(429, Retry_After=formatdate(time.time() + 60, usegmt=True))]
    assert 55 <= failure(openverse).retry_after <= 61
    openverse.moods = [said(throttled, 200)]
    caught = failure(openverse)
    assert (caught.error, caught.retry_after) == (ErrorClass.QUOTA, 60.0)


def test_an_error_says_what_the_service_said(openverse: FakeOpenverse) -> None:
    with pytest.raises(ItemError) as caught:
        find(openverse, license_type=("free",))
    assert (caught.value.error, caught.value.http_status) == (ErrorClass.HTTP_4XX, 400)
    assert "InputError" in str(caught.value) and "license_type" in caught.value.detail
    for number, error in ((401, ErrorClass.HTTP_4XX), (404, ErrorClass.HTTP_4XX), (502, ErrorClass.HTTP_5XX)):
        openverse.moods = [said({"detail": "Not found."}, number)]
        caught = failure(openverse)
        assert (caught.error, caught.http_status) == (error, number) and caught.detail == f"HTTP {number}: Not found."


def test_a_page_past_the_end_is_the_end_and_a_first_page_that_fails_is_a_failure(openverse: FakeOpenverse) -> None:
    gone = said({"detail": "Invalid page."}, 404)
    too_deep = said({"error": "InputError", "detail": "Invalid input.", "fields": ["page"]}, 400)
    for mood in (gone, too_deep):
        openverse.moods = [mood]
        assert find(openverse, cursor="20") == Page([], None, 1)
        openverse.moods = [mood]
        assert failure(openverse).error is ErrorClass.HTTP_4XX
    openverse.moods = [said({"error": "InputError", "detail": "Invalid input.", "fields": ["source"]}, 400)]
    assert failure(openverse, cursor="20").error is ErrorClass.HTTP_4XX


@pytest.mark.parametrize(
    "answer",
    [
        status(200, "<!doctype html><html></html>"),
        status(200, "[]"),
        status(200, "[" * 100_000),
        said({"error": "InputError", "detail": "no"}),
        said({"detail": "Not found."}),
        said({"results": None}),
        said({}),
    ],
)
def test_an_answer_that_is_no_page_of_results_is_the_providers_failure(openverse: FakeOpenverse, answer) -> None:
    openverse.moods = [answer]
    assert failure(openverse).error is ErrorClass.PROVIDER


# tokens


def test_a_registered_application_gets_large_pages_with_one_token(registered: FakeOpenverse) -> None:
    registered.found["brush hair"] = [image(n) for n in range(1100)]
    pages = every(registered)
    assert titles(pages) == [f"Brush hair {n}" for n in range(1100)] and registered.issued == 1
    assert [call["page_size"] for call in registered.calls] == ["500"] * 3
    assert registered.bearers == ["token-1-c0ffee"] * 3
    assert [page.calls for page in pages] == [2, 1, 1]


def test_a_small_wish_gets_a_small_page_and_the_search_goes_deeper_all_the_same(registered: FakeOpenverse) -> None:
    registered.found["brush hair"] = [image(n) for n in range(1100)]
    pages = every(registered, limit=20)
    assert titles(pages) == [f"Brush hair {n}" for n in range(1100)]
    assert registered.calls[0]["page_size"] == "20" and registered.calls[-1]["page_size"] == "100"
    assert find(registered, cursor="10000") == Page([], None, calls=0)


def test_without_credentials_no_page_is_larger_than_twenty(openverse: FakeOpenverse) -> None:
    assert using(openverse, lambda provider: _size(provider)) == 20


async def _size(provider: Openverse) -> int:
    return provider.page_size


def test_a_token_is_fetched_anew_shortly_before_it_expires(registered: FakeOpenverse, clock: Clock) -> None:
    registered.expires_in = 100

    async def work(provider: Openverse) -> None:
        for step in (0, 69, 2, 1):
            clock.now += step
            await provider.find(QUESTION, "", 5)

    using(registered, work, clock)
    assert registered.bearers == ["token-1-c0ffee"] * 2 + ["token-2-c0ffee"] * 2


@pytest.mark.parametrize("expires_in", [None, "soon", "36000"])
def test_a_token_whose_life_is_not_told_is_taken_to_live(registered: FakeOpenverse, expires_in: object) -> None:
    registered.expires_in = expires_in
    assert len(every(registered, limit=20)) == 3 and registered.issued == 1


def test_a_token_that_is_refused_is_replaced_once(registered: FakeOpenverse) -> None:
    async def work(provider: Openverse) -> Page:
        await provider.find(QUESTION, "", 5)
        registered.valid = set()
        return await provider.find(QUESTION, "", 5)

    page = using(registered, work)
    assert len(page.candidates) == 5 and page.calls == 3 and registered.issued == 2
    registered.moods = [said({"detail": "no"}, 401)] * 2
    caught = failure(registered)
    assert (caught.error, caught.http_status, registered.issued) == (ErrorClass.HTTP_4XX, 401, 4)


def test_wrong_credentials_are_said_to_be_so_after_one_try(registered: FakeOpenverse, monkeypatch) -> None:
    monkeypatch.setenv("OMNISRC_OPENVERSE_CLIENT_SECRET", "wrong")
    caught = failure(registered)
    assert (caught.error, caught.http_status) == (ErrorClass.HTTP_4XX, 401) and "credentials" in caught.detail
    assert registered.calls == [] and registered.issued == 1


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (said({"access_token": None}), ErrorClass.PROVIDER),
        (said({"access_token": "a\nX-Evil: b"}), ErrorClass.PROVIDER),
        (status(200, "<html>"), ErrorClass.PROVIDER),
        (status(429, Retry_After="7"), ErrorClass.HTTP_429),
        (status(503), ErrorClass.HTTP_5XX),
        (status(302, Location="http://elsewhere.example/"), ErrorClass.REDIRECT),
    ],
)
def test_a_token_that_cannot_be_had_is_a_failure_of_its_class(registered: FakeOpenverse, answer, error) -> None:
    registered.tokens = [answer]
    caught = failure(registered)
    assert caught.error is error and caught.retry_after == (7.0 if error is ErrorClass.HTTP_429 else None)


def test_credentials_come_from_a_file_before_the_environment(
    registered: FakeOpenverse, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("OMNISRC_OPENVERSE_CLIENT_SECRET", "wrong")
    path = tmp_path / "openverse"
    for text in (
        f"client_id: {CLIENT_ID}\nclient_secret: {CLIENT_SECRET}\n",
        json.dumps({"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "name": "mine"}),
    ):
        path.write_text(text)
        assert len(find(registered, credentials=str(path)).candidates) == 20


@pytest.mark.parametrize("text", ["", "- a", f"client_id: {CLIENT_ID}", f"{CLIENT_SECRET}: [", "\xff", None])
def test_a_file_without_credentials_is_the_users_mistake(openverse: FakeOpenverse, tmp_path: Path, text) -> None:
    path = tmp_path / "openverse.yaml"
    if text is not None:
        path.write_text(text, encoding="latin-1")
    with pytest.raises(UserError, match=r"openverse\.yaml .*client_id and client_secret") as caught:
        find(openverse, credentials=str(path))
    assert not any(secret in "".join(traceback.format_exception(caught.value)) for secret in SECRETS)


def test_half_of_the_credentials_are_the_users_mistake(registered: FakeOpenverse, monkeypatch) -> None:
    monkeypatch.delenv("OMNISRC_OPENVERSE_CLIENT_ID")
    with pytest.raises(UserError, match="OMNISRC_OPENVERSE_CLIENT_ID is not set"):
        find(registered)


def test_no_secret_is_said_in_any_error_log_or_repr(
    registered: FakeOpenverse, caplog: pytest.LogCaptureFixture
) -> None:
    """The servers here repeat what they were sent, as some do."""
    caplog.set_level(logging.DEBUG)
    texts = []

    async def work(provider: Openverse) -> None:
        with pytest.raises(ItemError) as caught:
            await provider.find(QUESTION, "", 5)
        parts = (provider, provider._access, provider._access._credentials, caught.value, vars(caught.value))
        texts.append(" ".join(map(repr, parts)) + "".join(traceback.format_exception(caught.value)))

    for code in (200, 400, 401, 403, 429, 500):
        registered.moods, registered.tokens = [parrot(code)] * 2, []
        using(registered, work)
        registered.moods, registered.tokens = [], [parrot(code)] * 2
        using(registered, work)
    assert len(texts) == 12 and "***" in texts[0]
    assert not any(secret in text for text in [*texts, caplog.text] for secret in SECRETS)


def test_a_token_does_not_follow_a_redirect_to_another_host(registered: FakeOpenverse) -> None:
    with LocalWeb("127.0.0.2") as other:
        other.add(SEARCH, b'{"results": []}')
        registered.moods = [status(302, Location=other.url + SEARCH)]

        async def main() -> None:
            allow = AllowedHosts.parse([registered.served.site, other.site])
            async with Client("omnisrc/0", HostGate(Pace(1)), allow=allow) as client:
                settings = ProviderSettings(openverse=OpenverseSettings(registered.endpoint))
                await Openverse(settings, MediaWish(), client).find(QUESTION, "", 5)

        asyncio.run(main())
        assert other.asked == [SEARCH] and "Authorization" not in other.headers[0]
        assert registered.served.asked == [TOKEN, SEARCH]


def test_credentials_do_not_go_over_plain_http_to_the_world(registered: FakeOpenverse) -> None:
    settings = ProviderSettings(openverse=OpenverseSettings("http://api.openverse.example/v1/"))
    with pytest.raises(UserError, match="https"):
        Openverse(settings, MediaWish(), Client("x", HostGate(Pace(1))))


def test_an_endpoint_that_is_no_url_is_the_users_mistake() -> None:
    settings = ProviderSettings(openverse=OpenverseSettings("api.openverse.org"))
    with pytest.raises(UserError, match=r"providers\.openverse\.endpoint"):
        Openverse(settings, MediaWish(), Client("x", HostGate(Pace(1))))


def test_robots_txt_of_the_api_is_not_asked(openverse: FakeOpenverse) -> None:
    openverse.served.add("/robots.txt", b"User-agent: *\nDisallow: /v1/images/\n")
    find(openverse)
    assert openverse.served.asked == [SEARCH] and openverse.served.agents == {"omnisrc/0"}
