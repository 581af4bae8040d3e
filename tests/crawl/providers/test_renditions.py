from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omnisrc.crawl.providers.renditions import NEAR, STEPS, asked_width, derivative, thumbnail

URL = "https://upload.wikimedia.org/wikipedia/commons/a/ab/X.jpg"


def info(width: int, height: int, asked: int) -> dict[str, object]:
    thumb = f"https://upload.wikimedia.org/wikipedia/commons/thumb/a/ab/X.jpg/{asked}px-X.jpg"
    if asked >= width:
        return {"url": URL, "width": width, "height": height, "thumburl": URL, "thumbwidth": width}
    return {"url": URL, "width": width, "height": height, "thumburl": thumb, "thumbwidth": asked}


@pytest.mark.parametrize(("short_side", "width"), [(320, 500), (256, 330), (480, 960), (100, 250), (5000, 3840)])
def test_the_width_to_ask_for_is_a_standard_step(short_side: int, width: int) -> None:
    assert asked_width(short_side) == width


@pytest.mark.parametrize(
    ("size", "step"),
    [((4000, 3000), 500), ((3000, 4000), 330), ((6000, 3375), 500), ((9000, 2000), 1280), ((1000, 999), 330)],
)
def test_the_step_fits_the_shape_of_the_picture(size: tuple[int, int], step: int) -> None:
    assert f"/{step}px-X.jpg" in thumbnail(info(*size, 500), 320)


@pytest.mark.parametrize("size", [(300, 200), (500, 375), (330, 400), (499, 3000), (40, 40)])
def test_a_picture_no_larger_than_the_step_is_fetched_as_it_is(size: tuple[int, int]) -> None:
    assert thumbnail(info(*size, 500), 320) == URL or ("/330px-" in thumbnail(info(*size, 500), 320) and size[0] > 330)


@given(st.integers(1, 20000), st.integers(1, 20000), st.sampled_from([128, 256, 320, 480]))
def test_a_thumbnail_is_near_enough_of_a_standard_width_and_below_the_original(w: int, h: int, short_side: int) -> None:
    chosen = thumbnail(info(w, h, asked_width(short_side)), short_side)
    if chosen == URL:
        return
    step = int(chosen.rpartition("/")[2].partition("px-")[0])
    assert step in STEPS and step < w
    assert min(step, step * h / w) >= NEAR * short_side - 1 or min(w, h) < short_side


def test_without_sizes_or_thumbnails_there_is_what_there_is() -> None:
    assert thumbnail({"url": URL}, 320) == URL
    assert thumbnail({"url": URL, "width": 4000, "height": 3000}, 320) == URL


def test_a_thumbnail_url_of_another_shape_is_left_as_it_is() -> None:
    given_url = "http://mirror.example/thumb/500/X.jpg"
    said = {"url": URL, "width": 9000, "height": 2000, "thumburl": given_url, "thumbwidth": 500}
    assert thumbnail(said, 320) == given_url


def test_no_version_of_a_video_is_large_enough() -> None:
    assert (
        derivative([{"src": "a", "type": "video/webm", "width": 320, "height": 180, "transcodekey": "k"}], 256) is None
    )
    assert derivative([{"src": "a", "type": "audio/ogg", "transcodekey": "k"}], 0) is None
    assert derivative([], 256) is None


def test_a_turned_video_counts_by_its_short_side() -> None:
    versions = [{"src": "tall", "type": "video/webm", "width": 360, "height": 640, "transcodekey": "k"}]
    assert derivative(versions, 256) == "tall"
