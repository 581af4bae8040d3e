"""Parts of a video with few keyframes: read in order, it is decoded once and not from its keyframe for every part.

What `parts.part_clips` does with a video that has one keyframe costs as much for the last part as for all before it
together. A reader that stays open between two parts goes on where the first one ended.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np
import numpy.typing as npt

from omnisrc.media.container import decoding
from omnisrc.media.parts import TOLERANCE_S, PartClips, chosen_frames
from omnisrc.media.phash import Rgb
from omnisrc.media.sampling import SampleFrames
from omnisrc.media.source import Source
from omnisrc.media.video import Video, open_video

KEPT_PIXELS = 64 << 20
"""Of the frames behind, so many pixels are kept for a part that begins before the last one ended."""


class Followed:
    """The video that was asked for last, open, and where its decoding stands."""

    def __init__(self) -> None:
        self._open = ExitStack()
        self._source: Source | None = None
        self._video: Video | None = None
        self._frames: Iterator[Any] = iter(())
        self._kept: deque[tuple[int, Any]] = deque()
        self._next = self._pixels = 0

    def part_clips(
        self,
        source: Source,
        windows: Sequence[tuple[float, float]],
        sampling: SampleFrames,
        *,
        short_side: int | None = None,
    ) -> PartClips:
        """As `parts.part_clips`, to the bit. Errors: as `open_video`."""
        try:
            with decoding():
                video = self._at(source)
                times = video.timestamps
                seconds = times[: int(np.searchsorted(times, max(end for _, end in windows) - TOLERANCE_S))]
                indices, counts = chosen_frames(seconds, windows, sampling)
                behind = int(np.searchsorted(times, windows[-1][0] - TOLERANCE_S))
                frames = self._pictures(video, indices, short_side, behind)
                end = video.end_s if len(seconds) == len(times) else None
        except BaseException:
            self.close()
            raise
        if end is not None:
            self.close()
        return PartClips(frames, times[indices], counts, end)

    def close(self) -> None:
        """Lets go of the video."""
        self._frames, self._video, self._source = iter(()), None, None
        self._forget()
        self._open.close()

    def _at(self, source: Source) -> Video:
        if self._video is None or source != self._source:
            self.close()
            self._video = self._open.enter_context(open_video(source))
            self._source = source
            self._rewind(self._video)
        return self._video

    def _rewind(self, video: Video) -> None:
        self._frames, self._next = video.raw_frames(0, len(video)), 0
        self._forget()

    def _forget(self, before: int | None = None) -> None:
        """Drops the frames before a number, or all."""
        while self._kept and (before is None or self._kept[0][0] < before):
            _, frame = self._kept.popleft()
            self._pixels -= frame.width * frame.height

    def _pictures(self, video: Video, indices: npt.NDArray[np.int64], short_side: int | None, behind: int) -> Rgb:
        """The frames of these numbers; those from number `behind` on are kept for the next part, as far as they go."""
        if not len(indices):
            return np.zeros((0, 1, 1, 3), np.uint8)
        needed, places = np.unique(indices, return_inverse=True)
        if needed[0] < self._next and (not self._kept or needed[0] < self._kept[0][0]):
            self._rewind(video)
        wanted = {int(number): at for at, number in enumerate(needed)}
        out: Rgb | None = None
        for number, frame in self._run(int(needed[-1])):
            if number in wanted:
                picture = video.picture(frame, short_side)
                out = np.empty((len(needed), *picture.shape), np.uint8) if out is None else out
                out[wanted[number]] = picture
        self._forget(behind)
        assert out is not None
        return out[places]

    def _run(self, last: int) -> Iterator[tuple[int, Any]]:
        """The frames that are kept, then those that follow, to number `last`."""
        yield from [(number, frame) for number, frame in self._kept if number <= last]
        while self._next <= last:
            frame = next(self._frames)
            self._kept.append((self._next, frame))
            self._pixels += frame.width * frame.height
            if self._pixels > KEPT_PIXELS:
                self._forget(self._kept[0][0] + 1)
            yield self._next, frame
            self._next += 1
