from __future__ import annotations

import asyncio
import hashlib

import pytest
from aiohttp import web as aioweb

from omnisrc.errors import ErrorClass, ItemError
from omnisrc.web.optout import ROBOTS, OptOuts
from omnisrc.web.refusal import Refusal
from omnisrc.web.site_files import FRESH_S, GIVEN_UP_S, MAX_BYTES, TROUBLE_FRESH_S, MemoryStore, SiteFile
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
    within = head + b"\n" * (MAX_BYTES - len(head) - 14) + b"Disallow: /b\n"
    web.add("/robots.txt", within + b"Disallow: /c\n" * 200_000)
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


def test_a_crawl_delay_is_no_longer_than_the_limit(web: LocalWeb) -> None:
    web.add("/robots.txt", b"User-agent: *\nCrawl-delay: 86400\n")
    delays: list[tuple[str, float]] = []
    checked(web, "/a", slow_down=lambda site, delay: delays.append((site, delay)), longest_delay_s=7.0)
    assert delays == [(web.site, 7.0)]


def test_groups_for_further_agents_bind_us_where_they_are_named_to_us(web: LocalWeb) -> None:
    web.add("/robots.txt", b"User-agent: GPTBot\nDisallow: /\n")
    assert allowed(web, "/a") == [True]
    (error,) = checked(web, "/a", agents=("omnisrc", "GPTBot"))
    assert isinstance(error, Refusal) and error.evidence["agent"] == "gptbot"


def test_five_redirects_are_followed_and_a_sixth_counts_as_no_file(web: LocalWeb) -> None:
    for hops, fine in ((5, False), (6, True)):
        for hop in range(hops):
            web.redirect(f"/hop{hop}" if hop else "/robots.txt", f"/hop{hop + 1}")
        web.add(f"/hop{hops}", FILE)
        assert allowed(web, "/ours/a") == [fine]


def troubled(web: LocalWeb, days: float, body: str) -> bool:
    """Whether /ours/a is allowed `days` after the site's trouble began, `body` being what was known before."""
    began = 1e9
    store = MemoryStore()
    store.save(SiteFile(web.url, ROBOTS, 503, body, began, began))
    return allowed(web, "/ours/a", store=store, now=lambda: began + days * 86400)[0]


@pytest.mark.parametrize("status", [429, 503])
def test_after_thirty_days_of_trouble_what_was_known_before_counts(web: LocalWeb, status: int) -> None:
    web.add("/robots.txt", status=status)
    assert GIVEN_UP_S == 30 * 86400
    assert [troubled(web, days, "") for days in (1, 29.9, 30.1)] == [False, False, True]
    assert troubled(web, 30.1, FILE.decode()) is False


def test_trouble_remembers_when_it_began_and_what_was_known_before_and_ends(web: LocalWeb) -> None:
    store, now = MemoryStore(), [1000.0]
    for status, since in ((200, None), (500, 1000.0 + FRESH_S), (503, 1000.0 + FRESH_S), (200, None), (404, None)):
        web.add("/robots.txt", FILE, status=status)
        allowed(web, "/a", store=store, now=lambda: now[0])
        file = store.load(web.url, ROBOTS)
        assert file is not None and (file.status, file.trouble_since) == (status, since)
        assert file.body == ("" if status == 404 else FILE.decode())
        now[0] += FRESH_S


def test_a_site_that_is_never_reached_is_asked_each_time_and_its_trouble_is_noted(web: LocalWeb) -> None:
    store = MemoryStore()
    web.__exit__()
    try:
        for _ in range(2):
            (error,) = checked(web, "/a", store=store, now=lambda: 1e9)
            assert error is not None and error.error is ErrorClass.CONNECT
        file = store.load(web.url, ROBOTS)
        assert file is not None and (file.status, file.trouble_since) == (0, 1e9)
    finally:
        web.__enter__()


def test_no_null_character_reaches_the_store(web: LocalWeb) -> None:
    web.add("/robots.txt", b"User-agent: *\nDisallow: /a\n# \0")
    store = MemoryStore()
    assert allowed(web, "/a", store=store) == [False]
    assert "\0" not in store.files[web.url, ROBOTS].body


