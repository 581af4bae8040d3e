"""Rendered frames into files: H.264 or VP8 video, JPEG stills."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import cv2
import numpy as np

from omnisrc.demo.drawing import Frame

ENCODERS = {
    ".mp4": ("libx264", {"preset": "superfast", "crf": "23", "threads": "1"}),
    ".webm": ("libvpx", {"deadline": "realtime", "cpu-used": "-8", "crf": "12", "b": "1M", "threads": "1"}),
}


def write_video(path: Path, shot: np.ndarray, fps: float) -> None:
    """Writes (frames, H, W, 3) uint8 RGB with even sides; the codec goes by the suffix, .mp4 or .webm."""
    name, options = ENCODERS[path.suffix]
    # bitexact: Matroska would hold a random id otherwise; a negative cpu-used is a speed that no clock adapts
    with av.open(str(path), "w", container_options={"fflags": "+bitexact"}) as container:
        rate = Fraction(fps).limit_denominator(1000)
        stream = cast(av.VideoStream, container.add_stream(name, rate=rate, options=options))
        stream.height, stream.width = shot.shape[1:3]
        stream.pix_fmt = "yuv420p"
        for picture in shot:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))


def jpeg(picture: Frame, quality: int) -> bytes:
    """(H, W, 3) uint8 RGB -> JPEG bytes."""
    _, data = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return bytes(data)


def resized(picture: Frame, width: int, height: int) -> Frame:
    smaller = width < picture.shape[1]
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC)
