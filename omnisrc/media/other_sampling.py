"""The field's other rules for which frames to look at: MMAction2's samplers beside SampleFrames, index by index.

Each gives frame numbers as int32, one clip after the other, from `start_index` on; numbers past the end are brought
back by the rule of the sampler. `ValueError` for a video without frames.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from omnisrc.errors import UserError

Indices = npt.NDArray[np.int32]


@dataclass(frozen=True)
class UniformSample:
    """`clip_len` frames over the whole video, one of each equal part (MMAction2's UniformSample).

    Training draws the frame of a part; a test takes `num_clips` clips, at even places of the parts.
    """

    clip_len: int
    num_clips: int = 1
    test_mode: bool = False

    def __post_init__(self) -> None:
        _positive(clip_len=self.clip_len, num_clips=self.num_clips)

    def __call__(self, num_frames: int, rng: np.random.Generator, start_index: int = 0) -> Indices:
        _check(num_frames)
        part = (num_frames - 1) / self.clip_len
        edges = np.rint(part * np.arange(self.clip_len + 1)).astype(np.int64)
        if self.test_mode:
            places = (part / (self.num_clips + 1) * np.arange(1, self.num_clips + 1)).astype(np.int64)
            frames = edges[None, :-1] + places[:, None]  # (clips, clip_len)
        else:
            frames = rng.integers(edges[:-1], edges[1:], endpoint=True, size=(self.num_clips, self.clip_len))
        return _numbers(frames, start_index)


@dataclass(frozen=True)
class DenseSample:
    """`num_clips` clips at even steps within a range of `sample_range` frames (MMAction2's DenseSampleFrames).

    Training draws where the range begins (never at its last place, as in the reference); a test looks at
    `num_positions` ranges from the first to the last. Numbers wrap around.
    """

    clip_len: int
    frame_interval: int = 1
    num_clips: int = 1
    sample_range: int = 64
    num_positions: int = 10
    test_mode: bool = False

    def __post_init__(self) -> None:
        _positive(clip_len=self.clip_len, frame_interval=self.frame_interval, num_clips=self.num_clips)
        _positive(sample_range=self.sample_range, num_positions=self.num_positions)

    def __call__(self, num_frames: int, rng: np.random.Generator, start_index: int = 0) -> Indices:
        _check(num_frames)
        positions = max(1, 1 + num_frames - self.sample_range)
        if self.test_mode:
            starts = np.linspace(0, positions - 1, self.num_positions).astype(np.int64)
        else:
            starts = rng.integers(max(1, positions - 1), size=1)
        clips = np.arange(self.num_clips) * (self.sample_range // self.num_clips)
        offsets = (starts[:, None] + clips[None, :]).reshape(-1) % num_frames
        frames = offsets[:, None] + np.arange(self.clip_len) * self.frame_interval
        return _numbers(frames % num_frames, start_index)


@dataclass(frozen=True)
class UntrimmedSample:
    """A clip about every `clip_interval`-th frame of a long video, for features over time (UntrimmedSampleFrames).

    Numbers beyond either end repeat the frame there.
    """

    clip_len: int = 1
    clip_interval: int = 16
    frame_interval: int = 1

    def __post_init__(self) -> None:
        _positive(clip_len=self.clip_len, clip_interval=self.clip_interval, frame_interval=self.frame_interval)

    def __call__(self, num_frames: int, start_index: int = 0) -> Indices:
        _check(num_frames)
        centres = np.arange(self.clip_interval // 2, num_frames, self.clip_interval)
        frames = centres[:, None] + _around(self.clip_len, self.frame_interval)
        return _numbers(np.clip(frames, 0, num_frames - 1), start_index)


@dataclass(frozen=True)
class KeyFrameSample:
    """The clip about a key frame of a shot (MMAction2's SampleAVAFrames); numbers beyond the shot repeat its ends.

    Training moves each frame by up to half an interval. `start_index` counts once; the reference adds it twice and so
    looks one frame too late where frames count from 1.
    """

    clip_len: int
    frame_interval: int = 2
    test_mode: bool = False

    def __post_init__(self) -> None:
        _positive(clip_len=self.clip_len, frame_interval=self.frame_interval)

    def __call__(
        self, time: float, fps: float, shot: tuple[int, int], rng: np.random.Generator, start_index: int = 0
    ) -> Indices:
        """`time`: seconds from the shot's time 0; `shot`: its first frame and the one after its last, from 0."""
        first, after = shot
        _check(after - first)
        frames = int(fps * time) + _around(self.clip_len, self.frame_interval)
        if not self.test_mode:
            half = self.frame_interval / 2
            frames = frames + rng.integers(int(np.floor(-half)), int(half + 0.5), size=len(frames))
        return _numbers(np.clip(frames, first, after - 1), start_index)


def _around(clip_len: int, frame_interval: int) -> npt.NDArray[np.int64]:
    """Places of a clip's frames about its centre."""
    return (np.arange(clip_len) - clip_len // 2) * frame_interval


def _numbers(frames: npt.NDArray[np.int64], start_index: int) -> Indices:
    numbers: Indices = (frames.reshape(-1) + start_index).astype(np.int32)
    return numbers


def _positive(**numbers: int) -> None:
    for name, number in numbers.items():
        if number < 1:
            raise UserError(f"{name} must be at least 1, not {number}.")


def _check(num_frames: int) -> None:
    if num_frames < 1:
        raise ValueError("a video without frames cannot be sampled")
