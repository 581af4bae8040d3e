"""Open a video file of any origin: the demuxer that its bytes ask for and no other, its video stream, its packets.

Reading all packets of a clip costs less than a millisecond and gives what headers only claim: how many frames there
are, when each is shown, and from which keyframe each can be reached.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any, Final

import av
import numpy as np
import numpy.typing as npt

from omnisrc.errors import ErrorClass, ItemError
from omnisrc.media.image import MAX_PIXELS
from omnisrc.media.sniff import sniff
from omnisrc.media.source import Source, open_source, read_head, source_size

DEMUXERS: Final = {
    "video/mp4": "mp4",
    "video/quicktime": "mov",
    "video/webm": "matroska",
    "video/x-matroska": "matroska",
    "video/x-msvideo": "avi",
    "video/mpeg": "mpeg",
    "video/ogg": "ogg",
    "video/mp2t": "mpegts",
    "video/x-flv": "flv",
}
ISO_FORMATS = frozenset({"mp4", "mov"})
"""Demuxers, by the names above, of files with an index of all packets."""
HEADER_ALONE: dict[str, Any] = {
    "options": {"probesize": "2048"},
    "stream_options": [{"skip_frame": "all"}] * 8,
}
"""Has FFmpeg believe the header of a file that has one: otherwise it decodes a frame of each stream as it opens it,
which takes 0.8 of the 1.0 ms of a short clip, and reads megabytes of a long one."""
KEEP_BYTES = 256 << 20
"""Packets of a source up to this size stay in memory, which makes seeking free; beyond it they are read again."""
ELEMENTARY = b"\x00\x00\x01\xb3"
"""MPEG-1 and -2 video without a container begin like this."""

UNTIMED_FORMATS = frozenset({"avi", "mpegvideo"})
"""They store frames in the order of decoding without saying when each is shown; FFmpeg makes times up."""


@dataclass(frozen=True)
class Packets:
    """What the packets of a video stream say, in the order of decoding.

    `pts` (P,) ticks of the stream's time base, `keyframe` (P,). `shown` are the numbers of the packets whose frames are
    shown, in the order of presentation: not those before the first keyframe (nothing can be decoded there) nor those
    that an edit list hides. `end` is the tick at which the last frame ends. `timed` is False where the container does
    not say when each frame is shown (pts missing, or twice): then only decoding can tell. `kept` are the packets
    themselves, or nothing for a large source.
    """

    pts: npt.NDArray[np.int64]
    keyframe: npt.NDArray[np.bool_]
    shown: npt.NDArray[np.int64]
    end: int
    timed: bool
    kept: list[Any] = field(repr=False)


@contextmanager
def decoding(*others: type[Exception]) -> Iterator[None]:
    """Errors of FFmpeg, and `others`, become `ItemError(DECODE)`; too little memory stays `MemoryError`."""
    known: tuple[type[Exception], ...] = (av.error.FFmpegError, *others)
    try:
        yield
    except MemoryError:
        raise
    except known as error:
        raise ItemError(ErrorClass.DECODE, getattr(error, "strerror", None) or str(error)) from error


@contextmanager
def open_container(source: Source) -> Iterator[tuple[Any, Any]]:
    """The PyAV container and its first real video stream (cover art of a song is none).

    Errors: EMPTY, NOT_MEDIA (by its bytes, or sound alone), DECODE (does not open), BOMB (pixels), STORAGE.
    """
    if source_size(source) == 0:
        raise ItemError(ErrorClass.EMPTY, "no bytes")
    head = read_head(source)
    kind = sniff(head)
    if kind not in DEMUXERS:
        raise ItemError(ErrorClass.NOT_MEDIA, f"{kind or 'no known type'} instead of a video")
    demuxer = "mpegvideo" if head.startswith(ELEMENTARY) else DEMUXERS[kind]
    file = open_source(source)
    try:
        with decoding(ValueError, OverflowError):
            quick = HEADER_ALONE if demuxer in ISO_FORMATS else {}
            container = av.open(file, format=demuxer, metadata_errors="replace", buffer_size=1 << 20, **quick)
        with container:
            yield container, video_stream(container)
    finally:
        file.close()


def video_stream(container: Any) -> Any:
    """The stream to decode, set to one thread: many videos are decoded at once, each of them small."""
    streams = [s for s in container.streams.video if not s.disposition & av.stream.Disposition.attached_pic]
    if not streams:
        raise ItemError(ErrorClass.NOT_MEDIA, "no video stream")
    stream = streams[0]
    if stream.codec_context is None:
        raise ItemError(ErrorClass.DECODE, "no decoder for this video")
    if stream.width * stream.height > MAX_PIXELS:
        raise ItemError(ErrorClass.BOMB, f"{stream.width}x{stream.height} is more than {MAX_PIXELS} pixels")
    stream.thread_type = "NONE"
    stream.thread_count = 1
    return stream


def scan(container: Any, stream: Any, size: int) -> Packets:
    """Read every packet of the stream once; a file that breaks off is read as far as it goes."""
    packets: list[Any] = []
    rows: list[tuple[int | None, bool, bool, int | None]] = []
    try:
        for packet in container.demux(stream):
            if packet.size:  # an empty one is a repeated frame of AVI, or the end
                rows.append((packet.pts, packet.is_keyframe, packet.is_discard, packet.duration))
                if size <= KEEP_BYTES:
                    packets.append(packet)
    except av.error.MemoryError:
        raise
    except av.error.FFmpegError as error:
        if not rows:
            raise ItemError(ErrorClass.DECODE, f"no packet can be read: {error.strerror}") from error
    if not rows:
        raise ItemError(ErrorClass.DECODE, "a video without frames")
    pts = np.array([0 if row[0] is None else row[0] for row in rows], np.int64)
    keyframe = np.array([row[1] for row in rows], np.bool_)
    hidden = np.array([row[2] for row in rows], np.bool_)
    first = int(keyframe.argmax())
    order = np.argsort(pts, kind="stable")
    shown = order[~hidden[order] & (order >= first) & (pts[order] >= pts[first])]
    steps = np.diff(pts[shown])
    told = container.format.name not in UNTIMED_FORMATS or not stream.codec_context.has_b_frames
    timed = told and all(row[0] is not None for row in rows) and len(shown) > 0 and bool(np.all(steps > 0))
    end = 0
    if timed:
        end = int(pts[shown[-1]]) + (rows[shown[-1]][3] or (int(np.median(steps)) if len(steps) else 0))
    return Packets(pts, keyframe, shown, end, timed, packets)


def packets_from(container: Any, stream: Any, packets: Packets, start: int) -> Iterator[tuple[int, Any]]:
    """The packets and their numbers from number `start` on, to the end; `start` is 0 or a keyframe."""
    if packets.kept:
        yield from enumerate(packets.kept[start:], start)
        return
    numbers = {int(pts): number for number, pts in enumerate(packets.pts)} if packets.timed else {}
    beginning = min(0, int(packets.pts.min()))
    for target in (int(packets.pts[start]), beginning) if start and numbers else (beginning,):
        container.seek(target, stream=stream, backward=True)
        reading = (packet for packet in container.demux(stream) if packet.size)
        first = next(reading, None)
        number = 0 if first is None or target == beginning else numbers.get(first.pts, start + 1)
        if number <= start:  # else the index of the file is wrong here: read from the beginning
            following = chain([first] if first is not None else [], reading)
            yield from islice(enumerate(following, number), start - number, None)
            return
