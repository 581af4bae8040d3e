from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pyarrow as arrow
import pyarrow.parquet as parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omnisrc.crawl.providers.provider import Candidate, MediaWish, Page, Question
from omnisrc.crawl.providers.table import Table
from omnisrc.crawl.providers.table_rows import rows_from
from omnisrc.crawl.settings import ProviderSettings, TableSettings
from omnisrc.errors import ErrorClass, ItemError, UserError
from omnisrc.web.client import Client
from omnisrc.web.hosts import HostGate, Pace

BRUSH = Question("brush hair", "image", "brush_hair")


def table(path: Path | str, **given: object) -> Table:
    settings = ProviderSettings(table=TableSettings(str(path), **given))
    return Table(settings, MediaWish(), Client("x", HostGate(Pace(1))))


def all_pages(provider: Table, question: Question = BRUSH, limit: int = 2) -> list[Candidate]:
    found: list[Candidate] = []
    cursor: str | None = ""
    while cursor is not None:
        page: Page = asyncio.run(provider.find(question, cursor, limit))
        assert len(page.candidates) <= limit
        found += page.candidates
        cursor = page.next
    return found


def urls(provider: Table, question: Question = BRUSH, limit: int = 2) -> list[str]:
    return [found.url for found in all_pages(provider, question, limit)]


