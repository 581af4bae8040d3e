from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from omnisrc.crawl.providers.archive import Archive
from omnisrc.crawl.providers.provider import MediaWish, Page, Question
from omnisrc.crawl.settings import ArchiveSettings, ProviderSettings
from omnisrc.errors import ErrorClass, ItemError, UserError
from omnisrc.web.addresses import AllowedHosts
from omnisrc.web.client import Client
from omnisrc.web.hosts import HostGate, Pace
from tests.crawl.fake_archive import BY, FakeArchive, Item, file
from tests.crawl.fake_commons import status
from tests.crawl.fake_openverse import said
from tests.crawl.providers.asking import failure_of
from tests.local_web import LocalWeb

VIDEOS = Question("brush hair", "video", "brush hair")
IMAGES = Question("brush hair", "image", "brush hair")


def film(number: int, **given: object) -> Item:
    return Item(f"film-{number}", files=[file(f"{number}.mp4", size="1000"), file("film_meta.xml")], **given)


@pytest.fixture
def archive(web: LocalWeb) -> FakeArchive:
    return FakeArchive(web, {"brush hair": [film(n) for n in range(30)]})


def find(archive: FakeArchive, question: Question = VIDEOS, cursor: str = "", limit: int = 50, **given: object) -> Page:
    archive.publish()

    async def main() -> Page:
        async with Client("omnisrc/0", HostGate(Pace(1)), allow=AllowedHosts.parse([archive.served.site])) as client:
            settings = ProviderSettings(archive=ArchiveSettings(archive.endpoint, **given))
            return await Archive(settings, MediaWish(), client).find(question, cursor, limit)

    return asyncio.run(main())


def every(archive: FakeArchive, limit: int = 50, **given: object) -> list[Page]:
    pages = [find(archive, limit=limit, **given)]
    while pages[-1].next is not None:
        pages.append(find(archive, cursor=pages[-1].next, limit=limit, **given))
    return pages


def titles(*pages: Page) -> list[str]:
    return [found.title for page in pages for found in page.candidates]


def films(*numbers: int) -> list[str]:
    return [f"Title of film-{number}" for number in numbers]


def failure(archive: FakeArchive) -> ItemError:
    return failure_of(lambda: find(archive))


def test_an_item_becomes_a_candidate_with_all_that_is_said_of_it(archive: FakeArchive) -> None:
    files = [
        file("My films/Brush & hair.avi", size="90000000", width="1440", height="1080", length="75.5"),
        file("small.mp4", "derivative", original="My films/Brush & hair.avi", size="12", width="320", height="240"),
    ]
    said_of_it = {"title": "Brush", "creator": ["A", "B"], "licenseurl": BY.replace("by", "by-sa")}
    archive.items["brush hair"] = [Item("some.item_1", files=files, metadata=said_of_it)]
    page = find(archive)
    (found,) = page.candidates
    assert found.url == f"{archive.endpoint}/download/some.item_1/My%20films/Brush%20%26%20hair.avi"
    assert (found.kind, found.title, found.author) == ("video", "Brush", "A; B")
    assert found.page_url == f"{archive.endpoint}/details/some.item_1"
    assert (found.license, found.license_url) == ("CC BY-SA 4.0", BY.replace("by", "by-sa"))
    assert (found.width, found.height, found.duration, found.bytes, found.sha1) == (
        1440,
        1080,
        75.5,
        90000000,
        "a" * 40,
    )
    assert page.next is None and page.calls == 2


def test_what_is_asked_holds_words_alone_and_the_settings_wishes(archive: FakeArchive) -> None:
    find(archive, Question('Brush "hair" OR (licenseurl:*) AND x\\', "image"))
    asked = archive.calls[-1]
    assert asked["q"] == "(brush hair or licenseurl and x) AND mediatype:(image) AND licenseurl:*creativecommons*"
    assert asked["count"] == "100" and asked["sorts"] == "downloads desc" and "cursor" not in asked
    assert set(asked["fields"].split(",")) >= {"identifier", "licenseurl", "title", "creator"}
    find(archive, licenses="any", sort="")
    assert archive.calls[-1]["q"] == "(brush hair) AND mediatype:(movies)" and "sorts" not in archive.calls[-1]
    assert find(archive, Question("?!", "video")) == Page([], None, calls=0)


def test_a_time_window_is_asked_for(archive: FakeArchive) -> None:
    for window in ("2026-01-01T00:00:00Z/2026-02-01T00:00:00Z", "2026-01-01T00:00:00Z/", "/2026-01-01T00:00:00Z"):
        find(archive, Question("brush hair", "image", time_window=window))
    assert [query["q"].rpartition(" AND ")[2] for query in archive.calls] == [
        "publicdate:[2026-01-01T00:00:00Z TO 2026-02-01T00:00:00Z]",
        "publicdate:[2026-01-01T00:00:00Z TO *]",
        "publicdate:[* TO 2026-01-01T00:00:00Z]",
    ]


