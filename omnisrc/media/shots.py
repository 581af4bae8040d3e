"""Find the shots of a video and cut them into windows, each within one shot and of at most some seconds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from omnisrc.media.phash import HASH_BYTES, Rgb, pdq
from omnisrc.media.probe import VideoInfo
from omnisrc.media.source import Source
from omnisrc.media.video import open_video

DETECT_SIDE = 96
"""Short side, in pixels, of the frames that are looked at: cuts show at any size, and small frames are cheap."""
DETECT_FPS = 30.0
"""Faster videos are looked at in every second, third, ... frame."""


class Window(NamedTuple):
    """A stretch of a video in seconds since its first frame; `end` is where the next frame would begin."""

    start: float
    end: float


@dataclass(frozen=True)
class Segments:
    """A video's windows, and PDQ hashes of frames of them, a fixed number of seconds apart.

    `hashes` (M, 32) bytes; `window` (M,) is the place in `windows` of each; `seconds` (M,) its time in the video;
    `quality` (M,) PDQ's quality from 0 to 100.
    """

    info: VideoInfo
    windows: list[Window]
    hashes: npt.NDArray[np.uint8]
    window: npt.NDArray[np.int32]
    seconds: npt.NDArray[np.float64]
    quality: npt.NDArray[np.int32]


def shot_windows(source: Source, shot_over_s: float = 3.0, max_s: float = 10.0, min_s: float = 0.5) -> list[Window]:
    """The windows of a video: one of the whole if it lasts no longer than `shot_over_s`; else its shots by
    PySceneDetect, longer ones cut into equal parts of at most `max_s`, shorter ones than `min_s` left out.

    Errors: as `open_video`.
    """
    return segment_video(source, shot_over_s=shot_over_s, max_s=max_s, min_s=min_s, hash_every_s=math.inf).windows


def segment_video(
    source: Source,
    *,
    shot_over_s: float = 3.0,
    max_s: float = 10.0,
    min_s: float = 0.5,
    hash_every_s: float = 0.5,
) -> Segments:
    """`shot_windows` and, from the same decoding, a PDQ hash every `hash_every_s` seconds, from half of that on.

    The hashes are made of upright frames with a short side of 96; PDQ itself looks at 64x64. Errors: as `open_video`.
    """
    with open_video(source) as video:
        info = video.info
        step = max(1, round(info.fps / DETECT_FPS))
        long = info.duration > shot_over_s
        due = hash_frames(video.timestamps, info.duration, hash_every_s, step)
        wanted = range(0, len(video), step) if long else sorted(due)
        cuts, hashed = Cuts(), []
        for index, picture in video.each_frame(wanted, short_side=DETECT_SIDE):
            if long:
                cuts.look(index, picture)
            if index in due:
                hashed.append((float(video.timestamps[index]), *pdq(picture)))
        edges = [0.0, *(float(video.timestamps[cut]) for cut in cuts.found), info.duration]
        windows = split_shots(edges, max_s, min_s) if long else [Window(0.0, info.duration)]
    return with_hashes(info, windows, hashed)


class Cuts:
    """Where a new shot begins, by PySceneDetect's adaptive detector, which camera motion does not mislead.

    Frames are shown to it one after another; `found` are the numbers of the first frames of new shots.
    """

    def __init__(self) -> None:
        from scenedetect.common import FrameTimecode  # a quarter of a guard's start, for those alone who look for shots
        from scenedetect.detectors import AdaptiveDetector

        self._timecode: Any = FrameTimecode
        self._detector: Any = AdaptiveDetector(min_scene_len=1)
        self._indices: list[int] = []
        self.found: list[int] = []

    def look(self, index: int, picture: Rgb) -> None:
        """Show the next frame (H, W, 3); the detector counts frames and needs no rate."""
        place = self._timecode(len(self._indices), 25.0)
        self._indices.append(index)
        bgr = np.ascontiguousarray(picture[..., ::-1])
        self.found += [self._indices[cut.frame_num] for cut in self._detector.process_frame(place, bgr)]


def split_shots(edges: list[float], max_s: float, min_s: float) -> list[Window]:
    """Windows of the shots between ascending edges (seconds)."""
    windows = []
    for start, end in pairwise(edges):
        parts = max(1, math.ceil((end - start) / max_s - 1e-9))
        bounds = [start + (end - start) * part / parts for part in range(parts)] + [end]
        windows += [Window(a, b) for a, b in pairwise(bounds) if b - a >= min_s]
    return windows


def hash_frames(seconds: npt.NDArray[np.float64], duration: float, every_s: float, step: int) -> set[int]:
    """Numbers of the frames to hash, among every `step`-th: those on screen at every/2, 3/2 every, ..."""
    if math.isinf(every_s):
        return set()
    times = np.arange(min(every_s, duration) / 2, duration, every_s)
    frames = np.maximum(np.searchsorted(seconds, times + 1e-6, side="right") - 1, 0)
    return {int(frame) // step * step for frame in frames}


def with_hashes(info: VideoInfo, windows: list[Window], hashed: list[tuple[float, bytes, int]]) -> Segments:
    """Give each hash to the window that holds its time, and leave out those between windows."""
    starts = [window.start for window in windows]
    rows = []
    for seconds, data, quality in hashed:
        place = int(np.searchsorted(starts, seconds + 1e-6, side="right")) - 1
        if place >= 0 and seconds < windows[place].end:
            rows.append((place, seconds, data, quality))
    hashes = np.frombuffer(b"".join(row[2] for row in rows), np.uint8).reshape(-1, HASH_BYTES)
    return Segments(
        info,
        windows,
        hashes,
        np.array([row[0] for row in rows], np.int32),
        np.array([row[1] for row in rows], np.float64),
        np.array([row[3] for row in rows], np.int32),
    )
