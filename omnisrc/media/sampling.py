"""Which frames a recogniser sees: MMAction2's SampleFrames, index by index.

Two rules place the clips of a 3-D test: "1.x" (MMAction2 1.x: both ends of the video included) and "0.x" (the middle
of equal parts), under which the checkpoints released before 2023 were scored. They agree everywhere else.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from omnisrc.errors import UserError

Offsets = npt.NDArray[np.float64]


@dataclass(frozen=True)
class SampleFrames:
    """Draws `num_clips` clips of `clip_len` frames, `frame_interval` apart. TSN's segments are clips of one frame.

    Training draws each clip at random within its part of the video; `test_mode` places them evenly. `twice_sample`
    adds, in a test of single frames, the beginnings of the parts to their middles. Frames beyond the end wrap around
    (`out_of_bound="loop"`) or repeat the last one sampled (`"repeat_last"`). `keep_tail_frames` lets training reach
    the last frames when the parts are not whole. `target_fps` stretches clips as if the video had that rate.
    `temporal_jitter` moves each frame by up to `frame_interval - 1`.

    A `frame_interval` of 0 spreads each clip over the whole video, one frame from each of `clip_len` equal parts, as
    TSM and TRN see it: drawn in training, the middles in a test. Of several clips in a test each takes its frames at
    another place of the parts; the second of two takes their beginnings, as `twice_sample` does. Such clips know no
    rate, jitter or end to pass.

    Combinations for which the reference gives nonsense (division by zero, clips beyond the end) are `UserError`.
    """

    clip_len: int
    frame_interval: int = 1
    num_clips: int = 1
    test_mode: bool = False
    twice_sample: bool = False
    out_of_bound: Literal["loop", "repeat_last"] = "loop"
    keep_tail_frames: bool = False
    target_fps: float | None = None
    temporal_jitter: bool = False
    rule: Literal["1.x", "0.x"] = "1.x"

    def __post_init__(self) -> None:
        if min(self.clip_len, self.num_clips) < 1:
            raise UserError("clip_len and num_clips must be at least 1: change the one that is not.")
        if self.frame_interval < 0:
            raise UserError("frame_interval must be at least 1, or 0 to spread the frames over the video.")
        if self.out_of_bound not in ("loop", "repeat_last"):
            raise UserError(f"out_of_bound is {self.out_of_bound!r}: choose loop or repeat_last.")
        if self.rule not in ("1.x", "0.x"):
            raise UserError(f"The sampling rule is {self.rule!r}: choose 1.x or 0.x.")
        if self.target_fps is not None and self.target_fps <= 0:
            raise UserError(f"target_fps is {self.target_fps:g}: give a positive rate, or leave it out.")
        if self.target_fps is not None and self.rule == "0.x":
            raise UserError("target_fps does not go with the sampling rule 0.x: use rule 1.x.")
        if self.target_fps is not None and self.temporal_jitter:
            raise UserError("temporal_jitter does not go with target_fps: leave one of them out.")
        if self.twice_sample and self.clip_len > 1 and self.rule == "1.x":
            raise UserError("twice_sample is for clips of one frame: set clip_len to 1, or leave it out.")

    def __call__(
        self, num_frames: int, rng: np.random.Generator, fps: float | None = None, start_index: int = 0
    ) -> npt.NDArray[np.int32]:
        """Frame numbers of all clips, one clip after the other, from `start_index` on.

        `fps` is the video's rate, for `target_fps`; unknown, it counts as `target_fps` itself. `rng` draws in training
        and for `temporal_jitter`. `ValueError` for a video without frames.
        """
        if num_frames < 1:
            raise ValueError("a video without frames cannot be sampled")
        if self.frame_interval == 0:
            return (self._spread(num_frames, rng) + start_index).astype(np.int32)
        span = self._span(fps)
        offsets = self._test_offsets(num_frames, span) if self.test_mode else self._train_offsets(num_frames, span, rng)
        frames = offsets[:, None] + self._steps(span)  # (clips, clip_len)
        if self.temporal_jitter:
            frames = frames + rng.integers(self.frame_interval, size=frames.shape)
        if self.out_of_bound == "loop":
            frames = np.mod(frames, num_frames)
        else:
            inside = frames < num_frames
            last = np.max(inside * frames, axis=1, keepdims=True)
            frames = np.where(inside, frames, last)
        return (frames.reshape(-1) + start_index).astype(np.int32)

    def _spread(self, frames: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
        """One frame from each of `clip_len` equal parts, for each clip."""
        if not self.test_mode:
            segments = replace(self, clip_len=1, frame_interval=1, num_clips=self.clip_len, temporal_jitter=False)
            return np.concatenate([segments(frames, rng) for _ in range(self.num_clips)]).astype(np.int64)
        places = (0.5 + np.arange(self.num_clips) / self.num_clips) % 1.0
        part = frames / self.clip_len
        return (np.arange(self.clip_len) * part + places[:, None] * part).reshape(-1).astype(np.int64)

    def _span(self, fps: float | None) -> float:
        """Frames of the video that one clip covers."""
        if self.target_fps is not None:
            ratio = fps / self.target_fps if fps else 1.0
            return max(1.0, self.clip_len * self.frame_interval * ratio)
        if self.test_mode and self.rule == "1.x":
            return (self.clip_len - 1) * self.frame_interval + 1
        return self.clip_len * self.frame_interval

    def _steps(self, span: float) -> npt.NDArray[np.int64]:
        """Places of a clip's frames after its first."""
        if self.target_fps is not None:
            return np.linspace(0, span - 1, self.clip_len).astype(np.int64)
        return np.arange(self.clip_len) * self.frame_interval

    def _train_offsets(self, frames: int, span: float, rng: np.random.Generator) -> Offsets:
        room = frames - span + 1
        clips = np.arange(self.num_clips, dtype=np.float64)
        if self.keep_tail_frames:
            part = room / self.num_clips
            if frames <= span - 1:
                return np.zeros(self.num_clips)
            return np.trunc(clips * part + rng.uniform(0, part, self.num_clips))
        whole = int(room // self.num_clips)
        if whole > 0:
            return clips * whole + rng.integers(whole, size=self.num_clips)
        if frames > max(self.num_clips, span):
            return np.sort(rng.integers(int(room), size=self.num_clips)).astype(np.float64)
        if whole == 0:
            return np.rint(clips * room / self.num_clips)
        return np.zeros(self.num_clips)

    def _test_offsets(self, frames: int, span: float) -> Offsets:
        if self.rule == "0.x":
            return self._test_offsets_0x(frames, span)
        clips = np.arange(self.num_clips, dtype=np.float64)
        if self.clip_len == 1:
            part = frames / self.num_clips
            middles = clips * part + part / 2
            return np.concatenate([middles, clips * part]) if self.twice_sample else middles
        room = max(frames - span, 0)
        if self.num_clips == 1:
            return np.array([room // 2], np.float64)
        step = room / (self.num_clips - 1)
        if self.target_fps is not None:
            step = float(np.floor(step))
        return np.rint(clips * step)

    def _test_offsets_0x(self, frames: int, span: float) -> Offsets:
        if frames < span:
            return np.zeros(self.num_clips)
        part = (frames - span + 1) / self.num_clips
        starts = np.arange(self.num_clips, dtype=np.float64) * part
        middles = np.trunc(starts + part / 2)
        return np.concatenate([middles, starts]) if self.twice_sample else middles