def test_images_and_videos_are_asked_for_apart(archive: FakeArchive) -> None:
    files = [file("a.jpg", format="JPEG", size="9", length="5"), file("b.mp4")]
    photo = Item("photo", "image", files=files, metadata={"runtime": "5"})
    archive.items["brush hair"].append(photo)
    (found,) = find(archive, IMAGES).candidates
    assert (found.title, found.kind, found.duration) == ("Title of photo", "image", None)
    assert found.url.endswith("/download/photo/a.jpg")


@pytest.mark.parametrize("limit", [50, 25, 7])
def test_pages_follow_each_other_over_the_ends_of_listings(archive: FakeArchive, limit: int) -> None:
    archive.items["brush hair"] = [film(n) for n in range(230)]
    pages = every(archive, limit)
    assert titles(*pages) == films(*range(230))
    assert all(len(page.candidates) <= min(limit, 25) for page in pages)
    assert sum(page.calls for page in pages) == len(archive.calls) + len(archive.asked)
    assert len(archive.asked) == 230, "no item is looked at twice"


def test_a_page_makes_no_more_calls_than_its_size(archive: FakeArchive) -> None:
    archive.items["brush hair"] = [film(n) for n in range(90)]
    for item in archive.items["brush hair"]:
        item.files = []
    page = find(archive)
    assert page.candidates == [] and page.next is not None and len(archive.asked) == 25 and page.calls == 26


def test_a_last_listing_without_a_cursor_ends_the_search(archive: FakeArchive) -> None:
    archive.items = {}
    assert find(archive) == Page([], None, 1)
    archive.moods = [said({"items": [], "cursor": "abc"})]
    assert find(archive).next is None
    archive.moods = [said({"items": [film(1).doc], "cursor": "abc"}), said({"items": [film(1).doc], "cursor": "abc"})]
    archive.items = {"x": [film(1)]}
    first = find(archive)
    assert find(archive, cursor=first.next).next is None, "a cursor that leads to itself"


def test_only_open_licences_are_looked_at_unless_told_otherwise(archive: FakeArchive) -> None:
    archive.items["brush hair"] = [
        film(0), film(1, licenseurl=None), film(2, licenseurl="https://example.org/creativecommons"),
        film(3, licenseurl="http://creativecommons.org/publicdomain/zero/1.0/"),
        film(4, metadata={"licenseurl": "https://example.org/mine"}),
    ]  # fmt: skip
    page = find(archive)
    assert titles(page) == films(0, 3) and page.candidates[1].license == "CC0 1.0"
    assert archive.asked == ["film-0", "film-3", "film-4"] and page.calls == 4
    free = find(archive, licenses="any")
    assert titles(free) == films(0, 1, 2, 3, 4)
    assert [found.license for found in free.candidates] == ["CC BY 4.0", None, None, "CC0 1.0", None]
    assert free.candidates[2].license_url == "https://example.org/creativecommons"


def test_items_that_have_nothing_to_give_are_left_out(archive: FakeArchive) -> None:
    dark = {"is_dark": True, "metadata": film(2).doc, "files": film(2).files}
    archive.items["brush hair"] = [
        film(0, answer={}), film(1, answer={"error": "Couldn't locate item 'film-1'"}), film(2, answer=dark),
        film(3, answer={"metadata": None, "files": []}), film(4, answer={"metadata": film(4).doc, "files": None}),
        film(5, metadata={"access-restricted-item": "true"}), film(6), Item("film-7", files=[file("../a.mp4")]),
    ]  # fmt: skip
    page = find(archive)
    assert titles(page) == films(6) and page.next is None and page.calls == 9


@pytest.mark.parametrize(
    "listed", [{"identifier": None}, {"identifier": "../../x"}, {"identifier": "a/b"}, {"identifier": ".."}]
)
def test_an_identifier_that_leads_elsewhere_is_never_asked_for(archive: FakeArchive, listed: dict) -> None:
    archive.items["brush hair"] = [film(0, listed=listed), film(1)]
    assert titles(find(archive)) == films(1) and [path for path in archive.served.asked if "scrape" not in path] == [
        "/metadata/film-1"
    ]
    archive.moods = [said({"items": [None, "x", {}, film(1).doc]})]
    assert titles(find(archive)) == films(1)


def test_missing_words_leave_gaps_and_nothing_else(archive: FakeArchive) -> None:
    nothing = {"title": None, "creator": None}
    archive.items["brush hair"] = [film(0, listed=nothing, metadata={**nothing, "runtime": "0:01:15"})]
    (found,) = find(archive).candidates
    assert (found.title, found.author, found.duration, found.width) == ("film-0", None, 75.0, None)


