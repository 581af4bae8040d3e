from __future__ import annotations

import asyncio
import hashlib

import pytest
from aiohttp import web as aioweb

from omnisrc.errors import ErrorClass, ItemError
from omnisrc.web.optout import ROBOTS, OptOuts
from omnisrc.web.refusal import Refusal
from omnisrc.web.site_files import FRESH_S, MAX_BYTES, TROUBLE_FRESH_S, MemoryStore, SiteFile
from omnisrc.web.tdmrep import PATH as TDMREP
from omnisrc.web.urls import parse_url
from tests.local_web import LocalWeb
from tests.web.asking import client

FOR_ALL = b"User-agent: *\nDisallow: /private/\nAllow: /private/open\n"
FILE = FOR_ALL + b"\nUser-agent: omnisrc\nDisallow: /ours/\nCrawl-delay: 3\n"


def checked(web: LocalWeb, *paths: str, **options: object) -> list[ItemError | None]:
    async def main() -> list[ItemError | None]:
        async with client(web.site) as asked:
            optouts = OptOuts(asked, **options)

            async def check(path: str) -> ItemError | None:
                try:
                    await optouts.check(parse_url(web.url + path))
                    return None
                except ItemError as error:
                    return error

            return list(await asyncio.gather(*(check(path) for path in paths)))

    return asyncio.run(main())


def allowed(web: LocalWeb, *paths: str, **options: object) -> list[bool]:
    return [error is None for error in checked(web, *paths, **options)]


def test_rules_for_everybody_hold_where_there_are_none_for_us(web: LocalWeb) -> None:
    web.add("/robots.txt", FOR_ALL)
    assert allowed(web, "/a", "/private/a", "/private/open/a", "/ours/a") == [True, False, True, True]


def test_rules_for_us_replace_those_for_everybody(web: LocalWeb) -> None:
    web.add("/robots.txt", FILE)
    assert allowed(web, "/private/a", "/ours/a") == [True, False]


def test_a_refusal_holds_its_evidence(web: LocalWeb) -> None:
    web.add("/robots.txt", FILE)
    (error,) = checked(web, "/ours/a")
    assert isinstance(error, Refusal) and error.error is ErrorClass.ROBOTS and error.http_status is None
    assert error.evidence["signal"] == "robots.txt" and error.evidence["where"] == web.url + "/robots.txt"
    assert error.evidence["said"] == "line 6: Disallow: /ours/" and error.evidence["agent"] == "omnisrc"
    assert error.evidence["url"] == web.url + "/ours/a" and error.evidence["at"] > 1.7e9
    assert error.evidence["sha256"] == hashlib.sha256(FILE).hexdigest() and error.evidence["status"] == 200


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
def test_no_file_allows_everything(web: LocalWeb, status: int) -> None:
    web.add("/robots.txt", FILE, status=status)
    assert allowed(web, "/ours/a") == [True]


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_server_in_trouble_allows_nothing_for_now(web: LocalWeb, status: int) -> None:
    web.add("/robots.txt", status=status)
    (error,) = checked(web, "/a")
    assert error is not None and error.error is ErrorClass.ROBOTS and error.http_status == status


def test_a_file_that_cannot_be_reached_is_the_failure_of_the_request(web: LocalWeb) -> None:
    web.__exit__()
    try:
        (error,) = checked(web, "/a")
        assert error is not None and error.error is ErrorClass.CONNECT
    finally:
        web.__enter__()


def test_redirects_are_followed_and_a_loop_counts_as_no_file(web: LocalWeb) -> None:
    web.redirect("/robots.txt", "/elsewhere.txt")
    web.add("/elsewhere.txt", FILE)
    assert allowed(web, "/ours/a") == [False]
    web.redirect("/robots.txt", "/robots.txt")
    assert allowed(web, "/ours/a") == [True]


def test_an_empty_file_and_an_html_page_allow_everything(web: LocalWeb) -> None:
    web.add("/robots.txt", b"")
    assert allowed(web, "/a") == [True]
    web.add("/robots.txt", b"<!doctype html><html><body>Not found</body></html>")
    assert allowed(web, "/a") == [True]


def test_a_byte_order_mark_and_wrong_bytes_do_no_harm(web: LocalWeb) -> None:
    web.add("/robots.txt", b"\xef\xbb\xbfUser-agent: *\r\nDisallow: /a\r\n# \xff\xfe\r\n")
    assert allowed(web, "/a", "/b") == [False, True]


def test_rules_in_the_first_half_megabyte_count_and_the_rest_is_not_read(web: LocalWeb) -> None:
    head = b"User-agent: *\nDisallow: /a\n"
    web.add("/robots.txt", head + b"\n" * (MAX_BYTES - len(head) - 14) + b"Disallow: /b\n" + b"Disallow: /c\n" * 200_000)
    assert allowed(web, "/a", "/b", "/c") == [False, False, True]


def test_a_rule_that_is_cut_in_two_by_the_limit_does_not_count(web: LocalWeb) -> None:
    head = b"User-agent: *\n"
    web.add("/robots.txt", head + b"\n" * (MAX_BYTES - len(head) - 11) + b"Disallow: /private/\n")
    assert allowed(web, "/a", "/private/a") == [True, True]


def test_many_questions_are_one_request(web: LocalWeb) -> None:
    async def slow(request: aioweb.Request) -> aioweb.StreamResponse:
        await asyncio.sleep(0.05)
        return aioweb.Response(body=FILE)

    web.routes["/robots.txt"] = slow
    assert allowed(web, *[f"/{n}" for n in range(30)]) == [True] * 30
    assert sorted(web.asked) == [TDMREP, ROBOTS]


def test_a_file_is_asked_for_again_when_it_is_a_day_old_and_trouble_after_a_minute(web: LocalWeb) -> None:
    web.add("/robots.txt", FILE)
    store, now = MemoryStore(), [1000.0]
    for seconds, requests in ((0.0, 1), (FRESH_S - 1, 1), (2.0, 2)):
        now[0] += seconds
        assert allowed(web, "/ours/a", store=store, now=lambda: now[0]) == [False]
        assert web.count("/robots.txt") == requests
    store.save(SiteFile(web.url, ROBOTS, 503, "", now[0], now[0]))
    assert allowed(web, "/a", store=store, now=lambda: now[0]) == [False]
    now[0] += TROUBLE_FRESH_S + 1
    assert allowed(web, "/a", store=store, now=lambda: now[0]) == [True]


def test_a_crawl_delay_is_passed_on(web: LocalWeb) -> None:
    web.add("/robots.txt", FILE)
    delays: list[tuple[str, float]] = []
    checked(web, "/a", "/b", slow_down=lambda site, delay: delays.append((site, delay)))
    assert delays == [(web.site, 3.0)]


def test_a_url_is_checked_before_it_is_asked_for_and_so_is_where_it_leads(web: LocalWeb) -> None:
    web.add("/robots.txt", b"User-agent: *\nDisallow: /private/\n")
    web.add("/private/a", b"x")
    url = web.redirect("/moved", "/private/a")

    async def main() -> None:
        async with client(web.site) as asked:
            for asking in (web.url + "/private/a", url):
                with pytest.raises(Refusal):
                    async with asked.get(asking, optouts=OptOuts(asked)):
                        pass

    asyncio.run(main())
    assert web.count("/private/a") == 0 and web.count("/moved") == 1
