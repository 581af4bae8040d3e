"""Frames of a video's windows as a recogniser sees them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from omnisrc.errors import ErrorClass, ItemError
from omnisrc.media.phash import Rgb
from omnisrc.media.sampling import SampleFrames
from omnisrc.media.source import Source
from omnisrc.media.video import Video, open_video


@dataclass(frozen=True)
class ClipFrames:
    """Frames (n, H, W, 3) RGB of one window, and their numbers (n,) in the whole video."""

    frames: Rgb
    indices: npt.NDArray[np.int64]


def clip_frames(
    source: Source,
    windows: Sequence[tuple[float, float]],
    sampling: SampleFrames,
    *,
    short_side: int | None = None,
    seed: int = 0,
) -> list[ClipFrames]:
    """For each window (start, end in seconds), the frames that `sampling` takes of those shown in it.

    The video is opened once. `seed` is for training rules. Errors: as `open_video`, and DECODE for a window that
    holds no frame.
    """
    with open_video(source) as video:
        clips = []
        for number, window in enumerate(windows):
            indices = window_indices(video, window, sampling, np.random.default_rng((seed, number)))
            clips.append(ClipFrames(video.frames(indices, short_side), indices))
        return clips


def window_indices(
    video: Video, window: tuple[float, float], sampling: SampleFrames, rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    """Numbers of the frames that `sampling` takes of a window's; the window counts as a video of its own."""
    start, stop = (int(np.searchsorted(video.timestamps, time - 1e-6)) for time in window)
    if start >= stop:
        raise ItemError(ErrorClass.DECODE, f"no frame between {window[0]:g} and {window[1]:g} s")
    fps = (stop - start - 1) / (video.timestamps[stop - 1] - video.timestamps[start]) if stop - start > 1 else None
    return sampling(stop - start, rng, fps=fps, start_index=start).astype(np.int64)
