"""Random access to the frames of a video, by their number in the order of presentation: RGB, upright, to the bit what
a decode from start to end gives."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from av.video.reformatter import Interpolation, VideoReformatter

from omnisrc.media.container import Packets, decoding, open_container
from omnisrc.media.decode import FrameDecoder
from omnisrc.media.phash import Rgb
from omnisrc.media.probe import VideoInfo, describe
from omnisrc.media.source import Source, source_size

Indices = Sequence[int] | npt.NDArray[np.integer[Any]]


@contextmanager
def open_video(source: Source) -> Iterator[Video]:
    """Open a video for reading frames; the file is closed at the end of the `with`.

    Errors, here and from its methods: EMPTY, NOT_MEDIA, DECODE, BOMB, STORAGE. A file that breaks off is read as far
    as it goes (`probe_video` refuses it).
    """
    size = source_size(source)
    with open_container(source) as (container, stream), decoding():
        yield Video(container, stream, size)


class Video:
    """An open video, from `open_video`; `len` is how many frames it has."""

    def __init__(self, container: Any, stream: Any, size: int, packets: Packets | None = None) -> None:
        self._stream = stream
        self._width, self._height = stream.width, stream.height  # as announced; what differs later is scaled to it
        self._decoder = FrameDecoder(container, stream, size, packets)
        self._reformatter = VideoReformatter()

    def __len__(self) -> int:
        return len(self._decoder)

    @cached_property
    def timestamps(self) -> npt.NDArray[np.float64]:
        """Seconds since the first frame at which each frame (N,) is shown; reads every packet."""
        seconds: npt.NDArray[np.float64] = (self._decoder.pts - self._decoder.pts[0]) * float(self._stream.time_base)
        return seconds

    @cached_property
    def info(self) -> VideoInfo:
        """Size, length and rate. Reads every packet and decodes the first frame, which knows how it is turned."""
        [(_, first)] = self._decoder.decode([0])
        packets = self._decoder.packets
        return describe(self._stream, self._decoder.pts, packets.end if packets.timed else None, first)

    @property
    def keyframes(self) -> list[int]:
        """Numbers of the frames that need no other to be decoded; all that is known of a video without times is 0."""
        packets = self._decoder.packets
        return np.flatnonzero(packets.keyframe[packets.shown]).tolist() if packets.timed else [0]

    def frames(self, indices: Indices, short_side: int | None = None) -> Rgb:
        """The frames of these numbers, in any order, repeats allowed: (n, H, W, 3) RGB, upright.

        With `short_side` they are scaled down to it, never enlarged. A damaged frame is replaced by the one shown
        before it. `IndexError` for a number that is not in [0, len(video)), `ValueError` for no number at all.
        """
        wanted = np.asarray(indices, np.int64).reshape(-1)
        if wanted.min() < 0 or wanted.max() >= len(self):
            raise IndexError(f"frames {wanted.min()} to {wanted.max()} of a video with {len(self)}")
        needed, places = np.unique(wanted, return_inverse=True)
        out: Rgb | None = None
        for number, (_, picture) in enumerate(self.each_frame(needed.tolist(), short_side)):
            if out is None:
                out = np.empty((len(needed), *picture.shape), np.uint8)
            out[number] = picture
        assert out is not None
        return out if np.array_equal(places, np.arange(len(needed))) else out[places]

    def each_frame(self, indices: Iterable[int], short_side: int | None = None) -> Iterator[tuple[int, Rgb]]:
        """As `frames`, for ascending numbers, one (number, picture) at a time; a picture may be a view that is only
        valid until the next one."""
        width, height = self._size(short_side)
        for index, frame in self._decoder.decode(list(indices)):
            yield index, turned(self._to_rgb(frame, width, height), frame)

    @cached_property
    def end_s(self) -> float:
        """When the last frame ends, in seconds since the first."""
        times, packets = self.timestamps, self._decoder.packets
        usual = float(np.median(np.diff(times))) if len(times) > 1 else 0.04
        told = (packets.end - self._decoder.pts[0]) * float(self._stream.time_base) if packets.timed else 0.0
        return max(told, float(times[-1]) + (0.0 if told > times[-1] else usual))

    def picture(self, frame: Any, short_side: int | None = None) -> Rgb:
        """A frame of `raw_frames` as `frames` gives it; it may be a view that is only valid until the next one."""
        return turned(self._to_rgb(frame, *self._size(short_side)), frame)

    def raw_frames(self, start: int, stop: int, step: int = 1) -> Iterator[Any]:
        """FFmpeg's own frames of these numbers, one after another: not yet scaled, converted or turned."""
        for _, frame in self._decoder.decode(list(range(start, stop, step))):
            yield frame

    def index_at(self, seconds: float) -> int:
        """The number of the frame that is on screen at a time (the first before it begins, the last after its end)."""
        return max(0, int(np.searchsorted(self.timestamps, seconds + 1e-6, side="right")) - 1)

    def _size(self, short_side: int | None) -> tuple[int, int]:
        """Width and height as stored, before the frame is turned."""
        factor = 1.0 if short_side is None else min(self._width, self._height) / short_side
        if factor <= 1:
            return self._width, self._height
        return max(1, round(self._width / factor)), max(1, round(self._height / factor))

    def _to_rgb(self, frame: Any, width: int, height: int) -> Rgb:
        """A view (height, width, 3) of the converted frame, valid until it is dropped."""
        with decoding(ValueError):  # pixel formats that cannot be converted
            rgb: Any = self._reformatter.reformat(
                frame, width=width, height=height, format="rgb24", interpolation=Interpolation.BILINEAR, threads=1
            )
        plane = rgb.planes[0]
        rows: Rgb = np.frombuffer(plane, np.uint8).reshape(height, plane.line_size)
        return rows[:, : width * 3].reshape(height, width, 3)


def turned(picture: Rgb, frame: Any) -> Rgb:
    """A picture (H, W, 3) as its frame wants to be shown: turned counter-clockwise in steps of 90 degrees."""
    turns = round(frame.rotation / 90) % 4
    return np.rot90(picture, turns) if turns else picture
