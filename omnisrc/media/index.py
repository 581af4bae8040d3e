"""Read only the packets that are needed, where the file's own index (MP4, QuickTime) tells where they are.

The index names every packet's decoding time and which are keyframes, not when frames are shown. But a closed group of
frames (a keyframe and what follows, up to the next) fills the same places in the order of decoding and in that of
presentation, so the frame of any number can be found by reading its group alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np

from omnisrc.media.container import ISO_FORMATS


class GroupIndex:
    """The groups of frames of a video; get one from `group_index`.

    `count` frames in all, `times` their decoding times in ticks, `end` the first byte after the last packet's.
    """

    def __init__(self, container: Any, stream: Any, times: list[int], keys: list[int], end: int) -> None:
        self.count, self.times, self.end = len(times), times, end
        self._container, self._stream = container, stream
        self._keys = np.array([*keys, self.count])
        self._reading: Iterator[Any] = iter(())
        self._next = -1

    def group_of(self, frame: int) -> tuple[int, int]:
        """First packet and end of the group that holds a frame, by its number."""
        group = int(np.searchsorted(self._keys, frame, side="right"))
        return int(self._keys[group - 1]), int(self._keys[group])

    def read(self, start: int, stop: int) -> list[Any] | None:
        """The packets of a group, or None where the file is not as its index says, or the group is not closed."""
        if self._next != start:
            self._seek(start, stop)
        packets = []
        for packet in self._reading:
            if packet.dts is None or packet.dts < self.times[start]:
                continue
            packets.append(packet)
            if len(packets) == stop - start:
                break
        self._next = stop
        shown = [packet.pts for packet in packets]
        whole = [packet.dts for packet in packets] == self.times[start:stop] and None not in shown
        if not whole or not packets[0].is_keyframe or min(shown) != shown[0] or len(set(shown)) < len(shown):
            return None
        return packets

    def _seek(self, start: int, stop: int) -> None:
        """Go to a group, or before it: FFmpeg takes the time for one of presentation, and shifts it."""
        time = self.times[stop] - 1 if stop < self.count else self.times[-1]
        self._container.seek(time, stream=self._stream, backward=True)
        self._reading = (packet for packet in self._container.demux(self._stream) if packet.size)


def group_index(container: Any, stream: Any) -> GroupIndex | None:
    """The index of an open video, or None where it has none that can be used alone: other containers, fragmented
    files, frames hidden by an edit list."""
    entries = stream.index_entries
    if container.format.name not in ISO_FORMATS or not 0 < len(entries) == stream.frames:
        return None
    times, keys, end = [], [], 0
    for number, entry in enumerate(entries):
        times.append(entry.timestamp)
        end = max(end, entry.pos + entry.size)
        if entry.is_keyframe:
            keys.append(number)
        if entry.is_discard:
            return None
    if not keys or keys[0] != 0 or any(a >= b for a, b in pairwise(times)):
        return None
    return GroupIndex(container, stream, times, keys, end)
