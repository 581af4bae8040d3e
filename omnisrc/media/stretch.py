"""The packets of a stretch of a video, without reading the rest of the file."""

from __future__ import annotations

from typing import Any, NamedTuple

import av
import numpy as np

from omnisrc.media.container import UNTIMED_FORMATS, Packets

EARLIER_S = (0.0, 1.0, 10.0, 60.0)
"""So much earlier than a stretch begins is looked for the keyframe that it needs, before all from the beginning is."""
BEHIND = 64
"""Packets behind the first keyframe among which the first frame is, where an edit list hides what comes before it."""
SLACK_S = 2.0
"""Without times of decoding, so far beyond the end of a stretch no packet can belong to it."""


class Untimed(Exception):
    """The container does not say when each frame is shown: only decoding all of it can tell."""


class Stretch(NamedTuple):
    """`packets` of the frames shown in a stretch, or None where there are none; `end` is the tick at which the video
    ends, or None where it goes on."""

    packets: Packets | None
    end: int | None


def first_tick(container: Any, stream: Any) -> int:
    """The time of the first frame that is shown, in ticks. Raises Untimed."""
    refuse_untimed(container, stream)
    found: list[int] = []
    begun = 0
    for packet in container.demux(stream):
        if not packet.size or (not begun and not packet.is_keyframe):
            continue
        if packet.pts is None:
            raise Untimed
        begun += 1
        if not packet.is_discard:
            found.append(packet.pts)
        if found and (begun == 1 or begun > BEHIND):
            break
    if not found:
        raise Untimed
    return min(found)


def read_stretch(container: Any, stream: Any, start: int, stop: int, first: int) -> Stretch:
    """What is shown from the tick `start` to before `stop`; `first` is the video's first tick. Raises Untimed."""
    refuse_untimed(container, stream)
    second = round(1 / stream.time_base)
    for earlier in (*EARLIER_S, None):
        place = first if earlier is None else max(first, start - round(earlier * second))
        rows, end = _rows(container, stream, place, stop, second, start if place > first else None)
        if rows is not None:
            return Stretch(_packets(rows, start, stop), end)
    raise Untimed


def refuse_untimed(container: Any, stream: Any) -> None:
    if container.format.name in UNTIMED_FORMATS and stream.codec_context.has_b_frames:
        raise Untimed


def _rows(
    container: Any, stream: Any, place: int, stop: int, second: int, needed: int | None
) -> tuple[list[Any] | None, int | None]:
    """The packets from the keyframe at `place` on, until none can be shown before `stop`, and where the video ends.

    None where the first keyframe comes later than `needed`: then it is too late for what is shown there.
    """
    container.seek(place if needed is not None else min(0, place), stream=stream, backward=True)
    rows: list[Any] = []
    end = 0
    try:
        for packet in container.demux(stream):
            if not packet.size or (not rows and not packet.is_keyframe):
                continue
            if packet.pts is None:
                raise Untimed
            if not rows and needed is not None and packet.pts > needed:
                return None, None
            if (packet.pts - SLACK_S * second if packet.dts is None else packet.dts) >= stop:
                return rows, None
            rows.append(packet)
            end = max(end, packet.pts + (packet.duration or 0))
    except av.error.MemoryError:
        raise
    except av.error.FFmpegError:
        pass  # a file that breaks off is read as far as it goes
    if not rows and needed is not None:
        return None, None  # the seek went beyond the last keyframe
    more = any(packet.pts >= stop for packet in rows)  # sent before the stretch ends, shown after it
    return rows, None if more else end


def _packets(rows: list[Any], start: int, stop: int) -> Packets | None:
    pts = np.array([packet.pts for packet in rows], np.int64)
    keyframe = np.array([packet.is_keyframe for packet in rows], np.bool_)
    hidden = np.array([packet.is_discard for packet in rows], np.bool_)
    order = np.argsort(pts, kind="stable")
    shown = order[~hidden[order] & (pts[order] >= start) & (pts[order] < stop)]
    if not len(shown):
        return None
    if np.any(np.diff(pts[shown]) <= 0):
        raise Untimed
    last = int(shown[-1])
    return Packets(pts, keyframe, shown, int(pts[last]) + (rows[last].duration or 0), True, rows)
