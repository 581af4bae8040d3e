"""Cut a clip out of a video and encode it so that frames can be sampled from it fast."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

from omnisrc.errors import ErrorClass, ItemError
from omnisrc.media.source import Source
from omnisrc.media.video import Video, open_video

TIME_BASE = Fraction(1, 90_000)
"""Ticks of a clip: every common frame rate, NTSC's too, is a whole number of them."""
X264 = {"preset": "veryfast", "tune": "fastdecode", "threads": "1", "x264-params": "no-mbtree=1"}
"""`medium` takes twice the time for 1.1 dB (real clips, quality 23). Macroblock-tree rate control is off because with
AVX-512 it makes other bytes each time; at a keyframe every 12 frames it saves 1 % (measured). One thread, too, is for
equal bytes from equal input."""
SCALING = Interpolation.BICUBIC
AVCOL_SPC_RGB = 0


@dataclass(frozen=True)
class EncodedClip:
    """An H.264 clip in MP4: `fps` is its mean rate, `duration` in seconds."""

    data: bytes
    width: int
    height: int
    frames: int
    fps: float
    duration: float


def cut_clip(
    source: Source, start: float, end: float, *, short_side: int = 256, keyint: int = 12, crf: int = 23
) -> EncodedClip:
    """The frames shown from `start` to before `end` (seconds since the first frame), as H.264 without sound.

    The short side is scaled down to `short_side`, never up; sides are even; rotation is applied to the pixels; each
    frame keeps its time, so a variable rate stays one. A keyframe comes at least every `keyint` frames, and
    `fastdecode` leaves out what makes decoding slow. `ItemError(DECODE)` when no frame lies in the window.
    """
    with open_video(source) as video:
        first, stop = (int(np.searchsorted(video.timestamps, time - 1e-6)) for time in (start, end))
        if first >= stop:
            raise ItemError(ErrorClass.DECODE, f"no frame between {start:g} and {end:g} s of {video.info.duration:g} s")
        ticks = np.rint((video.timestamps[first:stop] - video.timestamps[first]) / float(TIME_BASE)).astype(int)
        width, height = clip_size(video.info.width, video.info.height, short_side)
        data = encode(prepared(video, first, stop, width, height), ticks.tolist(), video.info.fps, keyint, crf)
        span = Fraction(int(ticks[-1])) * TIME_BASE
        fps = float((len(ticks) - 1) / span) if span else video.info.fps
        return EncodedClip(data, width, height, len(ticks), fps, float(span) + 1 / fps)


def encode(frames: Iterator[Any], ticks: list[int], fps: float, keyint: int, crf: int) -> bytes:
    """Frames shown at these ticks of `TIME_BASE` as an MP4; equal input gives equal bytes."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as out:
        rate = Fraction(fps).limit_denominator(1001)
        stream: Any = out.add_stream("libx264", rate=rate, options={**X264, "crf": str(crf)})
        stream.codec_context.time_base = TIME_BASE
        for number, (frame, tick) in enumerate(zip(frames, ticks, strict=True)):
            if number == 0:
                stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, "yuv420p"
                stream.gop_size = keyint
                stream.codec_context.color_range = ColorRange.MPEG
                stream.codec_context.colorspace = frame.colorspace
            frame.pts, frame.time_base, frame.pict_type = tick, TIME_BASE, 0
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return buffer.getvalue()


def clip_size(width: int, height: int, short_side: int) -> tuple[int, int]:
    """Width and height of a clip: down to `short_side`, even (4:2:0 chroma needs it), at least 2."""
    factor = max(1.0, min(width, height) / short_side)
    return max(2, round(width / factor / 2 - 1e-9) * 2), max(2, round(height / factor / 2 - 1e-9) * 2)


def prepared(video: Video, first: int, stop: int, width: int, height: int) -> Iterator[Any]:
    """Frames ready for the encoder: scaled, upright, 8 bits, 4:2:0, limited range, in the source's colour matrix."""
    converter: Any = VideoReformatter()
    to_clip = {"format": "yuv420p", "interpolation": SCALING, "dst_color_range": ColorRange.MPEG, "threads": 1}
    turns = video.info.rotation // 90
    stored = (height, width) if turns % 2 else (width, height)
    for frame in video.raw_frames(first, stop):
        if turns:
            rgb = converter.reformat(frame, *stored, format="rgb24", interpolation=SCALING, threads=1)
            upright: Any = av.VideoFrame.from_ndarray(np.ascontiguousarray(np.rot90(rgb.to_ndarray(), turns)), "rgb24")
            yield upright.reformat(dst_colorspace=Colorspace.ITU601, **to_clip)
        else:
            clipped = converter.reformat(frame, *stored, **to_clip)
            if clipped.colorspace == AVCOL_SPC_RGB:
                clipped.colorspace = Colorspace.ITU601
            yield clipped
