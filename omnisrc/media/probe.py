"""What a video is: its size as shown, its length, its rate; found by reading it, not by believing its header."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from omnisrc.errors import ErrorClass, ItemError
from omnisrc.media.container import ISO_FORMATS, Packets, decoding, open_container
from omnisrc.media.decode import FrameDecoder
from omnisrc.media.index import GroupIndex
from omnisrc.media.source import Source, read_head, source_size

RIFF_SLACK = 2048
"""Bytes by which writers of AVI get their own size wrong without anything missing."""
LONGEST_FRAME_S = 10.0
"""So long a frame may be shown on average: a few frames that claim to last for days would be cut into as many windows
as fit into days."""
UNSEEN = {"skip_loop_filter": "all", "skip_idct": "all"}
"""Options of a decoder whose pictures nobody will look at: it reads every symbol, and leaves out what comes after."""
CODEC_NAMES = {"libdav1d": "av1", "libvpx": "vp8", "libvpx-vp9": "vp9"}


@dataclass(frozen=True)
class VideoInfo:
    """A video as it is shown: `width` and `height` upright, `duration` in seconds, `fps` the mean rate.

    `rotation` is how far its frames must be turned counter-clockwise (0, 90, 180, 270); `vfr`: its rate varies.
    """

    width: int
    height: int
    duration: float
    fps: float
    frames: int
    codec: str
    rotation: int
    pix_fmt: str
    vfr: bool


def probe_video(source: Source) -> VideoInfo:
    """Read a video's index, or where it has none its packets, and decode its first frame.

    Errors: EMPTY, NOT_MEDIA (no video, sound alone), DECODE (does not open, holds no frame that decodes, or breaks
    off before its end), BOMB (pixels, or few frames over a long time), STORAGE.
    """
    size = source_size(source)
    with open_container(source) as (container, stream), decoding():
        stream.codec_context.options = UNSEEN
        decoder = FrameDecoder(container, stream, size)
        by_index = decoder.index and times_by_index(container, stream, decoder.index, size)
        if by_index:
            return describe(stream, *by_index, decoder.first())
        refuse_cut_off(container, stream, decoder.packets, size, read_head(source))
        return describe(stream, decoder.pts, decoder.packets.end if decoder.packets.timed else None, decoder.first())


def times_by_index(
    container: Any, stream: Any, index: GroupIndex, size: int
) -> tuple[npt.NDArray[np.int64], int] | None:
    """Times (N,) in ticks that lie between each other as those of the frames do, and when the last frame ends.

    The index knows the times of decoding. At a steady rate they are those of presentation, all moved by the same; None
    at any other, and where the file ends before its index or its header says.
    """
    times = np.array(index.times, np.int64)
    steps = np.diff(times)
    if index.end > size or varies(steps * float(stream.time_base)):
        return None
    last = (stream.duration or 0) - int(times[-1] - times[0])
    if last <= 0:
        last = int(np.median(steps)) if len(steps) else 0
    end = int(times[-1]) + last
    return None if breaks_off(container, (end - int(times[0])) * stream.time_base) else (times, end)


def describe(stream: Any, pts: npt.NDArray[np.int64], end: int | None, first: Any) -> VideoInfo:
    """The facts of a video from its frames' times (N,) in ticks, when the last one ends, and its first frame.

    Raises ItemError(BOMB).
    """
    base = float(stream.time_base)
    steps = np.diff(pts) * base
    exact = int(pts[-1] - pts[0]) * stream.time_base
    span, fps = float(exact), float(len(steps) / exact if exact > 0 else stream.average_rate or 25)
    told = 0.0 if end is None else (end - int(pts[0])) * base
    duration = max(told, span + 1 / fps if told <= span else 0.0)
    if duration > len(pts) * LONGEST_FRAME_S:
        raise ItemError(ErrorClass.BOMB, f"{len(pts)} frames that play for {duration:.0f} s")
    rotation = round(first.rotation / 90) * 90 % 360
    width, height = (first.height, first.width) if rotation % 180 else (first.width, first.height)
    name = stream.codec_context.name
    return VideoInfo(
        width=width,
        height=height,
        duration=duration,
        fps=fps,
        frames=len(pts),
        codec=CODEC_NAMES.get(name, name),
        rotation=rotation,
        pix_fmt=first.format.name,
        vfr=varies(steps),
    )


def varies(steps: npt.NDArray[np.float64]) -> bool:
    """Whether the seconds between frames differ by more than the rounding of containers to milliseconds explains."""
    if len(steps) < 2:
        return False
    usual = float(np.median(steps))
    return bool(np.abs(steps - usual).max() > max(0.25 * usual, 0.0015))


def refuse_cut_off(container: Any, stream: Any, packets: Packets, size: int, head: bytes) -> None:
    """`ItemError(DECODE)` for a file that ends before what its header or index promises."""
    least_size = 0
    if container.format.name in ISO_FORMATS:
        least_size = max((entry.pos + entry.size for entry in stream.index_entries), default=0)
    elif head.startswith(b"RIFF") and head[4:8] != b"\xff\xff\xff\xff":
        least_size = int.from_bytes(head[4:8], "little") - RIFF_SLACK
    if least_size > size:
        raise ItemError(ErrorClass.DECODE, f"cut off: {size} bytes of at least {least_size}")
    if not packets.timed:
        return
    found = float((packets.end - int(packets.pts.min())) * stream.time_base)
    if breaks_off(container, found) and breaks_off(container, end_of_streams(container)):
        raise ItemError(ErrorClass.DECODE, f"cut off: {found:.1f} s of {container.duration / 1e6:.1f} s")


def breaks_off(container: Any, found: float) -> bool:
    """Whether `found` seconds are less than the header promises. Headers round, and count the last frame in or not."""
    promised = (container.duration or 0) / 1e6
    return float(found) < promised - max(0.1 * promised, 0.25)


def end_of_streams(container: Any) -> float:
    """Seconds from the first to the last packet of any stream: sound may go on after the picture."""
    container.seek(0)
    times = [
        float(packet.dts * packet.time_base) for packet in container.demux() if packet.dts is not None and packet.size
    ]
    return max(times) - min(times) if times else 0.0
