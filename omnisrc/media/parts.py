"""Frames of a part of a video: what is longer than the memory is read part by part, each as if it were all there is."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from omnisrc.media.container import ISO_FORMATS, KEEP_BYTES, decoding, open_container
from omnisrc.media.phash import Rgb
from omnisrc.media.sampling import SampleFrames
from omnisrc.media.source import Source, source_size
from omnisrc.media.stretch import Untimed, first_tick, read_stretch
from omnisrc.media.video import Video, open_video

TOLERANCE_S = 1e-6
PEEK_S = 5.0


@dataclass(frozen=True)
class Part:
    """An open part of a video: `video` has its frames from number `first` on, shown at `seconds` (n,) after the
    beginning of the whole video. `end` is when the whole video ends, or None where it goes on after the part."""

    video: Video | None
    first: int
    seconds: npt.NDArray[np.float64]
    end: float | None

    def frames(self, indices: npt.NDArray[np.integer[Any]], short_side: int | None) -> Rgb:
        assert self.video is not None
        return self.video.frames(indices + self.first, short_side)


@dataclass(frozen=True)
class Peek:
    """What the beginning of a video tells: `fps` of its first seconds, `duration` as the header has it (0: unknown),
    `origin` the tick of its first frame (None: the container does not say when frames are shown), `group_s` the longest
    time without a keyframe, as the file's index has it (0: unknown)."""

    width: int
    height: int
    fps: float
    duration: float
    origin: int | None
    group_s: float = 0.0


@dataclass(frozen=True)
class PartClips:
    """`frames` (n, H, W, 3) of all windows one after the other, shown at `seconds` (n,); `counts` says for each window
    how many frames it has in the video, 0 for none: then nothing of it is in `frames`. `end` as in Part."""

    frames: Rgb
    seconds: npt.NDArray[np.float64]
    counts: list[int]
    end: float | None


@contextmanager
def open_part(source: Source, start: float, stop: float, origin: int | None = None) -> Iterator[Part]:
    """The frames shown from `start` to before `stop` (seconds since the first frame; `stop` may be infinite).

    Frames, order and times are those of `open_video`. `origin` is the first frame's tick where it is known. A video
    whose container does not say when frames are shown is read from its beginning. Errors: as `open_video`.
    """
    if math.isfinite(stop):
        try:
            with open_container(source) as (container, stream), decoding():
                first = first_tick(container, stream) if origin is None else origin
                yield _stretch(container, stream, source_size(source), start, stop, first)
                return
        except Untimed:
            pass
    with open_video(source) as video:
        times = video.timestamps
        low, high = (int(np.searchsorted(times, time - TOLERANCE_S)) for time in (start, stop))
        end = float(times[-1]) + frame_s(times) if high == len(times) else None
        yield Part(video, low, times[low:high], end)


def _stretch(container: Any, stream: Any, size: int, start: float, stop: float, first: int) -> Part:
    base = float(stream.time_base)
    low, high = (math.ceil((time - TOLERANCE_S) / base) + first for time in (start, stop))
    packets, end = read_stretch(container, stream, max(low, first), high, first)
    ended = None if end is None else (end - first) * base
    if packets is None:
        return Part(None, 0, np.zeros(0), ended)
    seconds = np.asarray((packets.pts[packets.shown] - first) * base, np.float64)
    if ended is not None:
        ended = max(ended, float(seconds[-1]) + (0.0 if packets.end > packets.pts.max() else frame_s(seconds)))
    return Part(Video(container, stream, size, packets), 0, seconds, ended)


def frame_s(seconds: npt.NDArray[np.float64]) -> float:
    """How long a frame is shown, by those before it; 1/25 s for one alone."""
    return float(np.median(np.diff(seconds))) if len(seconds) > 1 else 0.04


def peek_video(source: Source) -> Peek:
    """A video's size, rate and announced length from its first seconds. Errors: as `open_video`."""
    with open_container(source) as (container, stream), decoding():
        size = source_size(source)
        announced = float(container.duration / 1e6) if container.duration else 0.0
        try:
            origin: int | None = first_tick(container, stream)
            part = _stretch(container, stream, size, 0.0, PEEK_S, origin or 0)
            video = part.video
        except Untimed:
            origin, video = None, Video(container, stream, size)
        assert video is not None, "the first frame is in the first seconds"
        info = video.info
        return Peek(info.width, info.height, info.fps, announced, origin, _group_s(container, stream, size))


def _group_s(container: Any, stream: Any, size: int) -> float:
    if container.format.name not in ISO_FORMATS or size > KEEP_BYTES:
        return 0.0
    entries = stream.index_entries
    keys = [entry.timestamp for entry in entries if entry.is_keyframe]
    if not keys:
        return 0.0
    return float(np.diff([*keys, entries[-1].timestamp]).max() * stream.time_base)


def part_clips(
    source: Source,
    windows: Sequence[tuple[float, float]],
    sampling: SampleFrames,
    *,
    short_side: int | None = None,
    origin: int | None = None,
) -> PartClips:
    """Of each window (start, end in seconds) the frames that `sampling` takes, as `clips.clip_frames` has them.

    Only the part of the video from the first window to the last is read, and each frame is decoded once. A window
    that holds no frame is left out. Errors: as `open_video`.
    """
    with open_part(source, windows[0][0], max(end for _, end in windows), origin) as part:
        indices, counts = chosen_frames(part.seconds, windows, sampling)
        if not len(indices):
            return PartClips(np.zeros((0, 1, 1, 3), np.uint8), np.zeros(0), counts, part.end)
        return PartClips(part.frames(indices, short_side), part.seconds[indices], counts, part.end)


def chosen_frames(
    seconds: npt.NDArray[np.float64], windows: Sequence[tuple[float, float]], sampling: SampleFrames, ends: int = 0
) -> tuple[npt.NDArray[np.int64], list[int]]:
    """Of frames shown at `seconds` (n,): the numbers of those that `sampling` takes of each window (start, end in
    seconds), one window after the other, and how many each has to choose from: all but its last `ends`."""
    rng = np.random.default_rng(0)
    chosen, counts = [np.zeros(0, np.int64)], []
    for window in windows:
        low, high = (int(np.searchsorted(seconds, time - TOLERANCE_S)) for time in window)
        counts.append(max(0, high - low - ends))
        if counts[-1]:
            span = float(seconds[high - 1] - seconds[low])
            fps = (high - low - 1) / span if span > 0 else None
            chosen.append(sampling(counts[-1], rng, fps=fps, start_index=low).astype(np.int64))
    return np.concatenate(chosen), counts


def part_frames(
    source: Source, start: float, stop: float, *, short_side: int | None = None, origin: int | None = None
) -> tuple[npt.NDArray[np.float64], Rgb, float | None]:
    """All frames shown from `start` to before `stop`: their times (n,), the frames (n, H, W, 3), and `end` as in Part.
    Errors: as `open_video`."""
    with open_part(source, start, stop, origin) as part:
        if not len(part.seconds):
            return part.seconds, np.zeros((0, 1, 1, 3), np.uint8), part.end
        return part.seconds, part.frames(np.arange(len(part.seconds)), short_side), part.end
