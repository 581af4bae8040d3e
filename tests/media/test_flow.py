import io
import zipfile

import numpy as np
import pytest

from omnisrc.errors import ErrorClass, ItemError
from omnisrc.media.flow import (
    OPENCV_METHODS,
    PackedFlow,
    decode_levels,
    dequantise,
    encode_levels,
    estimator,
    flow_chunk,
    is_there,
    pack_flow,
    quantise,
)
from omnisrc.media.guard import GuardPool
from tests.flow.moving_world import ground, moving
from tests.media_files import video_bytes

HOW = {"method": "dis", "bound": 20.0, "short_side": 256, "form": "jpeg", "quality": 95}
ERROR = {"dis": 0.03, "tvl1": 0.02, "farneback": 0.05}  # pixels


@pytest.mark.parametrize("method", [method for method in OPENCV_METHODS if is_there(method)])
def test_a_translation_is_found_to_a_fraction_of_a_pixel(method):
    wide = ground(360, 280, 0)[..., 0]
    one, two = wide[20:260, 20:340], wide[17:257, 15:335]  # what was at (x, y) is at (x + 5, y + 3)
    field = estimator(method)(one, two)
    assert field.shape == (240, 320, 2) and field.dtype == np.float32
    inside = field[20:-20, 20:-20]
    assert np.hypot(inside[..., 0] - 5, inside[..., 1] - 3).mean() < ERROR[method]
    levels = quantise(field)[120, 160]
    assert levels.tolist() == [159, 146]


def test_quantisation_has_the_published_levels():
    values = np.array([0.0, 5.0, -5.0, 0.1, 20.0, -20.0, 25.0, -300.0], np.float32)
    assert quantise(values).tolist() == [127, 159, 95, 128, 255, 0, 255, 0]
    assert quantise(values[:3], bound=10.0).tolist() == [127, 191, 63]


def test_quantisation_is_the_rule_in_exact_arithmetic_and_loses_half_a_step():
    rng = np.random.default_rng(0)
    values = rng.uniform(-20, 20, 20_000).astype(np.float32)
    exact = np.floor((values.astype(np.float64) + 20) * 255 / 40).astype(np.uint8)
    assert np.mean(quantise(values) != exact) < 1e-3 and np.abs(quantise(values).astype(int) - exact).max() <= 1
    assert np.abs(dequantise(quantise(values)) - values).max() <= 40 / 255 / 2 + 1e-4


def test_jpeg_costs_little_and_png_nothing():
    frames = [frame[..., 1] for frame in moving((5, 3), 4, 2, side=128)]
    field = estimator("dis")(*frames)
    levels = quantise(field)
    exact, lossy = (decode_levels(*encode_levels(levels, form, 95)) for form in ("png", "jpeg"))
    assert np.array_equal(exact, levels)
    error = [float(np.sqrt(np.mean((dequantise(found) - np.clip(field, -20, 20)) ** 2))) for found in (exact, lossy)]
    assert error[0] < 0.05 and error[1] < 0.08


def test_packed_flow_is_a_plain_zip_of_images_that_any_tool_opens():
    levels = [quantise(np.full((6, 8, 2), value, np.float32)) for value in (0.0, 5.0, -5.0)]
    images = [image for field in levels for image in encode_levels(field, "png")]
    data = pack_flow(images, {"fps": 25.0, "method": "dis"}, "png")
    assert data == pack_flow(images, {"method": "dis", "fps": 25.0}, "png")
    names = zipfile.ZipFile(io.BytesIO(data)).namelist()
    assert names == ["x_00001.png", "y_00001.png", "x_00002.png", "y_00002.png", "x_00003.png", "y_00003.png"]
    packed = PackedFlow(data)
    assert len(packed) == 3 and packed.about == {"fps": 25.0, "method": "dis"}
    assert [int(field[0, 0, 0]) for field in packed.fields([2, 0])] == [95, 127]
    for broken in (data[: len(data) // 2], b"", b"text" * 100):
        with pytest.raises(ItemError) as failed:
            PackedFlow(broken)
        assert failed.value.error is ErrorClass.DECODE


@pytest.mark.parametrize(("step", "signs"), [((2, 0), (1, 0)), ((0, -2), (0, -1))])
def test_a_video_that_moves_gives_flow_in_its_direction(step, signs):
    data = video_bytes(moving(step, 3, 6), options={"crf": "10"})
    chunk = flow_chunk(data, (0.0, 0.0), 0, 100, **HOW)
    assert (chunk.frames, chunk.width, chunk.height, len(chunk.images)) == (6, 64, 64, 10)
    assert chunk.fps == pytest.approx(25)
    for x, y in zip(chunk.images[::2], chunk.images[1::2], strict=True):
        middle = dequantise(decode_levels(x, y))[16:-16, 16:-16].mean((0, 1))
        assert middle == pytest.approx([2 * sign for sign in signs], abs=0.2)


def test_chunks_windows_and_the_guard_give_the_same_fields():
    data = video_bytes(moving((2, 1), 5, 9))
    whole = flow_chunk(data, (0.0, 0.0), 0, 100, **HOW).images
    parts = [flow_chunk(data, (0.0, 0.0), first, 3, **HOW).images for first in (0, 3, 6)]
    assert [image for part in parts for image in part] == whole
    with GuardPool(1) as pool:
        assert pool.flow_chunk(data, (0.0, 0.0), 0, 100, **HOW).images == whole
        window = pool.flow_chunk(data, (2 / 25, 6 / 25), 0, 100, **HOW)
    assert window.frames == 4 and window.images == whole[4:10]


def test_a_single_frame_has_no_flow():
    with pytest.raises(ItemError, match="1 frames, and flow lies between two"):
        flow_chunk(video_bytes(1), (0.0, 0.0), 0, 10, **HOW)
