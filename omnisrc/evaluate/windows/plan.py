"""Where the windows of a video lie, and what a recogniser is shown of each."""

from __future__ import annotations

from dataclasses import dataclass, replace

from omnisrc.errors import UserError
from omnisrc.evaluate.protocols import Average, Sampling
from omnisrc.media.sampling import SampleFrames

FLAT_WINDOW_S = 5.0
"""Seconds of a window of a recogniser whose frames have no natural distance (TSN, TSM)."""
LEAST_SHARE = 0.5
"""A last window that the video's end cuts to less than this share of its length is left out."""


@dataclass(frozen=True)
class Windows:
    """Windows of `length` seconds, one every `stride` seconds; of each `sampler`'s frames, cut to the middle
    `crop_size` square of the picture at `short_side`. `length` 0: what one clip spans; `stride` 0: as the length.

    A view has `view_len` frames: one of the sampler's clips, or, where those are single frames, so many of them, each
    from an equal part of the window. `flat`: a 2-D recogniser, which is given all frames of a window as the segments of
    one sample.
    """

    sampler: SampleFrames
    view_len: int
    flat: bool
    average: Average
    crop_size: int
    short_side: int
    length: float = 0.0
    stride: float = 0.0

    @property
    def views(self) -> int:
        """Views of one window."""
        return self.sampler.num_clips * self.sampler.clip_len // self.view_len

    @property
    def spread(self) -> bool:
        """Whether the frames of a view have no natural distance."""
        return self.flat or self.view_len != self.sampler.clip_len

    @property
    def span(self) -> int:
        """Frames of the video that one view covers at least."""
        if self.spread:
            return self.view_len
        return (self.sampler.clip_len - 1) * self.sampler.frame_interval + 1

    def at_rate(self, fps: float) -> Windows:
        """With the length and the stride that a video of this rate gets."""
        rate = self.sampler.target_fps or fps
        clip_s = self.sampler.clip_len * self.sampler.frame_interval / rate
        length = self.length or (FLAT_WINDOW_S if self.spread else clip_s)
        return replace(self, length=length, stride=self.stride or length)

    def window(self, number: int, start: float, end: float) -> tuple[float, float] | None:
        """From when to when the window goes, in a video (or part) from `start` to `end`; None beyond the last."""
        first = start + number * self.stride
        last = min(first + self.length, end)
        if first >= end or (number > 0 and last - first < LEAST_SHARE * self.length):
            return None
        return first, last


def windows_of(sampling: Sampling, length: float = 0.0, stride: float = 0.0, clips: int = 0) -> Windows:
    """Windows for a recogniser that was trained as `sampling` says; `clips` clips (2-D: frames) of each, evenly placed
    (0: one clip in 3-D, as many segments as in training in 2-D).

    Raises:
        UserError: a length or a number that cannot be.
    """
    for name, value in (("--window", length), ("--stride", stride), ("--clips", clips)):
        if value < 0:
            raise UserError(f"{name} is {value:g}: give a positive number, or leave it out.")
    flat = sampling.dims == "2d"
    if sampling.frame_interval == 0:  # one frame from each of clip_len equal parts, in order
        if clips > 1:
            raise UserError("--clips does not go with a network whose frames are spread over the window: leave it out.")
        sampler = SampleFrames(1, 1, sampling.clip_len, test_mode=True)
        if sampling.sampler == "dense":
            sampler = SampleFrames(sampling.clip_len, sampling.sample_range // sampling.clip_len, 1, test_mode=True)
    else:
        sampler = SampleFrames(
            sampling.clip_len,
            sampling.frame_interval,
            clips or (sampling.num_segments if flat else 1),
            test_mode=True,
            target_fps=sampling.target_fps or None,
        )
    average: Average = "score" if flat else "prob"
    return Windows(sampler, sampling.clip_len, flat, average, sampling.crop_size, sampling.short_side, length, stride)
