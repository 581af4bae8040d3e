"""Decode chosen frames of a video, each from the nearest keyframe before it.

Of the frames between that keyframe and the wanted one, those that no other frame refers to are left out, which does
not change a bit of the others. A group of frames is drained before the next one is entered, so no frame beyond the
last wanted one is decoded either.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import groupby, pairwise
from typing import Any, NamedTuple

import av
import numpy as np
import numpy.typing as npt

from omnisrc.errors import ErrorClass, ItemError
from omnisrc.media.container import Packets, packets_from, scan
from omnisrc.media.index import group_index

SKIPPABLE = frozenset({"h264", "hevc", "mpeg4", "mpeg2video", "mpeg1video", "vp9"})
"""Decoders that can leave out a frame that no other refers to."""
KEEP_PIXELS = 64 << 20
"""Of a video that has to be decoded to be counted, up to so many pixels are kept for when its frames are asked for."""
LEADING = 16
"""Frames that an index may count although they cannot be shown: those that a first, open group lacks its past for."""


class Target(NamedTuple):
    """A wanted frame: its number in the video, its time in ticks, and the number of its packet."""

    frame: int
    pts: int
    packet: int


class FrameDecoder:
    """Finds frames by their number in the order of presentation; `len` is how many there are."""

    def __init__(self, container: Any, stream: Any, size: int, packets: Packets | None = None) -> None:
        """`packets`: those of a part of the video, kept; then its frames are all that there are."""
        self._container, self._stream, self._size = container, stream, size
        self._context = stream.codec_context
        self._skippable = stream.codec_context.name in SKIPPABLE
        self._used = False
        self._kept: list[Any] = []
        self._index = self.index = group_index(container, stream) if packets is None else None
        self._moved = False
        if packets is not None:
            self.packets = packets

    def __len__(self) -> int:
        return self._index.count if self._index is not None else len(self.pts)

    @cached_property
    def packets(self) -> Packets:
        """What all packets say."""
        if self._moved:
            self._container.seek(0, stream=self._stream, backward=True)
        self._index, index = None, self._index  # its place in the file is lost, and it is not needed any more
        packets = scan(self._container, self._stream, self._size)
        if index is not None and len(packets.shown) < index.count - LEADING:
            raise ItemError(ErrorClass.DECODE, f"{len(packets.shown)} frames instead of {index.count}")
        return packets

    @cached_property
    def pts(self) -> npt.NDArray[np.int64]:
        """The times of all frames (N,) in ticks."""
        return self.packets.pts[self.packets.shown] if self.packets.timed else self._count_frames()

    def first(self) -> Any:
        """The first frame, of which only its own packet is read where the file has an index."""
        if self._index is not None and not self._moved:
            self._moved = True
            packet = next((packet for packet in self._container.demux(self._stream) if packet.size), None)
            if packet is not None and packet.is_keyframe:
                self._rewind(0)
                frames = [*self._send(packet), *self._send(None)]
                if frames:
                    return frames[0]
        [(_, frame)] = self.decode([0])
        return frame

    def decode(self, indices: Sequence[int]) -> Iterator[tuple[int, Any]]:
        """(index, frame) for ascending indices. A damaged frame is replaced by the one shown before it; where a whole
        group gives no frame: `ItemError(DECODE)`."""
        left = list(indices)
        while left and self._index is not None:
            start, stop = self._index.group_of(left[0])
            self._moved = True
            packets = self._index.read(start, stop)
            if packets is None:
                break
            order = np.argsort([packet.pts for packet in packets])
            targets = [Target(i, packets[order[i - start]].pts, int(order[i - start])) for i in left if i < stop]
            yield from self._decode_group(enumerate(packets), targets, reorder_depth(order))
            left = left[len(targets) :]
        if left:
            yield from self._decode_scanned(left)

    def _decode_scanned(self, indices: list[int]) -> Iterator[tuple[int, Any]]:
        if not self.packets.timed:
            yield from self._decode_in_order(indices)
            return
        depth = reorder_depth(np.argsort(self.packets.pts, kind="stable"))
        for key, group in groupby(indices, self._key_of):
            places = [(i, min(i, len(self.pts) - 1)) for i in group]
            targets = [Target(i, int(self.pts[p]), int(self.packets.shown[p])) for i, p in places]
            packets = packets_from(self._container, self._stream, self.packets, key)
            yield from self._decode_group(packets, targets, depth)

    def _key_of(self, index: int) -> int:
        """The packet to begin with: the last keyframe that is neither shown nor sent after the frame."""
        index = min(index, len(self.pts) - 1)
        keys = np.flatnonzero(self.packets.keyframe[: self.packets.shown[index] + 1])
        fitting = np.flatnonzero(self.packets.pts[keys] <= self.pts[index])
        return int(keys[fitting[-1]]) if len(fitting) else 0

    def _decode_group(
        self, packets: Iterable[tuple[int, Any]], targets: list[Target], depth: int
    ) -> Iterator[tuple[int, Any]]:
        waiting = targets[::-1]
        latest = None
        for frame in self._group_frames(packets, {target.packet for target in targets}, depth):
            time = frame.pts  # whoever gets the frame may give it another time
            while waiting and waiting[-1].pts <= time:
                damaged = waiting[-1].pts < time and latest is not None
                yield waiting.pop().frame, latest if damaged else frame
            latest = frame
        if waiting and latest is None:
            raise ItemError(ErrorClass.DECODE, f"no frame can be decoded at {len(waiting)} places")
        for target in reversed(waiting):
            yield target.frame, latest

    def _group_frames(self, packets: Iterable[tuple[int, Any]], wanted: set[int], depth: int) -> Iterator[Any]:
        self._rewind(depth)
        last = max(wanted)
        for number, packet in packets:
            if number > last:
                break
            if self._skippable:
                self._context.skip_frame = "DEFAULT" if number in wanted else "NONREF"
            yield from self._send(packet)
        yield from self._send(None)

    def _send(self, packet: Any | None) -> list[Any]:
        """Frames that come out when a packet goes in; a packet that is damaged gives none, as in a player."""
        try:
            frames: list[Any] = self._context.decode(packet)
        except av.error.MemoryError:
            raise
        except av.error.FFmpegError:
            return []
        return frames

    def _rewind(self, depth: int) -> None:
        if self._used:
            self._context.flush_buffers()
        self._used = True
        if depth and self._context.name == "h264":  # without it, frames that come late are dropped
            self._context.reorder_depth = max(self._context.reorder_depth, depth)

    def _all_frames(self) -> Iterator[Any]:
        self._rewind(0)
        for _, packet in packets_from(self._container, self._stream, self.packets, 0):
            yield from self._send(packet)
        yield from self._send(None)

    def _decode_in_order(self, indices: list[int]) -> Iterator[tuple[int, Any]]:
        waiting, latest = indices[::-1], None
        for index, frame in enumerate(self._kept or self._all_frames()):
            latest = frame
            while waiting and waiting[-1] == index:
                yield waiting.pop(), frame
            if not waiting:
                return
        if latest is None:
            raise ItemError(ErrorClass.DECODE, "no frame can be decoded")
        for index in reversed(waiting):
            yield index, latest

    def _count_frames(self) -> npt.NDArray[np.int64]:
        """Times of a video whose packets do not tell them: those of the frames, or else steps of the mean rate."""
        times = []
        room = KEEP_PIXELS
        for frame in self._all_frames():
            times.append(frame.pts)
            room -= frame.width * frame.height
            if room > 0:
                self._kept.append(frame)
        if room <= 0:
            self._kept = []
        if not times:
            raise ItemError(ErrorClass.DECODE, "no frame can be decoded")
        if all(time is not None for time in times) and all(a < b for a, b in pairwise(times)):
            return np.array(times, np.int64)
        rate = self._stream.average_rate or self._stream.guessed_rate or 25
        return np.array([round(number / rate / self._stream.time_base) for number in range(len(times))], np.int64)


def reorder_depth(order: npt.NDArray[np.int64]) -> int:
    """By how many places at most a frame is sent later than it is shown; `order` (P,) are the packets as shown."""
    return int(max(0, (order - np.arange(len(order))).max()))
