"""A crawl with a keyed provider: what it stores, and that the key is in none of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from aiohttp import web as aioweb
from sqlalchemy import select

from db.ledger import now
from db.models import Host
from omnisrc.cli import main
from omnisrc.engine.work import work_once
from omnisrc.errors import UserError, WorldError
from omnisrc.study import Study
from tests.crawl.fake_commons import FakeCommons, status
from tests.crawl.fake_flickr import KEY, FakeFlickr, Photo
from tests.crawl.studies import assets, crawl, crawl_study, hurry, jobs, plan_crawl, work
from tests.local_web import LocalWeb

Picture = Callable[..., bytes]


def serve(web: LocalWeb, picture: Picture, number: int) -> FakeFlickr:
    async def answer(request: aioweb.Request) -> aioweb.Response:
        return aioweb.Response(body=picture(int(request.path.strip("/").partition("_")[0])))

    photos = [Photo(n, 640, 480) for n in range(number)]
    web.routes.update({f"/{n}_o.jpg": answer for n in range(number)})
    return FakeFlickr(web, {"juggling balls": photos[::2], "brush hair": photos[1::2]})


def sets(web: LocalWeb, flickr: FakeFlickr) -> list[str]:
    return [
        f"providers.flickr.endpoint={flickr.endpoint}", f"crawl.allow_hosts=['{web.site}']",
        f'crawl.hosts."{web.site}".rate=0',
    ]  # fmt: skip


def test_a_crawl_of_flickr_stores_what_it_finds_and_the_key_nowhere(
    tmp_path: Path,
    web: LocalWeb,
    class_file: Path,
    picture: Picture,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("OMNISRC_FLICKR_KEY", KEY)
    flickr = serve(web, picture, 8)
    flickr.echo = True
    flickr.moods = [
        status(503, f"no: {KEY}"),
        lambda request: aioweb.json_response({"stat": "fail", "code": 2, "message": KEY}),
    ]
    workspace = tmp_path / "study"
    options = [part for text in sets(web, flickr) for part in ("--set", text)]
    options += ["--set", "media.guard_processes=1", "--workspace", str(workspace)]
    crawling = ["crawl", "--classes", str(class_file), "--provider", "flickr", "--media", "image", *options]
    assert main.run([*crawling, "--per-class", "4", "--json"]) == 0
    shown = capfd.readouterr()
    assert json.loads(shown.out)["assets"] == {"stored": 8}
    assert main.run(["export", "assets", "--workspace", str(workspace)]) == 0
    exported = capfd.readouterr().out
    rows = [json.loads(line) for line in exported.splitlines()]
    assert {(row["provider"], row["author"]) for row in rows} == {("flickr", "Owner ***")}
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(path.name == "catalog.db" for path in files) and any(path.suffix == ".log" for path in files)
    assert [path for path in files if KEY.encode() in path.read_bytes()] == []
    assert KEY not in shown.out + shown.err + exported
    assert all(call["api_key"] == KEY for call in flickr.calls)


def test_a_key_that_is_refused_ends_the_crawl_with_its_sentence(
    study: Study, web: LocalWeb, class_file: Path, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMNISRC_FLICKR_KEY", "not-the-right-key")
    flickr = serve(web, picture, 8)
    own = crawl_study(study, *sets(web, flickr))
    top_up, _ = plan_crawl(own, class_file, provider="flickr")
    with pytest.raises(UserError, match="did not accept the key in OMNISRC_FLICKR_KEY") as caught:
        crawl(own, top_up)
    assert len(flickr.calls) == 2, "each query was asked once, and not again"
    assert "not-the-right-key" not in str(caught.value)
    monkeypatch.setenv("OMNISRC_FLICKR_KEY", KEY)
    top_up, _ = plan_crawl(own, class_file, provider="flickr")
    crawl(own, top_up)
    assert {asset["state"] for asset in assets(own)} == {"stored"}


def test_a_key_that_is_refused_ends_the_crawl_of_a_provider_that_answers_too(
    study: Study, web: LocalWeb, tmp_path: Path, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMNISRC_FLICKR_KEY", "not-the-right-key")
    flickr, commons = serve(web, picture, 8), FakeCommons(web)
    classes = tmp_path / "many.txt"
    classes.write_text("".join(f"class {n}\n" for n in range(40)))
    own = crawl_study(study, *sets(web, flickr), f"providers.commons.endpoint={commons.endpoint}")
    top_up, _ = plan_crawl(own, classes, provider="commons,flickr")
    own.database().write(top_up)
    for _ in range(10):
        work_once(own, ["discover"])
    assert commons.calls and len(flickr.calls) >= 3
    with pytest.raises(UserError, match="OMNISRC_FLICKR_KEY"):
        own.database().write(top_up)
    top_up, _ = plan_crawl(own, classes, provider="commons")
    crawl(own, top_up)  # whom this crawl does not ask cannot end it


def test_a_long_pause_of_the_only_service_ends_the_crawl_and_the_next_one_goes_on(
    study: Study, web: LocalWeb, class_file: Path, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMNISRC_FLICKR_KEY", KEY)
    flickr = serve(web, picture, 8)
    flickr.moods = [status(429, "spent", Retry_After="7200")]
    own = crawl_study(study, *sets(web, flickr))
    top_up, _ = plan_crawl(own, class_file, provider="flickr")
    assert own.database().write(top_up)
    work(own)
    assert len(flickr.calls) == 1, "nobody asks again before the pause is over"
    with pytest.raises(WorldError, match=r"2 searches wait.*120 minutes"):
        own.database().write(top_up)
    hurry(own)
    top_up, _ = plan_crawl(own, class_file, provider="flickr")
    crawl(own, top_up)
    assert len(assets(own)) == 8 and {job.state for job in jobs(own, "discover")} == {"done"}


def test_a_services_own_limit_paces_the_calls(
    study: Study, web: LocalWeb, class_file: Path, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMNISRC_FLICKR_KEY", KEY)
    flickr = serve(web, picture, 8)
    own = crawl_study(study, *sets(web, flickr)[:2], "crawl.host_rate=1000")

    def next_start() -> float:
        row = own.database().read(lambda session: session.scalars(select(Host).where(Host.name == web.site)).one())
        return row.next_start

    top_up, _ = plan_crawl(own, class_file, provider="flickr")
    own.database().write(top_up)
    before = own.database().read(now)
    work(own, "discover")
    assert next_start() >= before + 2.0, "two calls at 3,600 an hour"
    hurry(own)
    flickr.found["brush hair"] = [Photo(100 + n, media="video", films=()) for n in range(2)]
    top_up, _ = plan_crawl(own, class_file, provider="flickr", kinds=("video",))
    own.database().write(top_up)
    before = own.database().read(now)
    work_once(own, ["discover"])
    work_once(own, ["discover"])
    assert len(flickr.calls) == 2 + 4 and next_start() >= before + 4.0, "a video's own call counts too"
