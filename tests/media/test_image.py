import io
import tracemalloc

import numpy as np
import pytest
import simplejpeg
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from omnisrc.errors import ErrorClass, ItemError
from omnisrc.media.image import decode_image, image_size, land_image, shrink
from tests.media_files import image_bytes, png_bomb, texture, video_bytes


def pixels(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), np.float64)


def error_of(data: bytes, **options: int) -> ErrorClass:
    with pytest.raises(ItemError) as caught:
        land_image(data, **options)
    return caught.value.error


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"])
def test_every_type_lands_at_the_short_side_and_looks_the_same(kind: str) -> None:
    landed = land_image(image_bytes(800, 600, kind=kind))
    assert (landed.width, landed.height) == (427, 320)
    assert (landed.source_width, landed.source_height) == (800, 600)
    assert Image.open(io.BytesIO(landed.data)).format == "JPEG"
    want = np.asarray(Image.fromarray(texture(800, 600)).resize((427, 320), Image.Resampling.BOX), np.float64)
    assert np.abs(pixels(landed.data) - want).mean() < (6 if kind == "GIF" else 3)
    assert len(landed.phash) == 32 and landed.phash_quality > 50


@pytest.mark.parametrize(("width", "height"), [(200, 150), (320, 321), (129, 700)])
def test_nothing_is_enlarged(width: int, height: int) -> None:
    landed = land_image(image_bytes(width, height))
    assert (landed.width, landed.height) == (width, height)


def test_a_large_jpeg_is_decoded_at_a_fraction_of_its_size() -> None:
    rgb, _ = decode_image(image_bytes(2600, 1300), 320)
    assert rgb.shape == (325, 650, 3)


@pytest.mark.parametrize("short_side", [None, 60, 100, 200])
@pytest.mark.parametrize(
    ("mode", "how"),
    [("RGB", {"subsampling": 0}), ("RGB", {"subsampling": 1}), ("RGB", {"progressive": True}), ("RGB", {}), ("L", {})],
)
def test_a_jpeg_gives_the_pixels_that_pillow_gives(mode: str, how: dict[str, object], short_side: int | None) -> None:
    picture = Image.fromarray(texture(333, 217)).convert(mode)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", **how)
    with Image.open(io.BytesIO(buffer.getvalue())) as image:
        if short_side is not None:
            image.draft("RGB", (short_side, short_side))
        expected = np.asarray(image.convert("RGB"))
    rgb, _ = decode_image(buffer.getvalue(), short_side)
    np.testing.assert_array_equal(rgb, expected)


def test_a_jpeg_that_only_warns_lands_as_pillow_reads_it() -> None:
    sound = image_bytes()
    scan = sound.index(b"\xff\xda")
    odd = sound[:scan] + b"stray" + sound[scan:]
    with pytest.raises(ValueError):
        simplejpeg.decode_jpeg(odd)
    np.testing.assert_array_equal(decode_image(odd)[0], decode_image(sound)[0])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_as_pillow_applies_it(orientation: int) -> None:
    data = image_bytes(400, 300, orientation=orientation, quality=95)
    landed = land_image(data, short_side=300)
    want = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    assert (landed.width, landed.height) == want.size == (landed.source_width, landed.source_height)
    assert np.abs(pixels(landed.data) - np.asarray(want, np.float64)).mean() < 3
    assert Image.open(io.BytesIO(landed.data)).getexif().get(0x0112) is None


def test_a_garbled_exif_block_does_not_lose_the_picture() -> None:
    data = (
        image_bytes(300, 200, orientation=6)
        .replace(b"Exif\x00\x00II", b"Exif\x00\x00XX")
        .replace(b"Exif\x00\x00MM", b"Exif\x00\x00XX")
    )
    assert land_image(data).width == 300


@pytest.mark.parametrize("mode", ["L", "CMYK", "P", "1", "LA", "I;16"])
def test_other_colour_modes_keep_their_brightness(mode: str) -> None:
    kind = "TIFF" if mode == "CMYK" else "PNG"
    landed = land_image(image_bytes(300, 300, kind=kind, mode=mode))
    assert abs(pixels(landed.data).mean() - texture(300, 300).mean()) < 12


def test_transparency_becomes_white() -> None:
    left, right = np.split(pixels(land_image(image_bytes(300, 300, kind="PNG", mode="RGBA")).data), 2, axis=1)
    assert left[:, :10].min() > 225
    assert right.mean() < left.mean()


def test_a_png_bomb_is_refused_by_its_header_without_the_memory() -> None:
    bomb = png_bomb(30_000, 30_000)
    tracemalloc.start()
    assert error_of(bomb) is ErrorClass.BOMB
    assert tracemalloc.get_traced_memory()[1] < 5_000_000
    tracemalloc.stop()
    assert error_of(bomb[:64]) is ErrorClass.BOMB


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"])
def test_the_size_comes_from_the_header(kind: str) -> None:
    assert image_size(image_bytes(301, 207, kind=kind)) == (301, 207)


def test_webp_sizes_of_all_three_layouts() -> None:
    for options in ({}, {"lossless": True}, {"exif": b"Exif\x00\x00"}):
        buffer = io.BytesIO()
        Image.fromarray(texture(301, 207)).save(buffer, "WEBP", **options)
        assert image_size(buffer.getvalue()) == (301, 207)


def test_what_is_no_image_is_called_so() -> None:
    assert error_of(b"") is ErrorClass.EMPTY
    assert error_of(b"<html>not here</html>") is ErrorClass.NOT_MEDIA
    assert error_of(video_bytes(2)) is ErrorClass.NOT_MEDIA
    assert error_of(image_bytes(500, 100)) is ErrorClass.TOO_SMALL
    assert error_of(image_bytes(500, 400), max_pixels=100_000) is ErrorClass.BOMB


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"])
@pytest.mark.parametrize("part", [0.02, 0.5, 0.95])
def test_a_truncated_image_is_a_decode_error(kind: str, part: float) -> None:
    data = image_bytes(400, 300, kind=kind)
    assert error_of(data[: int(len(data) * part)]) in (ErrorClass.DECODE, ErrorClass.TOO_SMALL)


@settings(max_examples=80, deadline=None)
@given(
    kind=st.sampled_from(["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"]),
    edits=st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), min_size=1, max_size=12),
)
def test_damaged_bytes_land_or_give_an_item_error(kind: str, edits: list[tuple[float, int]]) -> None:
    data = bytearray(image_bytes(160, 140, kind=kind))
    for place, value in edits:
        data[int(place * len(data))] = value
    try:
        assert land_image(bytes(data), max_pixels=10_000_000).width >= 1
    except ItemError as error:
        assert error.error in (
            ErrorClass.DECODE, ErrorClass.BOMB, ErrorClass.NOT_MEDIA, ErrorClass.TOO_SMALL
        )  # fmt: skip


@given(st.integers(1, 900), st.integers(1, 900), st.integers(1, 320))
@settings(max_examples=60, deadline=None)
def test_shrinking_gives_the_short_side_exactly_and_keeps_the_shape(width: int, height: int, side: int) -> None:
    out = shrink(np.zeros((height, width, 3), np.uint8), side)
    short = min(width, height)
    assert min(out.shape[:2]) == min(side, short)
    assert abs(out.shape[1] / out.shape[0] - width / height) <= 2.0 / min(out.shape[:2]) * width / height