def test_rows_of_the_class_come_in_order_page_by_page(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(
        "url,class\nhttp://a/1.jpg,brush hair\nhttp://a/2.jpg,golf\nhttp://a/3.jpg,BrushHair\nhttp://a/4.jpg,brush_hair\n"
    )
    assert urls(table(path)) == ["http://a/1.jpg", "http://a/3.jpg", "http://a/4.jpg"]


def test_a_windows_file_with_commas_quotes_and_line_ends_in_cells(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(
        b'\xef\xbb\xbfurl,class,title\r\n"http://a/1,2.jpg",brush hair,"one\r\ntwo, ""three"""\r\n'
        b"http://a/3.jpg,brush hair\r\n\r\nhttp://a/4.jpg,brush hair,caf\xe9\r\n"
    )
    found = all_pages(table(path), limit=1)
    assert [f.url for f in found] == ["http://a/1,2.jpg", "http://a/3.jpg", "http://a/4.jpg"]
    assert found[0].title == 'one\r\ntwo, "three"' and found[1].title is None and found[2].title == "caf\ufffd"


def test_json_lines_and_tabs(tmp_path: Path) -> None:
    lines = tmp_path / "t.jsonl"
    rows = [{"url": f"http://a/{n}.jpg", "label": "brush hair", "width": 640, "height": None} for n in range(5)]
    lines.write_text("\n".join(map(json.dumps, rows)) + "\n\n")
    found = all_pages(table(lines))
    assert [f.url for f in found] == [row["url"] for row in rows] and (found[0].width, found[0].height) == (640, None)
    tabs = tmp_path / "t.tsv"
    tabs.write_text("url\tclass\nhttp://a/1.jpg\tbrush hair\n")
    assert urls(table(tabs)) == ["http://a/1.jpg"]


def test_laion_and_coyo_names_are_known_and_texts_match_by_words(tmp_path: Path) -> None:
    path = tmp_path / "laion.parquet"
    texts = ["Woman brushing her hair", "hair brushes on sale", "Hairdresser", "How to BRUSH long hair", None]
    columns = {
        "URL": [f"http://a/{n}.jpg" for n in range(5)], "TEXT": texts, "WIDTH": [640] * 5, "HEIGHT": [480] * 5,
        "LICENSE": ["?", "?", "?", "CC BY 2.0", "?"], "NSFW": ["UNLIKELY"] * 5, "similarity": [0.3] * 5,
    }  # fmt: skip
    parquet.write_table(arrow.table(columns), path, row_group_size=2)
    found = all_pages(table(path), limit=1)
    assert [f.url for f in found] == ["http://a/0.jpg", "http://a/1.jpg", "http://a/3.jpg"]
    assert (found[0].title, found[0].width, found[0].license) == ("Woman brushing her hair", 640, None)
    assert found[2].license == "CC BY 2.0"


def test_webvid_names_are_known(tmp_path: Path) -> None:
    path = tmp_path / "webvid.csv"
    path.write_text(
        "videoid,contentUrl,duration,page_dir,name\n"
        "1066,https://ak.example/videos/1066/preview/x.mp4,PT00H01M32S,006001_006050,Girl brushes hair at home\n"
        "1067,https://ak.example/videos/1067/preview/y.mp4,PT00H00M08S,006001_006050,Aerial shot\n"
    )
    (found,) = all_pages(table(path), Question("brushing hair", "video", "brushing hair"))
    assert (found.kind, found.duration, found.title) == ("video", 92.0, "Girl brushes hair at home")
    assert all_pages(table(path), Question("brushing hair", "image", "brushing hair")) == []


def test_the_kind_is_told_by_the_setting_the_row_or_the_suffix(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(
        "url,class,kind\nhttp://a/1.mp4?x=1,brush hair,\nhttp://a/2,brush hair,video\nhttp://a/3,brush hair,\n"
    )
    video = Question("brush hair", "video", "brush hair")
    assert urls(table(path), video) == ["http://a/1.mp4?x=1", "http://a/2"]
    assert urls(table(path)) == ["http://a/3"]
    assert len(urls(table(path, kind="video"), video)) == 3


def test_columns_can_be_mapped(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("address,what,url\nhttp://a/1.jpg,brush hair,wrong\n")
    assert urls(table(path, columns={"url": "address", "class": "what"})) == ["http://a/1.jpg"]


def test_several_tables_are_one(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"{number}.csv").write_text(f"url,class\nhttp://a/{number}.jpg,brush hair\n" * (1 + number))
    assert len(urls(table(tmp_path / "*.csv"), limit=1)) >= 3


@pytest.mark.parametrize(
    ("text", "given", "words"),
    [
        ("link_to,class\n", {}, "no column of URLs"),
        ("url,width\n", {}, "neither classes nor texts"),
        ("url,class\n", {"columns": {"url": "adress"}}, "no column 'adress'"),
        ("url,class\n", {"columns": {"ulr": "url"}}, "Did you mean url"),
        ("", {}, "no column of URLs"),
    ],
)
def test_a_table_that_does_not_do_is_refused_with_a_sentence(
    tmp_path: Path, text: str, given: dict, words: str
) -> None:
    path = tmp_path / "t.csv"
    path.write_text(text)
    with pytest.raises(UserError, match=words):
        table(path, **given)


def test_a_table_that_is_not_there_or_not_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="There is no table"):
        table(tmp_path / "none.csv")
    with pytest.raises(UserError, match=r"providers\.table\.path"):
        table("")


def test_a_broken_line_names_its_place(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text('{"url": "http://a/1.jpg", "class": "golf"}\n{"url": \n')
    with pytest.raises(ItemError, match=r"t\.jsonl, before byte") as caught:
        urls(table(path))
    assert caught.value.error is ErrorClass.PROVIDER


cells = st.text(st.characters(codec="utf-8", exclude_characters="\x00\r"), max_size=12)


@given(st.lists(st.tuples(cells, cells), max_size=12))
def test_reading_from_any_place_gives_the_rows_after_it(tmp_path_factory, rows: list[tuple[str, str]]) -> None:
    import csv

    path = tmp_path_factory.mktemp("rows") / "t.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["url", "class"])
        writer.writerows(rows)
    read = list(rows_from(path, 0))
    assert [(row["url"], row["class"]) for row, _ in read] == rows
    for at, (_, place) in enumerate(read):
        assert [row for row, _ in rows_from(path, place)] == [row for row, _ in read[at + 1 :]]
