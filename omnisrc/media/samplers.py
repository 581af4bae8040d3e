"""Samplers by name: MMAction2's SampleFrames (`clips`), UniformSample (`uniform`), DenseSampleFrames (`dense`).

Each gives frame numbers as int32, one clip after the other, from `start_index` on; numbers past the end are brought
back by the rule of the sampler. `ValueError` for a video without frames.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from omnisrc.errors import UserError
from omnisrc.media.sampling import SampleFrames

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

    def __call__(
        self, num_frames: int, rng: np.random.Generator, fps: float | None = None, start_index: int = 0
    ) -> Indices:
        """As SampleFrames; the rate counts for nothing."""
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

    def __call__(
        self, num_frames: int, rng: np.random.Generator, fps: float | None = None, start_index: int = 0
    ) -> Indices:
        """As SampleFrames; the rate counts for nothing."""
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


Kind = Literal["clips", "uniform", "dense"]
Sampler = SampleFrames | UniformSample | DenseSample


def create_sampler(
    kind: Kind,
    clip_len: int,
    frame_interval: int,
    num_segments: int,
    views: int = 0,
    *,
    target_fps: float = 0.0,
    rule: Literal["1.x", "0.x"] = "1.x",
    sample_range: int = 64,
) -> Sampler:
    """What gives the frames of a student that sees `num_segments` clips of `clip_len` frames.

    Of a student of single frames (clip_len 1), `uniform` takes the segments as the frames of one clip. Of one whose
    frames are spread (frame_interval 0), `dense` spreads them over `sample_range` frames.

    Args:
        views: clips of a test; 0: training. `dense` looks at views / num_segments places.
    """
    test, count = views > 0, views or num_segments
    if kind == "uniform":
        return UniformSample(count, 1, test) if clip_len == 1 else UniformSample(clip_len, count, test)
    if kind == "dense":
        places = max(1, views // num_segments)
        if frame_interval == 0:
            return DenseSample(1, 1, clip_len, sample_range, places, test)
        return DenseSample(clip_len, frame_interval, num_segments, sample_range, places, test)
    return SampleFrames(clip_len, frame_interval, count, test_mode=test, target_fps=target_fps or None, rule=rule)


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
