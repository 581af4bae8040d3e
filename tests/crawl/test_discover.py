from __future__ import annotations

from pathlib import Path

from sqlalchemy import func, select

from db.models import Asset, Find, Host, Query, QueryPage, Tombstone
from omnisrc.crawl.queries import Scope
from omnisrc.study import Study
from tests.crawl.fake_commons import FakeCommons, File, error, status
from tests.crawl.fake_openverse import FakeOpenverse, image
from tests.crawl.studies import assets, crawl_study, hurry, jobs, plan_crawl, states, work
from tests.local_web import LocalWeb


def photos(web: LocalWeb, text: str, number: int, **given: object) -> list[File]:
    return [File(f"File:{text} {n}.jpg", f"{web.url}/{text.replace(' ', '_')}/{n}.jpg", **given) for n in range(number)]


def open_study(base: Study, web: LocalWeb, commons: FakeCommons, *sets: str) -> Study:
    return crawl_study(
        base, f"providers.commons.endpoint={commons.endpoint}", f"crawl.allow_hosts=['{web.site}']", *sets
    )


def search(study: Study, class_file: Path, **given: object) -> Scope:
    """All searching, no fetching."""
    top_up, scope = plan_crawl(study, class_file, **given)
    for _ in range(20):
        study.database().write(top_up)
        if not work(study, "discover"):
            return scope
    raise AssertionError("the search does not end")


def test_finds_become_assets_with_their_queries_ranks_and_pages(study: Study, web: LocalWeb, class_file: Path) -> None:
    commons = FakeCommons(web, {"juggling balls": photos(web, "juggling", 120), "brush hair": photos(web, "brush", 3)})
    own = open_study(study, web, commons)
    search(own, class_file, per_class=110)
    found = [asset for asset in assets(own) if asset["classes"] == ["juggling balls"]]
    assert len(found) == 110 and all(asset["state"] == "waiting" for asset in found)
    first = next(asset for asset in found if asset["title"] == "juggling 0")
    assert first["license"] == "CC BY-SA 4.0" and first["author"] == "A & B" and first["provider"] == "commons"

    def rows(session):
        ranks = session.execute(
            select(Find.rank, Find.page, Asset.priority, Asset.title).join(Asset).order_by(Find.rank)
        ).all()
        return ranks, session.scalars(select(QueryPage).order_by(QueryPage.id)).all()

    ranks, pages = own.database().read(rows)
    assert [row.title for row in ranks if row.title.startswith("juggling")] == [f"juggling {n}" for n in range(110)]
    assert all(row.rank == row.priority for row in ranks)
    assert sorted(page.finds for page in pages) == [3, 10, 50, 50]


def test_a_class_is_asked_for_no_more_than_it_needs(study: Study, web: LocalWeb, class_file: Path) -> None:
    commons = FakeCommons(
        web, {"juggling balls": photos(web, "juggling", 500), "brush hair": photos(web, "brush", 500)}
    )
    own = open_study(study, web, commons)
    search(own, class_file, per_class=7)
    assert [call["gsrlimit"] for call in commons.calls] == ["7", "7"]
    search(own, class_file, per_class=7)
    assert len(commons.calls) == 2
    search(own, class_file, per_class=10)
    assert [(call["gsrlimit"], call["gsroffset"]) for call in commons.calls[2:]] == [("3", "7"), ("3", "7")]
    assert states(own) == {("waiting", None): 20}


def test_an_asset_that_two_classes_find_is_one_with_two_finds(study: Study, web: LocalWeb, class_file: Path) -> None:
    shared = photos(web, "both", 4)
    commons = FakeCommons(web, {"juggling balls": shared, "brush hair": shared[::-1]})
    own = open_study(study, web, commons)
    search(own, class_file)
    assert {tuple(sorted(asset["classes"])) for asset in assets(own)} == {("brush hair", "juggling balls")}
    assert own.database().read(lambda s: s.scalar(select(func.count()).select_from(Find))) == 8


def test_what_cannot_be_wanted_is_refused_without_a_request(study: Study, web: LocalWeb, class_file: Path) -> None:
    files = [
        File("File:ok.jpg", f"{web.url}/ok.jpg"),
        File("File:small.jpg", f"{web.url}/small.jpg", width=400, height=127),
        File("File:ftp.jpg", "ftp://example.org/a.jpg"),
        File("File:secret.jpg", "http://user:pw@example.org/a.jpg"),
        File("File:file.jpg", "file:///etc/passwd"),
        File("File:gone.jpg", f"{web.url}/gone.jpg"),
    ]
    own = open_study(study, web, FakeCommons(web, {"brush hair": files}))
    own.database().write(
        lambda s: s.add(Tombstone(kind="url", value=f"{web.url}/gone.jpg", reason="asked", created=0.0))
    )
    search(own, class_file)
    outcome = {asset["title"]: (asset["state"], asset["error"]) for asset in assets(own)}
    assert outcome == {
        "ok": ("waiting", None), "small": ("refused", "too-small"), "ftp": ("refused", "bad-url"),
        "secret": ("refused", "bad-url"), "file": ("refused", "bad-url"), "gone": ("refused", "taken-down"),
    }  # fmt: skip
    assert web.asked == ["/w/api.php"] * 2


