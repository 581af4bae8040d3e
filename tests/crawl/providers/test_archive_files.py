from __future__ import annotations

from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omnisrc.crawl.providers.archive_files import PLAYABLE, choose_file, is_safe, quoted
from omnisrc.crawl.providers.media_names import kind_of_suffix
from omnisrc.web.urls import parse_url
from tests.crawl.fake_archive import file


def derived(name: str, height: int | None, size: int, original: str = "film.avi", **said: object) -> dict:
    sides = {} if height is None else {"height": str(height), "width": str(height * 4 // 3)}
    return file(name, "derivative", original=original, size=str(size), **sides, **said)


FILM = file("film.avi", size="90000000", width="1440", height="1080", length="0:01:15")


def chosen(*entries: object, kind: str = "video", short_side: int = 256) -> str | None:
    found = choose_file(entries, kind, short_side)
    return found.name if found else None


def test_the_smallest_derivative_that_is_large_enough_is_chosen() -> None:
    small, mid, large = (
        derived("240.mp4", 240, 5_000_000),
        derived("360.mp4", 360, 9_000_000),
        derived("hd.mp4", 1080, 60),
    )
    assert chosen(FILM, small, mid, derived("480.ogv", 480, 12_000_000)) == "360.mp4"
    assert chosen(FILM, small) == "film.avi"
    assert chosen(FILM, small, mid, large) == "hd.mp4", "the smallest in bytes"
    assert chosen(small, mid, FILM) == "360.mp4", "whatever the order"


def test_a_derivative_whose_size_or_container_is_unknown_does_not_replace_the_original() -> None:
    assert chosen(FILM, derived("a.mp4", None, 5), derived("a.mpeg", 480, 5), derived("a.gif", 480, 5)) == "film.avi"


def test_an_original_that_is_smaller_than_its_derivatives_is_kept() -> None:
    original = file("a.mp4", size="1000", width="640", height="480")
    assert chosen(original, derived("a.ogv", 480, 2000, "a.mp4")) == "a.mp4"
    assert chosen(original, derived("a.ogv", 480, 900, "a.mp4")) == "a.ogv"


def test_a_disc_image_is_fetched_as_what_was_derived_from_it() -> None:
    disc = file("disc.iso", format="ISO Image", size="4000000000")
    low, high = derived("low.mp4", 120, 10, "disc.iso"), derived("high.mp4", 200, 20, "disc.iso")
    assert chosen(disc, low, high, derived("x.mp4", None, 5, "disc.iso")) == "high.mp4"
    assert chosen(disc) is None


def test_of_several_films_the_first_is_chosen_with_what_was_derived_from_it() -> None:
    other = file("other.avi", size="90000000", width="1440", height="1080")
    mine, chained = derived("film.mp4", 480, 9_000_000), derived("film.ogv", 480, 8_000_000, "film.mp4")
    foreign = derived("other.mp4", 480, 1_000_000, "other.avi")
    assert chosen(FILM, other, foreign, mine) == "film.mp4"
    assert chosen(FILM, other, foreign, mine, chained) == "film.ogv", "derived from what was derived"
    assert chosen(derived("lost.mp4", 480, 5, "none.avi"), FILM) == "film.avi", "one with an original comes first"


def test_stand_ins_and_what_is_withheld_are_no_media() -> None:
    thumb = file("film.thumbs/film_000001.jpg", "derivative", format="Thumbnail", size="9", width="640", height="480")
    tile = file("__ia_thumb.jpg", format="Item Tile", size="5000")
    small = file("a_thumb.jpg", "derivative", format="JPEG Thumb", original="a.jpg", size="9")
    photo = file("a.jpg", format="JPEG", size="2000000")
    assert chosen(tile, thumb, small, photo, kind="image", short_side=320) == "a.jpg"
    assert chosen(tile, thumb, small, kind="image", short_side=320) is None
    assert chosen(file("a.mp4", private="true")) is None and chosen(file("a.mp4", "metadata")) is None


def test_an_image_is_fetched_as_its_smallest_version_that_is_large_enough() -> None:
    scan = file("a.tif", format="TIFF", size="90000000", width="6000", height="4000")
    entries = (scan, derived("a.jpg", 4000, 900_000, "a.tif"), derived("a_small.jpg", 400, 50_000, "a.tif"))
    assert chosen(*entries, kind="image", short_side=320) == "a_small.jpg"
    assert chosen(*entries, kind="image", short_side=500) == "a.jpg"
    assert chosen(*entries) is None


def test_what_the_archive_writes_as_text_is_read_as_numbers() -> None:
    found = choose_file([FILM], "video", 2000)
    assert found is not None
    assert (found.bytes, found.width, found.height, found.duration, found.sha1) == (
        90000000,
        1440,
        1080,
        75.0,
        "a" * 40,
    )


def test_entries_that_are_broken_are_left_out() -> None:
    loop = derived("b.mp4", 480, 5, "c.mp4"), derived("c.mp4", 480, 6, "b.mp4")
    assert chosen(None, "x", {}, {"name": 5}, {"name": "a.txt"}, file("a.mp4", sha1=7, size=[], width={})) == "a.mp4"
    assert chosen(*loop) in ("b.mp4", "c.mp4")
    assert chosen() is None


NAMES = [
    "film.mp4",
    "A b/C d.mp4",
    "ä ö.mp4",
    "50%.mp4",
    "a?b#c.mp4",
    "a&b=c;d.mp4",
    "..film.mp4",
    "a..b.mp4",
    "日本/é.mp4",
]
EVIL = [
    "../../etc/passwd.mp4", "a/../b.mp4", "/etc/a.mp4", "a//b.mp4", "./a.mp4", "a/./b.mp4", "..", "", "a\\..\\b.mp4",
    "%2e%2e/a.mp4", "a/%2E%2E%2Fb.mp4", "a\n.mp4", "a\x00.mp4", "\ud800.mp4", "%5c..%5ca.mp4", "a" * 2000 + ".mp4",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_an_odd_name_is_quoted_so_that_it_comes_back(name: str) -> None:
    path = urlsplit(str(parse_url("https://archive.org/download/it/" + quoted(name)))).path
    assert unquote(path) == "/download/it/" + name and chosen(file(name)) == name


@pytest.mark.parametrize("name", EVIL)
def test_a_name_that_leaves_its_item_is_refused(name: str) -> None:
    assert not is_safe(name) and chosen(file(name), file("ok.mp4")) == "ok.mp4"


@given(st.text(st.characters() | st.sampled_from("./\\%2eE5cC"), max_size=30))
def test_every_safe_name_stays_below_its_item(name: str) -> None:
    if not is_safe(name):
        return
    target = parse_url("https://archive.org/download/it/" + quoted(name))
    raw = target.url.raw_path
    assert raw == "/download/it/" + quoted(name) and unquote(raw) == "/download/it/" + name
    assert not {"", ".", ".."} & set(unquote(unquote(raw)).split("/")[1:])
    assert target.host == "archive.org" and not target.url.query_string


TEXTS = st.none() | st.text(max_size=5) | st.integers(-5, 3000).map(str) | st.integers(-5, 3000)
ENTRIES = st.lists(
    st.fixed_dictionaries(
        {
            "name": st.builds(
                "{}.{}".format, st.text(max_size=6), st.sampled_from(["mp4", "avi", "jpg", "iso", "png"])
            ),
            "source": st.sampled_from(["original", "derivative", "metadata", None]),
        },
        optional={key: TEXTS for key in ("original", "size", "width", "height", "length", "format", "private")},
    ),
    max_size=12,
)


@given(ENTRIES, st.sampled_from(["video", "image"]), st.integers(1, 1000))
def test_the_choice_is_of_the_kind_and_as_large_as_was_wanted_where_it_is_derived(
    entries: list[dict], kind: str, short_side: int
) -> None:
    found = choose_file(entries, kind, short_side)
    listed = {entry["name"]: entry for entry in entries}
    if found is None:
        return
    entry = listed[found.name]
    assert kind_of_suffix(found.suffix) == kind and is_safe(found.name) and entry["source"] != "metadata"
    if not found.original:
        assert found.suffix in PLAYABLE[kind]
        originals = {e["name"] for e in listed.values() if e["source"] == "original"}
        if entry.get("original") in originals and kind_of_suffix("." + entry["original"].rpartition(".")[2]) == kind:
            assert (
                found.short_side >= short_side
                or listed[entry["original"]].get("private")
                or not is_safe(entry["original"])
            )
