"""Crawling again later asks for what is new, within windows where providers know them, and fetches nothing twice."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from aiohttp import web as aioweb
from sqlalchemy import select, update

from db.models import Query, QueryPage
from omnisrc.cli import main
from omnisrc.crawl.windows import Window, asked_window, iso
from omnisrc.study import Study
from tests.crawl.fake_commons import FakeCommons, File, status
from tests.crawl.fake_flickr import KEY, FakeFlickr, Photo
from tests.crawl.studies import assets, crawl, crawl_study, jobs, plan_crawl, work
from tests.local_web import LocalWeb

Picture = Callable[..., bytes]
DAY = 86400
TODAY = int(time.time())  # when the tests were collected, which may be a while ago
HOUR = 3600


@pytest.fixture
def flickr(web: LocalWeb, picture: Picture, monkeypatch: pytest.MonkeyPatch) -> FakeFlickr:
    """Photos 0 to 3 of brush hair, put up 100, 40, 20 and 10 days ago."""
    monkeypatch.setenv("OMNISRC_FLICKR_KEY", KEY)

    async def answer(request: aioweb.Request) -> aioweb.Response:
        return aioweb.Response(body=picture(int(request.path.strip("/").partition("_")[0])))

    web.routes.update({f"/{number}_o.jpg": answer for number in range(20)})
    photos = [Photo(at, 640, 480, uploaded=TODAY - days * DAY) for at, days in enumerate((100, 40, 20, 10))]
    return FakeFlickr(web, {"brush hair": photos, "juggling balls": []})


def open_study(base: Study, web: LocalWeb, flickr: FakeFlickr, *sets: str) -> Study:
    return crawl_study(
        base, f"providers.flickr.endpoint={flickr.endpoint}", f"crawl.allow_hosts=['{web.site}']",
        f'crawl.hosts."{web.site}".rate=0', *sets,
    )  # fmt: skip


def searched(flickr: FakeFlickr) -> list[tuple[int | None, int | None]]:
    """The windows that brush hair was searched in."""
    asked = [call for call in flickr.calls if call.get("text") == "brush hair"]
    return [
        tuple(int(x) if (x := call.get(f"{end}_upload_date")) else None for end in ("min", "max")) for call in asked
    ]


def days_pass(study: Study, days: float) -> None:
    """All that was asked was asked so much earlier."""

    def write(session) -> None:
        session.execute(update(QueryPage).values(asked=QueryPage.asked - days * DAY))

    study.database().write(write)


def stored(study: Study) -> set[str]:
    return {asset["url"].rpartition("/")[2] for asset in assets(study) if asset["state"] == "stored"}


def go(study: Study, class_file: Path, provider: str = "flickr", **how: object) -> None:
    top_up, _ = plan_crawl(study, class_file, provider, **how)
    crawl(study, top_up)


def test_the_same_crawl_run_a_month_later_asks_for_what_was_put_up_since(
    study: Study, web: LocalWeb, flickr: FakeFlickr, class_file: Path
) -> None:
    opened = open_study(study, web, flickr)
    photos = flickr.found["brush hair"]
    flickr.found["brush hair"] = photos[:2]
    go(opened, class_file)
    assert stored(opened) == {"0_o.jpg", "1_o.jpg"} and searched(flickr) == [(None, None)]
    go(opened, class_file)
    assert len(searched(flickr)) == 1, "the same day it asks nobody"
    days_pass(opened, 30)
    flickr.found["brush hair"] = photos
    go(opened, class_file)
    assert stored(opened) == {f"{n}_o.jpg" for n in range(4)}
    (since, until) = searched(flickr)[1]
    assert since == pytest.approx(TODAY - 30 * DAY, abs=HOUR) and until == pytest.approx(TODAY, abs=HOUR)
    days_pass(opened, 5)
    go(opened, class_file)
    assert searched(flickr)[2][0] == pytest.approx(TODAY - 5 * DAY, abs=HOUR), "the next window begins where this ended"
    media = [path for path in web.asked if path.endswith(".jpg")]
    assert sorted(media) == [f"/{n}_o.jpg" for n in range(4)], "nothing is fetched twice"


def test_a_class_that_has_enough_asks_for_nothing_new(
    study: Study, web: LocalWeb, flickr: FakeFlickr, class_file: Path
) -> None:
    opened = open_study(study, web, flickr)
    go(opened, class_file, per_class=2)
    days_pass(opened, 30)
    calls = len(searched(flickr))
    go(opened, class_file, per_class=2)
    go(opened, class_file, per_class=2, newer=True)
    assert len(searched(flickr)) == calls and len(stored(opened)) == 2


def test_newer_asks_for_the_new_and_not_for_more_of_the_old(
    study: Study, web: LocalWeb, flickr: FakeFlickr, class_file: Path
) -> None:
    """One find of each class was asked for, so that the first search has more to give."""
    opened = open_study(study, web, flickr)
    go(opened, class_file, per_class=1)
    days_pass(opened, 30)
    go(opened, class_file, per_class=50, newer=True)
    assert stored(opened) == {"0_o.jpg", "2_o.jpg", "3_o.jpg"}
    go(opened, class_file, per_class=50, newer=True)
    assert len({window for window in searched(flickr) if window[0]}) == 1, "within the hour it goes on with the window"
    go(opened, class_file, per_class=50)
    assert stored(opened) == {f"{n}_o.jpg" for n in range(4)}


def test_since_and_until_ask_within_them_alone(
    study: Study, web: LocalWeb, flickr: FakeFlickr, class_file: Path
) -> None:
    opened = open_study(study, web, flickr)
    window = Window(TODAY - 50 * DAY, TODAY - 15 * DAY)
    go(opened, class_file, window=window)
    assert stored(opened) == {"1_o.jpg", "2_o.jpg"}
    assert set(searched(flickr)) == {(TODAY - 50 * DAY, TODAY - 15 * DAY)}
    go(opened, class_file, window=window)
    assert len(searched(flickr)) == 1, "an exhausted window is not asked again"
    kept = opened.database().read(lambda s: set(s.scalars(select(Query.time_window))))
    assert kept == {str(window)}


def test_commons_too_is_asked_for_what_was_put_up_since(
    study: Study, web: LocalWeb, flickr: FakeFlickr, class_file: Path, picture: Picture
) -> None:
    def file(number: int, days_ago: float) -> File:
        url = web.add(f"/upload/{number}.jpg", picture(number))
        return File(f"File:{number}.jpg", url, 200, 150, uploaded=iso(TODAY - days_ago * DAY))

    commons = FakeCommons(web, {"brush hair": [file(100, 40)], "juggling balls": []})
    opened = open_study(study, web, flickr, f"providers.commons.endpoint={commons.endpoint}")
    go(opened, class_file, "commons", newer=True)
    days_pass(opened, 30)
    commons.found["brush hair"] = [file(100, 40), file(101, 31), file(102, 20)]
    go(opened, class_file, "commons", newer=True)
    assert stored(opened) == {"100.jpg", "102.jpg"}
    asked = [call["gsrsearch"] for call in commons.calls if "creationdate:" in call["gsrsearch"]]
    assert asked and all(f"creationdate:>={iso(TODAY - 30 * DAY)[:10]} " in search for search in asked)


def test_an_exhausted_providers_share_goes_to_the_other_and_each_gets_its_own(
    study: Study, web: LocalWeb, flickr: FakeFlickr, class_file: Path, picture: Picture
) -> None:
    files = []
    for number in range(100, 130):
        files.append(File(f"File:{number}.jpg", web.add(f"/upload/{number}", picture(number)), 200, 150))
    commons = FakeCommons(web, {"brush hair": files, "juggling balls": []})
    opened = open_study(study, web, flickr, f"providers.commons.endpoint={commons.endpoint}")
    go(opened, class_file, "commons,flickr", per_class=6)
    names = stored(opened)
    assert len(names) == 6 and sum(name.endswith("_o.jpg") for name in names) == 3
    go(opened, class_file, "commons,flickr", per_class=12)
    names = stored(opened)
    assert len(names) == 12 and sum(name.endswith("_o.jpg") for name in names) == 4, "all that flickr has"


def test_a_provider_that_asked_for_a_long_pause_holds_nobody_up_and_is_not_asked_for_what_others_gave(
    study: Study, web: LocalWeb, flickr: FakeFlickr, class_file: Path, picture: Picture
) -> None:
    flickr.moods = [status(429, "later", Retry_After="7200")] * 2
    with LocalWeb() as other:
        files = [File(f"File:{n}.jpg", other.add(f"/upload/{n}", picture(n)), 200, 150) for n in range(100, 130)]
        commons = FakeCommons(other, {"brush hair": files[:15], "juggling balls": files[15:]})
        allow = f"crawl.allow_hosts=['{web.site}','{other.site}']"
        opened = open_study(study, web, flickr, f"providers.commons.endpoint={commons.endpoint}", allow)
        top_up, _ = plan_crawl(opened, class_file, "commons,flickr", per_class=10)
        for _ in range(8):
            top_up._ask_at = 0.0
            opened.database().write(top_up)
            work(opened)
    assert {name.endswith("_o.jpg") for name in stored(opened)} == {False} and len(stored(opened)) == 20
    top_up._ask_at = 0.0
    opened.database().write(top_up)
    assert not [job for job in jobs(opened, "discover") if job.state == "waiting"], "its searches are taken back"


def test_a_crawl_does_not_end_before_it_has_looked_who_is_to_be_asked(
    study: Study, web: LocalWeb, flickr: FakeFlickr, class_file: Path
) -> None:
    opened = open_study(study, web, flickr)
    top_up, _ = plan_crawl(opened, class_file, "flickr")
    top_up._ask_at = math.inf
    assert opened.database().write(top_up) and jobs(opened, "discover")


def test_dates_are_read_as_utc() -> None:
    assert asked_window("2026-01-01", "2026-02-01T00:00:00+01:00") == Window(1767225600, 1769900400)
    assert Window.read(str(Window(1767225600, None))) == Window(1767225600, None)
    assert not asked_window(None, None) and str(asked_window(None, None)) == ""


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--since", "yesterday"], "2026-01-31"),
        (["--since", "2026-02-01", "--until", "2026-01-01"], "not before"),
        (["--since", "2026-01-01", "--provider", "pexels"], "pexels cannot be asked for a time window"),
        (["--since", "2026-01-01", "--newer", "--provider", "archive"], "--newer chooses the window by itself"),
    ],
)
def test_windows_that_make_no_sense_get_a_sentence(
    tmp_path: Path, class_file: Path, capsys: pytest.CaptureFixture[str], options: list[str], words: str
) -> None:
    code = main.run(["crawl", "--workspace", str(tmp_path / "study"), "--classes", str(class_file), *options])
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("omnisrc:")]
    assert code == 2 and len(lines) == 1 and words in lines[0]
