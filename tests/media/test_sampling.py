import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from omnisrc.errors import UserError
from omnisrc.media.sampling import SampleFrames


def sample(num_frames: int, *, fps: float | None = None, start: int = 0, seed: int = 0, **options: object) -> list[int]:
    draw = SampleFrames(**{"clip_len": 1, "test_mode": True, **options})  # type: ignore[arg-type]
    return draw(num_frames, np.random.default_rng(seed), fps=fps, start_index=start).tolist()


def numbers(text: str) -> list[int]:
    return [int(word) for word in text.split()]


GOLDEN = [
    ({"num_clips": 3}, 100, "16 50 83"),
    ({"num_clips": 8}, 100, "6 18 31 43 56 68 81 93"),
    ({"num_clips": 3, "twice_sample": True}, 100, "16 50 83 0 33 66"),
    ({"clip_len": 3, "frame_interval": 0}, 100, "16 50 83"),
    ({"clip_len": 3, "frame_interval": 0, "num_clips": 2}, 100, "16 50 83 0 33 66"),
    ({"clip_len": 8, "frame_interval": 0}, 100, "6 18 31 43 56 68 81 93"),
    ({"num_clips": 8}, 5, "0 0 1 2 2 3 4 4"),
    ({"num_clips": 25, "start": 1}, 10, "1 1 2 2 2 3 3 4 4 4 5 5 6 6 6 7 7 8 8 8 9 9 10 10 10"),
    ({"clip_len": 8, "frame_interval": 8}, 100, "21 29 37 45 53 61 69 77"),
    ({"clip_len": 8, "frame_interval": 8}, 64, "3 11 19 27 35 43 51 59"),
    ({"clip_len": 8, "frame_interval": 8}, 65, "4 12 20 28 36 44 52 60"),
    ({"clip_len": 8, "frame_interval": 8}, 20, "0 8 16 4 12 0 8 16"),
    ({"clip_len": 8, "frame_interval": 8, "out_of_bound": "repeat_last"}, 20, "0 8 16 16 16 16 16 16"),
    ({"clip_len": 8, "frame_interval": 8}, 9, "0 8 7 6 5 4 3 2"),
    ({"clip_len": 8, "frame_interval": 8, "out_of_bound": "repeat_last"}, 9, "0 8 8 8 8 8 8 8"),
    ({"clip_len": 8, "frame_interval": 8}, 7, "0 1 2 3 4 5 6 0"),
    ({"clip_len": 8, "frame_interval": 8, "out_of_bound": "repeat_last"}, 7, "0 0 0 0 0 0 0 0"),
    ({"clip_len": 5, "num_clips": 3, "start": 1}, 30, "1 2 3 4 5 13 14 15 16 17 26 27 28 29 30"),
    (
        {"clip_len": 4, "frame_interval": 16, "num_clips": 2, "fps": 60, "target_fps": 30},
        300,
        "0 42 84 127 172 214 256 299",
    ),
    (
        {"clip_len": 4, "frame_interval": 16, "num_clips": 2, "fps": 30, "target_fps": 30},
        300,
        "0 21 42 63 236 257 278 299",
    ),
    (
        {"clip_len": 32, "frame_interval": 2, "test_mode": False},
        40,
        "0 2 4 6 8 10 12 14 16 18 20 22 24 26 28 30 32 34 36 38 0 2 4 6 8 10 12 14 16 18 20 22",
    ),
]


@pytest.mark.parametrize(("options", "num_frames", "want"), GOLDEN, ids=[f"{i}" for i in range(len(GOLDEN))])
def test_golden_rows_of_the_reference(options: dict[str, object], num_frames: int, want: str) -> None:
    assert sample(num_frames, **options) == numbers(want)


@pytest.mark.parametrize(("num_clips", "want"), [(3, "0 126 251"), (10, "0 28 56 84 112 139 167 195 223 251")])
def test_golden_offsets_of_the_reference(num_clips: int, want: str) -> None:
    got = sample(300, clip_len=4, frame_interval=16, num_clips=num_clips)
    assert got[::4] == numbers(want)
    assert got == [offset + step for offset in numbers(want) for step in (0, 16, 32, 48)]


