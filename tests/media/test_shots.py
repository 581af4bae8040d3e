from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omnisrc.errors import ItemError
from omnisrc.media.phash import hamming, pdq
from omnisrc.media.shots import segment_video, shot_windows, split_shots
from tests.media_files import moving_frames, sound_bytes, video_bytes


def film(*lengths: int, speed: int = 2, **options: object) -> bytes:
    """A video of several shots of different pictures, of so many frames each, at 25 a second."""
    frames = [f for seed, n in enumerate(lengths) for f in moving_frames(n, 160, 120, seed=10 * seed + 1, speed=speed)]
    return video_bytes(frames, **options)  # type: ignore[arg-type]


def test_each_shot_is_a_window() -> None:
    windows = shot_windows(film(30, 55, 40))
    assert windows == [(0.0, 1.2), (1.2, 3.4), (3.4, 5.0)]


def test_motion_within_a_shot_is_no_cut() -> None:
    assert shot_windows(video_bytes(moving_frames(100, 160, 120, speed=6))) == [(0.0, 4.0)]


def test_a_short_video_is_one_window_without_looking_for_shots() -> None:
    assert shot_windows(film(30, 40)) == [(0.0, pytest.approx(2.8))]
    assert len(shot_windows(film(30, 40), shot_over_s=2.0)) == 2
    assert shot_windows(video_bytes(1)) == [(0.0, pytest.approx(0.04))]


def test_a_long_shot_is_cut_into_equal_parts_and_a_flash_is_left_out() -> None:
    windows = shot_windows(film(100, 5, 50), max_s=2.5)
    assert windows == [(0.0, 2.0), (2.0, 4.0), (pytest.approx(4.2), pytest.approx(6.2))]


def test_a_fast_video_is_looked_at_in_steps_and_still_cut_where_the_shot_begins() -> None:
    windows = shot_windows(film(120, 120, fps=60, speed=1))
    assert len(windows) == 2
    assert windows[1].start == pytest.approx(2.0, abs=1 / 30 + 1e-6)


def test_a_variable_rate_keeps_the_time_of_the_cut() -> None:
    times = [*(0.04 * n for n in range(40)), *(1.6 + 0.08 * n for n in range(30))]
    windows = shot_windows(film(40, 30, times=times))
    assert windows[0] == (0.0, pytest.approx(1.6, abs=1e-3))


@given(
    edges=st.lists(st.floats(0, 100), min_size=2, max_size=8, unique=True),
    max_s=st.floats(1, 12),
    min_s=st.floats(0, 1),
)
def test_windows_stay_within_their_shot_and_the_limits(edges: list[float], max_s: float, min_s: float) -> None:
    edges = sorted(edges)
    windows = split_shots(edges, max_s, min_s)
    for window in windows:
        assert min_s <= window.end - window.start <= max_s + 1e-6
        assert not any(window.start + 1e-9 < edge < window.end - 1e-9 for edge in edges)
    covered = sum(w.end - w.start for w in windows)
    left_out = sum(b - a for a, b in pairwise(edges) if b - a < max(min_s, 1e-9))
    if min_s < max_s / 2:
        assert covered == pytest.approx(edges[-1] - edges[0] - left_out, abs=1e-5)


def test_hashes_are_those_of_frames_of_their_window() -> None:
    frames = [f for seed in (1, 2) for f in moving_frames(50, 160, 120, seed=seed)]
    found = segment_video(video_bytes(frames), hash_every_s=0.5)
    assert found.windows == [(0.0, 2.0), (2.0, 4.0)]
    assert found.window.tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    assert found.hashes.shape == (8, 32) and found.hashes.dtype == np.uint8
    assert found.quality.min() > 30
    for data, seconds in zip(found.hashes, found.seconds, strict=True):
        want = np.frombuffer(pdq(frames[round(seconds * 25)])[0], np.uint8)
        assert hamming(data[None], want[None])[0, 0] <= 16


def test_a_short_video_is_hashed_too_and_hashes_of_left_out_parts_are_dropped() -> None:
    assert segment_video(video_bytes(5), hash_every_s=0.5).window.tolist() == [0]
    found = segment_video(film(50, 8, 50), hash_every_s=0.2)
    assert len(found.windows) == 2
    for window, seconds in zip(found.window, found.seconds, strict=True):
        assert found.windows[window].start <= seconds < found.windows[window].end


def test_what_is_no_video_is_an_item_error() -> None:
    with pytest.raises(ItemError):
        segment_video(sound_bytes(0.2))
