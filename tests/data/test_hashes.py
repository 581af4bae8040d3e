import numpy as np
import pytest

from omnisrc.data.hashes import (
    PER_FRAME,
    WHOLE,
    frame_hashes,
    inside_border,
    picture_hashes,
    scored_hashes,
    spread_frames,
)
from omnisrc.media.phash import hamming, pdq
from tests.media_files import moving_frames, texture


def rows(joined: bytes) -> np.ndarray:
    return np.frombuffer(joined, np.uint8).reshape(-1, 32)


def distance(a: bytes, b: np.ndarray) -> np.ndarray:
    return hamming(rows(a), b)[0]


def test_every_frame_looks_like_a_chosen_one() -> None:
    hashes = np.repeat(rows(b"".join(pdq(frame)[0] for frame in moving_frames(20, 160, 120, speed=1))), 3, axis=0)
    chosen = spread_frames(hashes, 100)
    assert 3 < len(chosen) <= 20
    assert hamming(hashes, hashes[chosen]).min(axis=1).max() <= 16


def test_a_still_scene_takes_one_hash_and_a_wild_one_no_more_than_allowed() -> None:
    still = rows(pdq(texture(160, 120))[0] * 30)
    assert spread_frames(still, 8) == [0]
    wild = np.random.default_rng(0).integers(0, 256, (50, 32)).astype(np.uint8)
    chosen = spread_frames(wild, 8)
    assert 4 <= len(chosen) <= 8 and chosen == sorted(set(chosen))
    assert spread_frames(wild[:0], 8) == []


def test_a_scored_frame_is_known_by_its_whole_its_mirror_and_its_parts() -> None:
    frame = texture(320, 240, seed=3)
    hashes = rows(scored_hashes([frame, frame], 8))
    assert len(hashes) == PER_FRAME
    assert len(rows(frame_hashes([frame, frame], 8))) == 1
    parts = {
        "whole": frame,
        "mirrored": frame[:, ::-1],
        "square": frame[:, 40:280],
        "widescreen": frame[30:210],
        "corner": frame[:180, :240],
    }
    nearest = {name: distance(pdq(np.ascontiguousarray(part))[0], hashes) for name, part in parts.items()}
    assert max(apart.min() for apart in nearest.values()) <= 10
    assert (nearest["whole"].argmin(), nearest["mirrored"].argmin()) == WHOLE
    assert distance(pdq(texture(320, 240, seed=4))[0], hashes).min() > 60


@pytest.mark.parametrize("tone", [0, 255])
@pytest.mark.parametrize(("high", "wide"), [(40, 0), (0, 50), (15, 20)])
def test_a_picture_in_a_plain_border_has_the_hash_of_its_inside_too(tone: int, high: int, wide: int) -> None:
    picture = texture(320, 240, seed=5)
    framed = np.full((240 + 2 * high, 320 + 2 * wide, 3), tone, np.uint8)
    framed[high : high + 240, wide : wide + 320] = picture
    hashes = rows(picture_hashes(framed))
    assert len(hashes) == 2
    assert distance(pdq(picture)[0], hashes)[1] <= 24


def test_a_picture_without_a_border_has_one_hash() -> None:
    picture = texture(320, 240, seed=6)
    assert picture_hashes(picture) == pdq(picture)[0]
    assert inside_border(np.zeros((50, 60, 3), np.uint8)) is None