def test_a_usage_preference_in_robots_txt_is_an_opt_out(web: LocalWeb) -> None:
    web.add("/robots.txt", b"User-agent: *\nContent-Usage: /kept/ train-ai=n\n")
    free, error = checked(web, "/a", "/kept/a")
    assert free is None and isinstance(error, Refusal) and error.error is ErrorClass.OPT_OUT
    assert error.evidence["said"] == "line 2: Content-Usage: /kept/ train-ai=n"
    assert error.evidence["where"] == web.url + "/robots.txt"


RESERVED = b'[{"location": "/kept/", "tdm-reservation": 1, "tdm-policy": "https://example.com/p"}]'


def test_a_reservation_in_tdmrep_json_is_an_opt_out_and_the_file_is_read_once(web: LocalWeb) -> None:
    web.add(TDMREP, RESERVED)
    found = checked(web, "/a", "/kept/a", "/kept/b")
    assert [error is None for error in found] == [True, False, False] and web.count(TDMREP) == 1
    error = found[1]
    assert (
        isinstance(error, Refusal) and error.error is ErrorClass.OPT_OUT and error.evidence["signal"] == "tdmrep.json"
    )
    assert error.evidence["where"] == web.url + TDMREP and "https://example.com/p" in error.evidence["said"]


@pytest.mark.parametrize("status", [404, 410, 500, 503])
def test_a_tdmrep_json_that_is_not_there_reserves_nothing(web: LocalWeb, status: int) -> None:
    web.add(TDMREP, RESERVED, status=status)
    assert allowed(web, "/kept/a") == [True]


def test_a_tdmrep_json_is_kept_for_a_day_and_through_trouble(web: LocalWeb) -> None:
    store, now = MemoryStore(), [1000.0]
    web.add(TDMREP, RESERVED)
    for seconds, status, requests in ((0.0, 200, 1), (FRESH_S - 1, 200, 1), (2.0, 503, 2)):
        now[0] += seconds
        web.add(TDMREP, RESERVED, status=status)
        assert allowed(web, "/kept/a", store=store, now=lambda: now[0]) == [False]
        assert web.count(TDMREP) == requests


def test_what_robots_txt_forbids_needs_no_other_file(web: LocalWeb) -> None:
    web.add("/robots.txt", b"User-agent: *\nDisallow: /\n")
    assert allowed(web, "/a") == [False] and web.asked == [ROBOTS]


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Robots-Tag": "otherbot: noindex, omnisrc: noai"},
        {"TDM-Reservation": "1"},
        {"Content-Usage": "search=y, train-ai=n"},
    ],
)
def test_an_opt_out_in_the_head_is_heard_before_the_body_is_read(web: LocalWeb, headers: dict[str, str]) -> None:
    sent = [0]

    async def long(request: aioweb.Request) -> aioweb.StreamResponse:
        response = aioweb.StreamResponse(headers=headers)
        await response.prepare(request)
        for _ in range(500):  # ten seconds and two megabytes, for who waits
            await response.write(b"z" * 4096)
            sent[0] += 1
            await asyncio.sleep(0.02)
        return response

    web.routes["/a"] = long

    async def main() -> None:
        async with client(web.site) as asked:
            with pytest.raises(Refusal) as caught:
                async with asked.get(web.url + "/a", optouts=OptOuts(asked)):
                    raise AssertionError("nobody may come to the body")
            assert caught.value.error is ErrorClass.OPT_OUT and caught.value.http_status == 200
            assert caught.value.evidence["said"] in headers.values()
            assert caught.value.evidence["where"] == web.url + "/a"

    asyncio.run(main())
    assert sent[0] < 250, "the server was left while it still sent"


def test_who_redirects_speaks_for_the_url_that_was_found_and_an_error_page_only_for_itself(web: LocalWeb) -> None:
    web.add("/moved", status=302, headers={"Location": "/a", "X-Robots-Tag": "noai"})
    web.add("/gone", status=404, headers={"X-Robots-Tag": "noindex"})
    web.add("/a", b"x")

    async def main() -> None:
        async with client(web.site) as asked:
            with pytest.raises(Refusal):
                async with asked.get(web.url + "/moved", optouts=OptOuts(asked)):
                    pass
            async with asked.get(web.url + "/gone", optouts=OptOuts(asked)) as answer:
                assert answer.status == 404

    asyncio.run(main())
    assert web.count("/a") == 0
