"""Write frames into an H.264 video, one after another."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from omnisrc.errors import WorldError
from omnisrc.media.phash import Rgb

TICKS = 90_000
SHOWN = 50  # letters of the name in that of the part: names end at 255 bytes
X264 = {"preset": "veryfast", "crf": "20"}


class Film:
    """An open video, from `open_film`. All frames have the size of the first, made even by cutting a line off."""

    def __init__(self, out: Any, fps: float) -> None:
        self._out = out
        self._stream: Any = out.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001), options=X264)
        self._stream.codec_context.time_base = Fraction(1, TICKS)
        self._last = -1
        self.frames = 0

    def add(self, frame: Rgb, seconds: float) -> None:
        """A frame (H, W, 3) RGB that is shown from `seconds` on; later than the one before it."""
        frame = np.ascontiguousarray(frame[: frame.shape[0] // 2 * 2, : frame.shape[1] // 2 * 2])
        if not self.frames:
            self._stream.height, self._stream.width = frame.shape[:2]
            self._stream.pix_fmt = "yuv420p"
        picture = av.VideoFrame.from_ndarray(frame, "rgb24")
        self._last = max(self._last + 1, round(seconds * TICKS))
        picture.pts, picture.time_base = self._last, Fraction(1, TICKS)
        self._out.mux(self._stream.encode(picture))
        self.frames += 1

    def finish(self) -> None:
        self._out.mux(self._stream.encode(None))


@contextmanager
def open_film(path: Path, fps: float) -> Iterator[Film]:
    """An MP4 that appears at `path` when the block ends, and not at all when it fails or holds no frame.

    Raises:
        WorldError: it cannot be written.
    """
    part = path.with_name(f".{path.stem[:SHOWN]}.{os.getpid()}.part.mp4")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with av.open(str(part), "w", format="mp4", options={"movflags": "faststart"}) as out:
            film = Film(out, fps)
            yield film
            if film.frames:
                film.finish()
        if film.frames:
            part.replace(path)
    except (OSError, av.error.FFmpegError) as error:
        raise WorldError(f"The video {path} could not be written: {error.strerror or error}.") from error
    finally:
        with suppress(OSError):  # where it could not be made it cannot be removed
            part.unlink()