# what goes wrong


@pytest.mark.parametrize(
    "answer",
    [status(404), status(403), status(200, "<html>"), status(200, "[]"), status(200, ""), said({"error": "no"})],
)
def test_one_item_that_fails_by_itself_is_left_out(archive: FakeArchive, answer: Callable) -> None:
    archive.item_moods = {"film-0": [answer], "film-2": [answer], "film-3": [answer], "film-4": [answer]}
    assert titles(find(archive, limit=3)) == films(1, 5, 6)


def test_a_service_that_wants_a_pause_in_the_middle_keeps_what_was_found(archive: FakeArchive) -> None:
    archive.item_moods = {"film-2": [status(429, Retry_After="9")]}
    page = find(archive)
    assert titles(page) == films(0, 1) and page.pause_s == 9.0 and page.calls == 4
    later = find(archive, cursor=page.next, limit=3)
    assert titles(later) == films(2, 3, 4) and later.pause_s is None
    archive.item_moods = {"film-2": [status(429)]}
    assert find(archive).pause_s == 60.0
    archive.item_moods = {"film-0": [status(429, Retry_After="9")]}
    caught = failure(archive)
    assert (caught.error, caught.retry_after) == (ErrorClass.HTTP_429, 9.0)


def test_two_items_of_a_page_may_fail_for_a_moment_but_not_a_service_that_is_down(archive: FakeArchive) -> None:
    archive.item_moods = {"film-1": [status(500)], "film-3": [status(502)]}
    assert titles(find(archive, limit=3)) == films(0, 2, 4)
    archive.item_moods = {f"film-{n}": [status(503)] for n in range(1, 30)}
    page = find(archive)
    assert titles(page) == films(0) and archive.asked[-1] == "film-3"
    archive.item_moods = {}
    assert titles(find(archive, cursor=page.next, limit=1)) == films(3)
    archive.item_moods = {"film-1": [status(503, Retry_After="30")]}
    assert find(archive).pause_s == 30.0


def test_a_search_that_fails_is_a_failure_of_its_class(archive: FakeArchive) -> None:
    for answer, error in (
        (said({"error": "invalid cursor", "errorType": "X"}), ErrorClass.PROVIDER),
        (said({"error": "bad"}, 400), ErrorClass.HTTP_4XX), (status(200, "<html>"), ErrorClass.PROVIDER),
        (said({"total": 5}), ErrorClass.PROVIDER), (said({"items": {}}), ErrorClass.PROVIDER),
        (status(503, Retry_After="5"), ErrorClass.HTTP_5XX), (status(429, Retry_After="5"), ErrorClass.HTTP_429),
    ):  # fmt: skip
        archive.moods = [answer]
        caught = failure(archive)
        assert caught.error is error
        assert caught.retry_after == (5.0 if error in (ErrorClass.HTTP_5XX, ErrorClass.HTTP_429) else None)
    archive.moods = [said({"error": "invalid cursor"})]
    assert "invalid cursor" in failure(archive).detail


def test_a_download_that_leads_to_a_data_node_is_followed_and_one_that_leads_inside_is_not(
    archive: FakeArchive,
) -> None:
    archive.items["brush hair"] = [film(0), film(1)]
    good, bad = (found.url for found in find(archive).candidates)
    with LocalWeb("127.0.0.2") as node:
        archive.served.redirect("/download/film-0/0.mp4", node.add("/1/items/film-0/0.mp4", b"bytes"))
        archive.served.redirect("/download/film-1/1.mp4", "http://127.0.0.3:80/latest/meta-data/")

        async def main() -> bytes:
            allow = AllowedHosts.parse([archive.served.site, node.site])
            async with Client("omnisrc/0", HostGate(Pace(1)), allow=allow) as client:
                async with client.get(good) as answer:
                    body = await answer.response.read()
                with pytest.raises(ItemError, match="refused-address"):
                    async with client.get(bad):
                        pass
            return body

        assert asyncio.run(main()) == b"bytes"


def test_the_agent_is_named_and_robots_txt_of_the_api_is_not_asked(archive: FakeArchive) -> None:
    archive.served.add("/robots.txt", b"User-agent: *\nDisallow: /\n")
    find(archive, limit=1)
    assert archive.served.asked == ["/services/search/v1/scrape", "/metadata/film-0"]
    assert archive.served.agents == {"omnisrc/0"}


def test_an_endpoint_that_is_no_url_is_the_users_mistake() -> None:
    settings = ProviderSettings(archive=ArchiveSettings("archive.org"))
    with pytest.raises(UserError, match=r"providers\.archive\.endpoint"):
        Archive(settings, MediaWish(), Client("x", HostGate(Pace(1))))