def test_a_service_in_trouble_is_asked_again(study: Study, web: LocalWeb, class_file: Path) -> None:
    class_file.write_text("brush hair\n")
    commons = FakeCommons(web, {"brush hair": photos(web, "brush", 2)})
    commons.moods = [status(500), error("internal_api_error")]
    own = open_study(study, web, commons)
    top_up, _ = plan_crawl(own, class_file)
    own.database().write(top_up)
    for _ in range(3):
        work(own, "discover")
        hurry(own)
    assert len(commons.calls) == 3 and len(assets(own)) == 2


def test_a_query_is_given_up_after_its_tries_and_taken_up_by_the_next_crawl(
    study: Study, web: LocalWeb, class_file: Path
) -> None:
    class_file.write_text("brush hair\n")
    commons = FakeCommons(web, {"brush hair": photos(web, "brush", 2)})
    commons.moods = [error("internal_api_error")] * 3
    own = open_study(study, web, commons)
    top_up, _ = plan_crawl(own, class_file)
    for _ in range(6):
        own.database().write(top_up)
        work(own, "discover")
        hurry(own)
    (failed,) = jobs(own, "discover")
    assert (failed.state, failed.error, len(commons.calls)) == ("failed", "provider", 3)
    assert own.database().write(top_up) is False, "nothing more can come"
    search(own, class_file)
    assert len(assets(own)) == 2


def test_a_service_that_asks_for_a_pause_is_left_alone_by_all(study: Study, web: LocalWeb, class_file: Path) -> None:
    commons = FakeCommons(web, {})
    own = open_study(study, web, commons)
    top_up, _ = plan_crawl(own, class_file)
    own.database().write(top_up)
    commons.moods = [status(429, Retry_After="500")]
    work(own, "discover")
    assert len(commons.calls) == 1, "the other class's query waits too"
    row = own.database().read(lambda s: s.get(Host, web.site))
    assert row.not_before > row.next_start + 400 and row.streak_429 == 1
    assert {job.state for job in jobs(own, "discover")} == {"waiting"}


def test_a_service_with_nothing_left_answers_and_is_then_left_alone(
    study: Study, web: LocalWeb, class_file: Path
) -> None:
    service = FakeOpenverse(web, {"juggling balls": [image(n) for n in range(30)]})
    service.headers = {"X-RateLimit-Limit-anon_sustained": "200/day", "X-RateLimit-Available-anon_sustained": "0"}
    own = crawl_study(study, f"providers.openverse.endpoint={service.endpoint}", f"crawl.allow_hosts=['{web.site}']")
    top_up, _ = plan_crawl(own, class_file, provider="openverse")
    own.database().write(top_up)
    work(own, "discover")
    assert len(service.calls) == 1 and len(assets(own)) == 20, "what it gave is kept"
    row = own.database().read(lambda s: s.get(Host, web.site))
    assert 3500 < row.not_before - row.next_start < 3700
    assert {job.error for job in jobs(own, "discover")} == {None}
    service.headers = {}
    for _ in range(3):
        hurry(own)
        work(own, "discover")
    assert len(service.calls) == 3 and len(assets(own)) == 30


def test_calls_keep_the_pace_of_their_host(study: Study, web: LocalWeb, class_file: Path) -> None:
    commons = FakeCommons(web, {})
    own = open_study(study, web, commons, "crawl.host_rate=0.01")
    top_up, _ = plan_crawl(own, class_file)
    own.database().write(top_up)
    work(own, "discover")
    assert len(commons.calls) == 1, "the next may begin 100 s later"
    assert sorted(job.state for job in jobs(own, "discover")) == ["done", "waiting"]


def test_a_class_text_of_the_list_is_what_is_asked(study: Study, web: LocalWeb, tmp_path: Path) -> None:
    path = tmp_path / "camel.txt"
    path.write_text("HandstandPushups\n")
    commons = FakeCommons(web, {})
    own = open_study(study, web, commons)
    search(own, path, kinds=("image", "video"))
    asked = sorted(call["gsrsearch"] for call in commons.calls)
    assert asked == ["filetype:bitmap handstand pushups", "filetype:video handstand pushups"]
    exhausted = own.database().read(lambda s: s.scalars(select(Query.exhausted)).all())
    assert exhausted == [True, True]