@given(frames=st.integers(1, 400), clips=st.integers(1, 12), length=st.integers(1, 16), interval=st.integers(1, 9))
def test_the_older_rule_starts_in_the_middle_of_equal_parts(
    frames: int, clips: int, length: int, interval: int
) -> None:
    span = length * interval
    part = (frames - span + 1) / clips
    starts = [0 if frames < span else int(k * part + part / 2) for k in range(clips)]
    want = [(start + j * interval) % frames for start in starts for j in range(length)]
    assert sample(frames, clip_len=length, frame_interval=interval, num_clips=clips, rule="0.x") == want


@given(frames=st.integers(1, 400), clips=st.integers(1, 12), length=st.integers(2, 16), interval=st.integers(1, 9))
def test_the_newer_rule_includes_both_ends(frames: int, clips: int, length: int, interval: int) -> None:
    span = (length - 1) * interval + 1
    room = max(frames - span, 0)
    starts = [room // 2] if clips == 1 else [round(k * room / (clips - 1)) for k in range(clips)]
    want = [(start + j * interval) % frames for start in starts for j in range(length)]
    assert sample(frames, clip_len=length, frame_interval=interval, num_clips=clips) == want


@given(frames=st.integers(1, 500), clips=st.integers(1, 30))
def test_both_rules_agree_on_single_frames(frames: int, clips: int) -> None:
    want = [int(k * (frames / clips) + frames / clips / 2) for k in range(clips)]
    assert sample(frames, num_clips=clips) == want == sample(frames, num_clips=clips, rule="0.x")


OPTIONS = st.fixed_dictionaries(
    {
        "clip_len": st.integers(1, 20),
        "frame_interval": st.integers(1, 8),
        "num_clips": st.integers(1, 10),
        "test_mode": st.booleans(),
        "out_of_bound": st.sampled_from(["loop", "repeat_last"]),
        "keep_tail_frames": st.booleans(),
        "rule": st.sampled_from(["1.x", "0.x"]),
    },
    optional={"target_fps": st.sampled_from([15, 29.97, 60]), "temporal_jitter": st.booleans()},
)


@given(options=OPTIONS, frames=st.integers(1, 300), fps=st.sampled_from([None, 23.976, 25, 60]), seed=st.integers(0, 9))
def test_every_index_is_a_frame_of_the_video(
    options: dict[str, object], frames: int, fps: float | None, seed: int
) -> None:
    assume("target_fps" not in options or (options["rule"] == "1.x" and not options.get("temporal_jitter")))
    got = sample(frames, fps=fps, seed=seed, start=5, **options)
    assert len(got) == int(str(options["clip_len"])) * int(str(options["num_clips"]))
    assert min(got) >= 5 and max(got) < 5 + frames
    assert got == sample(frames, fps=fps, seed=seed, start=5, **options)


@given(frames=st.integers(1, 300), clips=st.integers(1, 10), length=st.integers(1, 12), interval=st.integers(1, 8))
def test_training_draws_each_clip_in_its_own_part(frames: int, clips: int, length: int, interval: int) -> None:
    part = (frames - length * interval + 1) // clips
    assume(part > 0)
    got = sample(frames, clip_len=length, frame_interval=interval, num_clips=clips, test_mode=False)
    for clip in range(clips):
        start = got[clip * length]
        assert clip * part <= start < (clip + 1) * part
        assert got[clip * length : (clip + 1) * length] == [start + j * interval for j in range(length)]


def test_training_reaches_every_start_and_no_other() -> None:
    starts = {sample(20, clip_len=4, frame_interval=2, test_mode=False, seed=seed)[0] for seed in range(400)}
    assert starts == set(range(13))


def test_short_videos_in_training_follow_the_reference() -> None:
    sorted_draws = sample(20, clip_len=4, frame_interval=4, num_clips=8, test_mode=False)[::4]
    assert sorted_draws == sorted(sorted_draws) and max(sorted_draws) <= 4
    assert sample(8, clip_len=1, num_clips=8, test_mode=False) == list(range(8))
    assert sample(5, clip_len=1, num_clips=8, test_mode=False) == [0, 1, 1, 2, 2, 3, 4, 4]


def test_keep_tail_frames_reaches_the_last_frame() -> None:
    def last(keep: bool) -> int:
        return max(sample(29, num_clips=3, test_mode=False, keep_tail_frames=keep, seed=s)[-1] for s in range(300))

    assert (last(False), last(True)) == (26, 28)


def test_temporal_jitter_moves_frames_by_less_than_the_interval() -> None:
    plain = sample(100, clip_len=8, frame_interval=8)
    moved = sample(100, clip_len=8, frame_interval=8, temporal_jitter=True)
    steps = [b - a for a, b in zip(plain, moved, strict=True)]
    assert min(steps) >= 0 and max(steps) < 8 and len(set(steps)) > 2


@pytest.mark.parametrize(
    "options",
    [
        {"clip_len": 8, "twice_sample": True},
        {"clip_len": 8, "num_clips": 3, "twice_sample": True},
        {"clip_len": 8, "target_fps": 30, "temporal_jitter": True},
        {"target_fps": 30, "rule": "0.x"},
        {"target_fps": 0},
        {"clip_len": 0},
        {"frame_interval": -1},
        {"num_clips": 0},
        {"out_of_bound": "stop"},
        {"rule": "2.x"},
    ],
)
def test_what_the_reference_gets_wrong_is_refused(options: dict[str, object]) -> None:
    with pytest.raises(UserError):
        sample(100, **options)


def test_a_video_without_frames_is_refused() -> None:
    with pytest.raises(ValueError, match="without frames"):
        sample(0)


def test_a_clip_that_is_spread_over_the_video_is_drawn_like_segments() -> None:
    for seed in range(20):
        assert sample(90, clip_len=8, frame_interval=0, test_mode=False, seed=seed) == sample(
            90, num_clips=8, test_mode=False, seed=seed
        )
    two = sample(90, clip_len=8, frame_interval=0, num_clips=2, test_mode=False)
    assert len(two) == 16 and two[:8] != two[8:] and two[8:] == sorted(two[8:])


@given(frames=st.integers(1, 300), clips=st.integers(1, 12), length=st.integers(2, 16))
def test_spread_clips_take_one_frame_of_each_part(frames: int, clips: int, length: int) -> None:
    got = np.array(sample(frames, clip_len=length, frame_interval=0, num_clips=clips)).reshape(clips, length)
    parts = np.arange(length) * frames / length
    assert (got >= np.floor(parts - 1e-9)).all() and (got <= parts + frames / length).all() and got.max() < frames


@pytest.mark.parametrize(
    ("num_frames", "num_clips", "want"),
    [
        (100, 1, "6 18 31 43 56 68 81 93"),  # TSN's eight segments, as one clip
        (5, 1, "0 0 1 2 2 3 4 4"),
        (80, 2, "5 15 25 35 45 55 65 75 0 10 20 30 40 50 60 70"),
    ],
)
def test_without_an_interval_a_clip_is_spread_over_the_video(num_frames: int, num_clips: int, want: str) -> None:
    assert sample(num_frames, clip_len=8, frame_interval=0, num_clips=num_clips) == numbers(want)


@pytest.mark.parametrize("num_frames", range(1, 60))
def test_a_spread_clip_is_the_segments_in_a_row(num_frames: int) -> None:
    for test_mode in (True, False):
        spread = sample(num_frames, clip_len=8, frame_interval=0, test_mode=test_mode, start=3)
        assert spread == sample(num_frames, clip_len=1, num_clips=8, test_mode=test_mode, start=3)
    draws = sample(num_frames, clip_len=8, frame_interval=0, num_clips=2, test_mode=False)
    assert draws[:8] == sample(num_frames, clip_len=1, num_clips=8, test_mode=False) and len(draws) == 16
