import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from PIL import Image, ImageDraw, ImageFilter

from omnisrc.media.phash import crops_pdq, hamming, pdq
from tests.media_files import moving_frames, texture


def scene(seed: int, width: int = 640, height: int = 480) -> np.ndarray:
    """A drawn picture with sharp shapes over a texture, which has more structure than the texture alone."""
    picture = Image.fromarray(texture(width, height, seed))
    draw = ImageDraw.Draw(picture)
    rng = np.random.default_rng(seed)
    for _ in range(12):
        x, y, w, h = (int(v) for v in rng.integers(20, 400, 4))
        draw.ellipse((x, y, x + w, y + h), fill=tuple(int(v) for v in rng.integers(0, 255, 3)))
    return np.asarray(picture)


def distance(a: bytes, b: bytes) -> int:
    return int(hamming(np.frombuffer(a, np.uint8)[None], np.frombuffer(b, np.uint8)[None])[0, 0])


def recompressed(rgb: np.ndarray, short_side: int, quality: int) -> np.ndarray:
    picture = Image.fromarray(rgb)
    scale = short_side / min(picture.size)
    small = picture.resize((round(picture.width * scale), round(picture.height * scale)), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


@pytest.mark.parametrize("seed", range(5))
def test_copies_are_near_and_other_pictures_far(seed: int) -> None:
    rgb = scene(seed)
    own = pdq(rgb)[0]
    assert distance(own, pdq(recompressed(rgb, 160, 60))[0]) <= 10
    assert distance(own, pdq(np.asarray(Image.fromarray(rgb).filter(ImageFilter.GaussianBlur(2))))[0]) <= 16
    assert distance(own, pdq(scene(seed + 100))[0]) > 70


REFERENCE = (
    ("18cf68ca8da7e6a9da113b5bbde0acc648d625021735a1b09a5ae4cb24efd3a7", 100),
    ("9cd39c4ee273f1a531b09cf39c64ca3b01ba71b63e83ec46aa5b1a39e3863312", 100),
    ("bc3c87c67c1c42c3a13c0f53dd3c8e9fe17c470e70e01ea7c9c1c54b07bc227d", 100),
    ("760e89f399cc0769f81e45f1e2cc6601913e4fa19ea3f91e49b2f44966c4933e", 100),
    ("224e35512a2ca6d19ef8ac1d7d912bb3755beaa2e54418aed1c73c4cca3f3459", 100),
)
"""What the reference (pdqhash 0.2.8) gives for `scene(0)` to `scene(4)` by its whole path: hash and quality."""

REFERENCE_OF_SMALL = (
    ("6a3fdce24f862ad551ba73185e424c66a91bb319a1bd0ce7ae4555aa3079a31d", 100),
    ("9b3b478d846f2875cf8624eca9353d29ff46cad656ca1b133079570a7b105872", 68),
    ("2836b02abfa1b6c97b90bec1b25976c8750119b7cd26c13e04efc9b7425e2b95", 11),
)
"""What it gives for `small(0)` to `small(2)`, whose 64x64 pixels leave its blur nothing to do."""


def small(seed: int) -> np.ndarray:
    """64x64 grey pixels in RGB: 8x8 patches, paler for each seed so that the quality differs, and a little noise."""
    rng = np.random.default_rng(seed)
    patches = np.kron(rng.integers(0, 200, (8, 8)), np.ones((8, 8), np.int64)) // 4**seed
    grey = (20 + patches + rng.integers(0, 3, (64, 64))).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)


@pytest.mark.parametrize("seed", range(5))
def test_the_cheap_path_stays_near_the_reference_hash(seed: int) -> None:
    want, quality = REFERENCE[seed]
    ours, our_quality = pdq(scene(seed))
    assert distance(ours, bytes.fromhex(want)) <= 28
    assert abs(our_quality - quality) <= 5


@pytest.mark.parametrize("seed", range(3))
def test_after_the_sampling_down_every_bit_is_the_reference_s(seed: int) -> None:
    want, quality = REFERENCE_OF_SMALL[seed]
    assert pdq(small(seed)) == (bytes.fromhex(want), quality)


def test_a_flat_picture_has_no_quality() -> None:
    assert pdq(np.full((200, 300, 3), 90, np.uint8))[1] == 0


def test_a_cut_copy_is_found_by_a_crop_where_the_whole_hash_misses_it() -> None:
    rgb = scene(3)
    for cut in (rgb[60:420, 80:560], rgb[:, :480], rgb[:, 160:], rgb[:, ::-1], rgb[:360, :480]):
        single = pdq(np.ascontiguousarray(cut))[0]
        assert distance(pdq(rgb)[0], single) > 40
        assert min(distance(crop, single) for crop in crops_pdq(rgb)) <= 12


def test_neighbouring_frames_are_near() -> None:
    frames = moving_frames(4, 320, 240, speed=1)
    assert distance(pdq(frames[1])[0], pdq(frames[2])[0]) < 50


@given(
    npst.arrays(np.uint8, st.tuples(st.integers(0, 30), st.just(32))),
    npst.arrays(np.uint8, st.tuples(st.integers(0, 30), st.just(32))),
)
def test_hamming_counts_the_bits_that_differ(a: np.ndarray, b: np.ndarray) -> None:
    want = (np.unpackbits(a, axis=1)[:, None] != np.unpackbits(b, axis=1)[None]).sum(2)
    assert np.array_equal(hamming(a, b), want)


def test_hamming_of_blocks_larger_than_one_pass() -> None:
    rng = np.random.default_rng(0)
    a, b = (rng.integers(0, 256, (n, 32), np.uint8) for n in (700, 900))
    got = hamming(a, b)
    for row in (0, 290, 291, 292, 699):
        assert np.array_equal(got[row], (np.unpackbits(a[row]) != np.unpackbits(b, axis=1)).sum(1))


def test_hashes_of_another_length_are_refused() -> None:
    with pytest.raises(ValueError, match="shape"):
        hamming(np.zeros((2, 16), np.uint8), np.zeros((2, 32), np.uint8))


@pytest.mark.parametrize("grey", [0, 90, 255])
def test_flat_pictures_of_every_grey_have_no_bits(grey: int) -> None:
    assert pdq(np.full((70, 90, 3), grey, np.uint8)) == (bytes(32), 0)
