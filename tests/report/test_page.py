"""The page: self-contained, safe whatever the web said, and whole at every stage of a study."""

from __future__ import annotations

import base64
import hashlib
import html.parser
import io
import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from omnisrc.errors import UserError
from omnisrc.report.content import gather
from omnisrc.report.limits import Limits
from omnisrc.report.page import write_report
from omnisrc.study import Study
from tests.report import studies

VOID = {"meta", "br", "img"}


class Reader(html.parser.HTMLParser):
    """Collects tags with their attributes and the text between them, and sees that tags are closed."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes another tag"

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] != "style":
            self.text += data


def read(page: Path) -> Reader:
    reader = Reader()
    reader.feed(page.read_text(encoding="utf-8"))
    assert reader.open == []
    return reader


@pytest.fixture(scope="module")
def whole(trained: tuple[Study, studies.Built], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(trained[0], tmp_path_factory.mktemp("page") / "report.html")


def test_the_page_runs_nothing_and_loads_nothing(whole: Path) -> None:
    reader = read(whole)
    assert {tag for tag, _ in reader.tags}.isdisjoint({"script", "iframe", "object", "embed", "form", "link", "base"})
    for tag, attributes in reader.tags:
        assert not any(name.startswith("on") or name in ("style", "srcset", "xlink:href") for name in attributes), tag
        for name in ("src", "href"):
            value = attributes.get(name)
            if value is None:
                continue
            if tag == "img":
                assert value.startswith(("data:image/jpeg;base64,", "data:image/png;base64,"))
            else:
                assert tag == "a" and value.startswith(("https://", "http://", "#"))
    assert "url(" not in whole.read_text() and "@import" not in whole.read_text()


def test_a_browser_is_told_so_too(whole: Path) -> None:
    reader = read(whole)
    [policy] = [a["content"] for tag, a in reader.tags if a.get("http-equiv") == "Content-Security-Policy"]
    style = re.search(r"<style>(.*?)</style>", whole.read_text(), re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert f"style-src 'sha256-{digest}'" in policy and "unsafe" not in policy


def test_links_out_tell_their_site_nothing(whole: Path) -> None:
    out = [a for tag, a in read(whole).tags if tag == "a" and not a["href"].startswith("#")]
    assert len(out) > 5
    for attributes in out:
        assert {"noopener", "noreferrer"} <= set(attributes["rel"].split())


def test_what_the_web_said_is_shown_as_text(whole: Path) -> None:
    reader = read(whole)
    assert studies.HOSTILE in reader.text and studies.HOSTILE_AUTHOR in reader.text and "<b>CC</b>" in reader.text
    assert not any("javascript" in (a.get("href") or "") for _, a in reader.tags)
    assert not any("169.254" in (a.get("href") or "") for _, a in reader.tags)
    assert "http://169.254.169.254/latest/meta-data" in reader.text


def test_anchors_lead_somewhere(whole: Path) -> None:
    tags = read(whole).tags
    ids = {a["id"] for _, a in tags if "id" in a}
    wanted = {a["href"][1:] for tag, a in tags if tag == "a" and a["href"].startswith("#")}
    assert wanted == ids == {
        "accuracy", "funnel", "failures", "licences", "target", "selection", "examples", "copies", "training",
        "confusion",
    }  # fmt: skip


def test_the_whole_study_is_there(whole: Path) -> None:
    text = " ".join(read(whole).text.split())
    for piece in (
        "76.5 %", "+15.5", "+11.0", "2 of 2 seeds", "http-4xx", "no derivatives", "slowonly_r50", "min_probability",
        "planted_leaks.caught", "Images are judged by replication.", "near-duplicate", "mix-s1, 400 steps",
    ):  # fmt: skip
        assert piece in text, piece
    pictures = [a["src"] for tag, a in read(whole).tags if tag == "img"]
    assert len(pictures) >= 16
    for uri in pictures:
        Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))).load()
    assert whole.stat().st_size < 500_000


def test_a_study_of_every_stage_has_a_page_that_says_what_is_missing(any_study: Study) -> None:
    def text() -> str:
        page = write_report(any_study, limits=Limits(examples=0, pairs=0))
        return " ".join(read(page).text.split())

    assert write_report(any_study) == any_study.reports / "report.html"
    for command in ("omnisrc target add PATH --format NAME", "omnisrc crawl --classes NAME", "omnisrc train"):
        assert command in text()
    built = studies.filtered(any_study)
    said = text()
    assert "Nothing was trained: omnisrc train --mix web,target" in said and "omnisrc crawl --classes" not in said
    studies.add_run(any_study, "mix-s0", {"target": 2.0, "web-image": 1.0}, 40, 0, 0.5, selection=built.selection)
    assert "omnisrc train --mix target --model tsn_r18 --steps 40" in text()
    studies.add_run(any_study, "half", {"target": 1.0}, 40, 0, 0.5, state="stopped")
    assert "omnisrc train --resume --name half" in text()


def test_a_crawl_alone_has_its_page(study: Study) -> None:
    studies.crawled(study)
    text = " ".join(read(write_report(study)).text.split())
    assert "No teacher has judged the web data: omnisrc filter --teacher NAME" in text
    assert "Funnel" in text and "Selection" not in text


def test_pictures_that_are_gone_leave_a_word_in_their_place(study: Study) -> None:
    studies.filtered(study)
    for folder in ("landing", "curated", "target"):
        for file in (study.root / folder).glob("*.tar"):
            file.unlink()
    reader = read(write_report(study))
    assert not [a for tag, a in reader.tags if tag == "img"]
    assert "no picture: its shard was freed or cannot be read" in reader.text


def test_another_selection_can_be_shown_and_an_unknown_one_is_refused(study: Study) -> None:
    studies.filtered(study)
    assert gather(study, "default", Limits()).selection is not None
    with pytest.raises(UserError, match=r"There is no selection 'defautl'.*default"):
        gather(study, "defautl", Limits())


def test_a_page_appears_whole_or_not_at_all(study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = write_report(study, tmp_path / "page.html")
    before = page.read_bytes()

    def fail(*_: Any) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError):
        write_report(study, page)
    assert page.read_bytes() == before and list(tmp_path.glob("page*")) == [page]
