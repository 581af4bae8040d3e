import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omnisrc.data.transforms import (
    Box,
    centre_crop,
    crop_resize,
    five_crop,
    multi_scale_crop,
    random_resized_crop,
    three_crop,
)

sides = st.integers(1, 700)


@given(sides, sides, st.integers(0, 999), st.sampled_from([random_resized_crop, multi_scale_crop]))
def test_random_boxes_lie_inside_the_frame(width, height, seed, crop):
    x, y, w, h = crop(width, height, np.random.default_rng(seed))
    assert w >= 1 and h >= 1 and 0 <= x <= width - w and 0 <= y <= height - h


def test_random_resized_crop_covers_the_asked_areas_and_ratios():
    rng = np.random.default_rng(0)
    boxes = [random_resized_crop(1000, 1000, rng) for _ in range(4000)]
    areas = np.array([b.width * b.height / 1e6 for b in boxes])
    ratios = np.array([b.width / b.height for b in boxes])
    assert areas.min() >= 0.079 and areas.max() <= 1.001
    assert ratios.min() >= 0.74 and ratios.max() <= 1.35
    # Uniform areas but for the large ones that do not fit at an odd ratio: the mean of those kept is below 0.54.
    assert 0.45 < areas.mean() < 0.54
    assert abs(np.log(ratios).mean()) < 0.01


def test_random_resized_crop_of_a_strip_falls_back_to_the_centre():
    assert random_resized_crop(1000, 10, np.random.default_rng(0), area=(0.9, 1.0)) == Box(493, 0, 13, 10)


def test_multi_scale_crop_has_tsn_sides_and_places():
    rng = np.random.default_rng(0)
    boxes = {multi_scale_crop(340, 256, rng) for _ in range(3000)}
    sides = [256, 224, 168, 168]  # of int(256 * (1, .875, .75, .66)): 256, 224, 192, 168
    sides[2] = 192
    pairs = {(sides[j], sides[i]) for i in range(4) for j in range(4) if abs(i - j) <= 1}
    assert {(b.width, b.height) for b in boxes} == pairs
    assert {(b.x, b.y) for b in boxes if (b.width, b.height) == (224, 224)} == {
        (0, 0), (116, 0), (0, 32), (116, 32), (58, 16)
    }  # fmt: skip


def test_three_crop_is_mmaction2s():
    # ThreeCrop(256) on 340 x 256: offsets 0, 2 * 42, 42 along the width.
    assert three_crop(340, 256) == [Box(0, 0, 256, 256), Box(84, 0, 256, 256), Box(42, 0, 256, 256)]
    assert three_crop(256, 340) == [Box(0, 0, 256, 256), Box(0, 84, 256, 256), Box(0, 42, 256, 256)]


def test_five_crop_and_centre_crop_are_mmaction2s():
    boxes = five_crop(340, 256, 224 / 256)
    assert [(b.x, b.y) for b in boxes] == [(0, 0), (116, 0), (0, 32), (116, 32), (58, 16)]
    assert {(b.width, b.height) for b in boxes} == {(224, 224)}
    assert centre_crop(340, 256, 224 / 256) == Box(58, 16, 224, 224)


@given(sides, sides)
def test_fixed_boxes_lie_inside_any_frame(width, height):
    for x, y, w, h in [centre_crop(width, height, 0.875), *three_crop(width, height), *five_crop(width, height, 0.875)]:
        assert w >= 1 and h >= 1 and 0 <= x <= width - w and 0 <= y <= height - h


def test_crop_resize_of_the_same_size_is_a_cut():
    frames = np.random.default_rng(0).integers(0, 256, (3, 20, 30, 3), dtype=np.uint8)
    out = np.empty((3, 8, 8, 3), np.uint8)
    crop_resize(frames, Box(5, 7, 8, 8), out)
    assert (out == frames[:, 7:15, 5:13]).all()


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_crop_resize_by_a_whole_factor_averages(factor):
    frames = np.random.default_rng(0).integers(0, 256, (2, 8 * factor, 8 * factor, 3), dtype=np.uint8)
    out = np.empty((2, 8, 8, 3), np.uint8)
    crop_resize(frames, Box(0, 0, 8 * factor, 8 * factor), out)
    mean = frames.reshape(2, 8, factor, 8, factor, 3).mean((2, 4))
    assert np.abs(out - mean).max() <= 0.5 + 1e-6


def test_crop_resize_keeps_a_gradient():
    ramp = np.broadcast_to(np.arange(0, 200, 2, dtype=np.uint8)[None, None, :, None], (1, 100, 100, 3))
    out = np.empty((1, 64, 64, 3), np.uint8)
    crop_resize(np.ascontiguousarray(ramp), Box(10, 0, 80, 80), out)
    wanted = 2 * (10 + (np.arange(64) + 0.5) * 80 / 64 - 0.5)
    assert np.abs(out[0, 5, :, 1] - wanted).max() <= 1
