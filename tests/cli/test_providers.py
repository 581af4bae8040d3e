"""`omnisrc providers`, and what a crawl says of providers that it may not use."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from omnisrc.cli import main
from omnisrc.crawl.providers import checking
from omnisrc.crawl.providers.registry import PROVIDERS
from tests.crawl.fake_commons import FakeCommons, status
from tests.crawl.fake_flickr import KEY as FLICKR_KEY
from tests.crawl.fake_flickr import FakeFlickr
from tests.crawl.fake_pexels import KEY as PEXELS_KEY
from tests.crawl.fake_pexels import FakePexels
from tests.crawl.fake_pixabay import KEY as PIXABAY_KEY
from tests.crawl.fake_pixabay import FakePixabay
from tests.crawl.fake_youtube import KEY as YOUTUBE_KEY
from tests.crawl.fake_youtube import Clip, FakeYoutube
from tests.local_web import LocalWeb

KEYS = {"FLICKR": FLICKR_KEY, "YOUTUBE": YOUTUBE_KEY, "PEXELS": PEXELS_KEY, "PIXABAY": PIXABAY_KEY}
KEYED = ["flickr", "youtube", "pexels", "pixabay"]


@pytest.fixture
def web() -> Iterator[LocalWeb]:
    with LocalWeb() as served:
        yield served


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in KEYS:
        monkeypatch.delenv(f"OMNISRC_{name}_KEY", raising=False)


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, key in KEYS.items():
        monkeypatch.setenv(f"OMNISRC_{name}_KEY", key)


@pytest.fixture
def services(web: LocalWeb) -> dict[str, Any]:
    return {
        "commons": FakeCommons(web), "flickr": FakeFlickr(web), "youtube": FakeYoutube(web),
        "pexels": FakePexels(web), "pixabay": FakePixabay(web),
    }  # fmt: skip


def options(tmp_path: Path, web: LocalWeb, services: dict[str, Any]) -> list[str]:
    sets = [f"crawl.allow_hosts=['{web.site}']"]
    sets += [f"providers.{name}.endpoint={service.endpoint}" for name, service in services.items()]
    sets += [f"providers.{name}.permission=letter of 2026-03-04" for name in ("pexels", "pixabay")]
    return ["--workspace", str(tmp_path / "study"), *(part for text in sets for part in ("--set", text))]


def sentence(capsys: pytest.CaptureFixture[str]) -> str:
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("omnisrc:")]
    return line


def test_the_list_tells_media_keys_gates_limits_and_terms(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMNISRC_FLICKR_KEY", FLICKR_KEY)
    arguments = ["providers", "list", "--workspace", str(tmp_path / "study")]
    assert main.run([*arguments, "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)["providers"]}
    assert list(rows) == list(PROVIDERS)
    assert (rows["flickr"]["key"], rows["flickr"]["key_there"]) == ("OMNISRC_FLICKR_KEY", True)
    assert (rows["pexels"]["key_there"], rows["pexels"]["gate_open"]) == (False, False)
    assert rows["youtube"]["crawls"] is False and "100 calls a day" in rows["youtube"]["limits"]
    assert (rows["commons"]["key"], rows["folder"]["kinds"]) == (None, ["image", "video"])
    assert main.run([*arguments, "--set", "providers.pexels.permission=letter of 2026-03-04"]) == 0
    out = capsys.readouterr().out
    assert "OMNISRC_FLICKR_KEY: there" in out and "OMNISRC_PIXABAY_KEY: missing" in out
    assert "providers.pexels.permission: given" in out and "providers.pixabay.permission: not given" in out
    assert FLICKR_KEY not in out and not (tmp_path / "study").exists()


@pytest.mark.usefixtures("keys")
def test_a_check_makes_one_call_of_each_configured_provider(
    tmp_path: Path, web: LocalWeb, services: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        main.run(
            ["providers", "check", "commons,flickr,youtube,pexels,pixabay", "--json", *options(tmp_path, web, services)]
        )
        == 0
    )
    out = capsys.readouterr().out
    answer = json.loads(out)
    found = {row["name"]: row for row in answer["providers"]}
    assert all(row["reachable"] and not row["failed"] for row in found.values()) and answer["failed"] == []
    assert [found[name]["key_accepted"] for name in ("commons", *KEYED)] == [None, True, True, True, True]
    assert [found[name]["quota"] for name in ("flickr", "pexels", "pixabay")] == [
        None, "19999 of 20000 calls left", "99 of 100 calls left",
    ]  # fmt: skip
    assert len(web.asked) == 5 and not any(key in out for key in KEYS.values())
    assert not (tmp_path / "study").exists()


def test_without_names_those_that_lack_something_are_named_and_do_not_fail(
    tmp_path: Path,
    web: LocalWeb,
    services: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(checking, "PROVIDERS", {name: "" for name in ("commons", "table", "folder", *KEYED)})
    table = tmp_path / "t.csv"
    table.write_text("url,class\n")
    given = [*options(tmp_path, web, services), "--set", f"providers.table.path={table}"]
    assert main.run(["providers", "check", "--json", *given]) == 0
    found = {row["name"]: row for row in json.loads(capsys.readouterr().out)["providers"]}
    assert {name for name, row in found.items() if row["configured"]} == {"commons", "table"}
    assert (found["commons"]["reachable"], found["table"]["reachable"]) == (True, None)
    assert "OMNISRC_FLICKR_KEY" in found["flickr"]["problem"] and not found["flickr"]["failed"]
    assert len(web.asked) == 1
    assert main.run(["providers", "check", *given]) == 0
    assert "OMNISRC_FLICKR_KEY" in capsys.readouterr().out


@pytest.mark.usefixtures("keys")
def test_a_check_that_fails_says_why_and_exits_1(
    tmp_path: Path,
    web: LocalWeb,
    services: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OMNISRC_FLICKR_KEY", "not-the-right-key")
    services["pixabay"].left = 0
    services["commons"].moods = [status(500)]
    given = options(tmp_path, web, services)
    given += ["--set", "providers.youtube.endpoint=http://127.0.0.1:9/youtube/v3"]
    assert main.run(["providers", "check", "commons,flickr,youtube,pexels,pixabay", "--json", *given]) == 1
    out = capsys.readouterr().out
    answer = json.loads(out)
    found = {row["name"]: row for row in answer["providers"]}
    assert answer["failed"] == ["commons", "flickr", "youtube", "pixabay"]
    assert (found["flickr"]["reachable"], found["flickr"]["key_accepted"]) == (True, False)
    assert (found["youtube"]["reachable"], found["youtube"]["key_accepted"]) == (False, None)
    assert (found["pixabay"]["quota"], found["pixabay"]["pause_s"]) == ("none", 42.0) and "http-429" in found[
        "pixabay"
    ]["problem"]
    assert "http-5xx" in found["commons"]["problem"] and not found["pexels"]["failed"]
    assert "not-the-right-key" not in out


def test_find_shows_what_youtube_knows_and_stores_nothing(
    tmp_path: Path,
    web: LocalWeb,
    services: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OMNISRC_YOUTUBE_KEY", YOUTUBE_KEY)
    services["youtube"].found["brush hair"] = [Clip(f"v{n}") for n in range(30)]
    asking = ["providers", "find", "youtube", "brush hair", "--limit", "3", *options(tmp_path, web, services)]
    assert main.run([*asking, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["candidates"]
    assert [one["url"] for one in found] == [f"https://www.youtube.com/watch?v=v{n}" for n in range(3)]
    assert {(one["duration"], one["license"]) for one in found} == {(65.0, "CC BY 3.0")}
    assert main.run(asking) == 0 and "Clip v2" in capsys.readouterr().out
    assert not (tmp_path / "study").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["providers", "check", "flickr"], "OMNISRC_FLICKR_KEY"),
        (["providers", "check", "commons,pexels"], "providers.pexels.permission"),
        (["providers", "check", "flikr"], "Did you mean flickr"),
        (["providers", "find", "folder", "x"], "providers.folder.path"),
        (
            ["providers", "check", "youtube", "--set", "providers.youtube.key_file=/nowhere"],
            "providers.youtube.key_file",
        ),
        (["crawl", "--classes", "ucf101", "--provider", "youtube"], "providers find youtube"),
        (["crawl", "--classes", "ucf101", "--provider", "flickr"], "OMNISRC_FLICKR_KEY"),
        (["crawl", "--classes", "ucf101", "--provider", "pexels"], "providers.pexels.permission"),
        (["crawl", "--classes", "ucf101", "--provider", "pixabay", "--plan"], "providers.pixabay.permission"),
    ],
)
def test_what_a_provider_lacks_is_one_sentence_and_exit_code_2(
    tmp_path: Path, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.run([*arguments, "--workspace", str(tmp_path / "study")]) == 2
    assert words in sentence(capsys)


@pytest.mark.usefixtures("keys")
def test_mistakes_in_find_get_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for extra, words in ((["--media", "image"], "There are: video"), (["--limit", "0"], "--limit")):
        arguments = ["providers", "find", "youtube", "x", "--workspace", str(tmp_path / "study"), *extra]
        assert main.run(arguments) == 2 and words in sentence(capsys)


@pytest.mark.usefixtures("keys")
def test_an_impossible_crawl_is_refused_before_anything_is_written(
    tmp_path: Path, web: LocalWeb, services: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    crawling = [
        "crawl",
        "--classes",
        "ucf101",
        "--provider",
        "flickr",
        "--media",
        "image",
        *options(tmp_path, web, services),
    ]
    for plan in ([], ["--plan"]):
        assert main.run([*crawling, "--per-class", "5000", *plan]) == 2
        assert "4,000 (flickr)" in sentence(capsys)
        assert main.run([*crawling, "--per-class", "4000", "--set", "crawl.max_days=0.5", *plan]) == 2
        assert "crawl.max_days = 0.5" in sentence(capsys)
    assert web.asked == []
    assert main.run(["export", "assets", "--json", "--workspace", str(tmp_path / "study")]) == 0
    assert json.loads(capsys.readouterr().out)["rows"] == []
    assert main.run(["crawl", "--provider", "flickr", *options(tmp_path, web, services)]) == 2
    assert "no class list yet" in sentence(capsys)


def test_yt_dlp_says_what_it_lacks_and_that_its_terms_are_accepted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pages = tmp_path / "pages.txt"
    pages.write_text("ski\thttps://a.example/1\n")
    given = ["--workspace", str(tmp_path / "study"), "--set", f"providers.ytdlp.pages={pages}"]
    assert main.run(["providers", "check", "ytdlp", *given]) == 2
    assert "providers.ytdlp.accept_terms=true" in capsys.readouterr().err
    assert main.run(["providers", "list", *given]) == 0
    assert "needs providers.ytdlp.accept_terms: not given" in capsys.readouterr().out
    given += ["--set", "providers.ytdlp.accept_terms=true"]
    assert main.run(["providers", "list", *given]) == 0
    assert "needs providers.ytdlp.accept_terms: given" in capsys.readouterr().out
    assert main.run(["providers", "check", "ytdlp", "--json", *given]) == 0
    (row,) = json.loads(capsys.readouterr().out)["providers"]
    assert "JavaScript runtime" in row["note"] and not row["failed"]
