"""Optical flow between neighbouring frames, and the bytes that it is kept as.

A field (H, W, 2) float32 holds for each pixel of a frame how far it moves until the next one: x to the right, y
downwards, in pixels of the frames that were compared. OpenCV's methods are here; RAFT, which needs torch, is in
`omnisrc.flow.raft`.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray

from omnisrc.errors import ErrorClass, ItemError
from omnisrc.media.phash import Rgb
from omnisrc.media.source import Source
from omnisrc.media.video import Video, open_video

Field = NDArray[np.float32]  # (H, W, 2)
Levels = NDArray[np.uint8]  # (..., 2), quantised x and y
Grey = NDArray[np.uint8]  # (H, W)
Estimate = Callable[[Grey, Grey], Field]
Format = Literal["jpeg", "png"]

OPENCV_METHODS = ("dis", "tvl1", "farneback")
LEVELS = 255
SUFFIX = {"jpeg": "jpg", "png": "png"}
FIXED_DATE = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class FlowChunk:
    """Some of a clip's fields as images, x and y of the first, x and y of the second, and so on; `frames` are those of
    the whole clip, `fps` their rate."""

    images: list[bytes]
    frames: int
    width: int
    height: int
    fps: float


def is_there(method: str) -> bool:
    """Whether this OpenCV has the method; TV-L1 is in builds with the contributed modules alone."""
    if method == "tvl1":
        return hasattr(getattr(cv2, "optflow", None), "DualTVL1OpticalFlow_create")
    return method in OPENCV_METHODS


def opencv_version() -> str:
    return f"OpenCV {cv2.__version__}"


def estimator(method: str) -> Estimate:
    """(frame, next frame), both grey (H, W) uint8 -> their field.

    DIS at its medium preset, the others as OpenCV's defaults have them (Farneback's are those of its documentation).
    `ValueError` for a method that is not there.
    """
    if not is_there(method):
        raise ValueError(f"this OpenCV has no method {method}")
    cv: Any = cv2  # its type hints name neither DIS nor what contributed modules add
    if method == "farneback":
        return lambda one, two: _field(cv.calcOpticalFlowFarneback(one, two, None, 0.5, 3, 15, 3, 5, 1.2, 0))
    if method == "dis":
        estimate = cv.DISOpticalFlow_create(cv.DISOPTICAL_FLOW_PRESET_MEDIUM)
    else:
        estimate = cv.optflow.DualTVL1OpticalFlow_create()
    return lambda one, two: _field(estimate.calc(np.ascontiguousarray(one), np.ascontiguousarray(two), None))


def _field(found: Any) -> Field:
    return np.asarray(found, dtype=np.float32)


def grey_of(picture: Rgb) -> Grey:
    """What OpenCV's methods compare."""
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(picture), cv2.COLOR_RGB2GRAY), dtype=np.uint8)


def quantise(field: Field, bound: float = 20.0) -> Levels:
    """Displacements in [-bound, bound] (others are clipped) to 0..255, truncated: TSN's and MMAction2's rule.

    With a bound of 20: 0 -> 127, 5 -> 159, -5 -> 95, 0.1 -> 128; a step is 0.157 pixels.
    """
    scaled = (np.clip(field, -bound, bound).astype(np.float32) + np.float32(bound)) * np.float32(LEVELS)
    return (scaled / np.float32(2 * bound)).astype(np.uint8)


def dequantise(levels: Levels, bound: float = 20.0) -> Field:
    """The middle of each level's step: at most half a step from what `quantise` was given, inside the bound."""
    middles = (levels.astype(np.float32) + np.float32(0.5)) * np.float32(2 * bound / LEVELS) - np.float32(bound)
    return np.asarray(np.minimum(middles, np.float32(bound)), dtype=np.float32)


def encode_levels(levels: Levels, form: Format, quality: int = 95) -> tuple[bytes, bytes]:
    """x and y of one field (H, W, 2) as two grey images."""
    one, two = (_encoded(np.ascontiguousarray(levels[..., at]), form, quality) for at in (0, 1))
    return one, two


def _encoded(plane: Grey, form: Format, quality: int) -> bytes:
    if form == "png":
        return bytes(cv2.imencode(".png", plane)[1])
    return bytes(simplejpeg.encode_jpeg(plane[..., None], quality=quality, colorspace="GRAY"))


def decode_levels(x: bytes, y: bytes) -> Levels:
    """(H, W, 2) from the two images. `ItemError(DECODE)` for what is none."""
    planes = [cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE) for data in (x, y) if data]
    found = [np.asarray(plane, dtype=np.uint8) for plane in planes if plane is not None]
    if len(found) < 2 or found[0].shape != found[1].shape:
        raise ItemError(ErrorClass.DECODE, "not the images of a flow field")
    return np.stack(found, axis=-1)


def brought_down(levels: Levels, short_side: int) -> Levels:
    """A field (H, W, 2) scaled down to `short_side` as a picture is, never enlarged (0: as it is).

    What it says stays in pixels of the size at which it was estimated, by the custom of TSN and MMAction2.
    """
    height, width = levels.shape[:2]
    shrink = short_side / min(width, height) if short_side else 1.0
    if shrink >= 1.0:
        return levels
    size = (max(short_side, round(width * shrink)), max(short_side, round(height * shrink)))
    how = cv2.INTER_AREA if shrink <= 0.5 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(levels, size, interpolation=how), dtype=np.uint8)


def flow_chunk(
    source: Source,
    window: tuple[float, float],
    first: int,
    count: int,
    *,
    method: str,
    bound: float,
    short_side: int,
    form: Format,
    quality: int,
) -> FlowChunk:
    """The fields `first` .. `first + count - 1` (fewer at the clip's end) of a window of a video, quantised.

    Frames are scaled down to `short_side` (never enlarged) before they are compared. Errors: as `open_video`, and
    DECODE for a window of fewer than two frames, in which nothing moves.
    """
    estimate = estimator(method)
    images: list[bytes] = []
    with open_video(source) as video:
        start, stop = window_of(video, window)
        before: Grey | None = None
        wanted = range(start + first, min(start + first + count + 1, stop))
        for _, picture in video.each_frame(wanted, short_side):
            grey = grey_of(picture)
            if before is not None:
                images += encode_levels(quantise(estimate(before, grey), bound), form, quality)
            before = grey
        assert before is not None
        return FlowChunk(images, stop - start, before.shape[1], before.shape[0], rate_of(video, start, stop))


def frames_chunk(
    source: Source, window: tuple[float, float], first: int, count: int, *, short_side: int
) -> tuple[Rgb, int, float]:
    """The frames that the fields `first` .. `first + count - 1` lie between (n + 1, H, W, 3), for a method that runs
    elsewhere; how many the window has, and their rate. Errors: as `flow_chunk`."""
    with open_video(source) as video:
        start, stop = window_of(video, window)
        wanted = np.arange(start + first, min(start + first + count + 1, stop))
        return video.frames(wanted, short_side), stop - start, rate_of(video, start, stop)


def window_of(video: Video, window: tuple[float, float]) -> tuple[int, int]:
    """First frame and the one after the last of a window in seconds; (0, 0) is the whole video."""
    times = video.timestamps
    start, stop = 0, len(times)
    if window[1] > window[0]:
        start, stop = (int(place) for place in np.searchsorted(times, [window[0] - 1e-3, window[1] - 1e-3]))
    if stop - start < 2:
        raise ItemError(ErrorClass.DECODE, f"{stop - start} frames, and flow lies between two")
    return start, stop


def rate_of(video: Video, start: int, stop: int) -> float:
    """Frames a second between two frames; 0 where that cannot be said."""
    times = video.timestamps
    span = float(times[stop - 1] - times[start])
    return (stop - start - 1) / span if span > 0 else 0.0


def pack_flow(images: Sequence[bytes], about: Mapping[str, Any], form: Format) -> bytes:
    """The fields of one clip as an uncompressed zip of `x_00001.jpg`, `y_00001.jpg`, ...: unzipped, the raw frames that
    MMAction2 and TSN read. Its comment is `about` as JSON. Equal fields give equal bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as packed:
        for number, data in enumerate(images):
            name = f"{'xy'[number % 2]}_{number // 2 + 1:05d}.{SUFFIX[form]}"
            packed.writestr(zipfile.ZipInfo(name, FIXED_DATE), data)
        packed.comment = json.dumps(dict(about), sort_keys=True).encode()
    return buffer.getvalue()


class PackedFlow:
    """What `pack_flow` made: `len` is how many fields there are, `about` what it was told.

    Raises:
        ItemError: DECODE; these bytes are no packed flow.
    """

    def __init__(self, data: bytes) -> None:
        try:
            self._packed = zipfile.ZipFile(io.BytesIO(data))
            self.about: dict[str, Any] = json.loads(self._packed.comment)
        except (zipfile.BadZipFile, ValueError) as error:
            raise ItemError(ErrorClass.DECODE, f"not packed flow: {error}") from error
        self._names = self._packed.namelist()

    def __len__(self) -> int:
        return len(self._names) // 2

    def fields(self, indices: Sequence[int] | NDArray[np.integer[Any]]) -> Iterator[Levels]:
        """The fields (H, W, 2) of these numbers, counted from 0."""
        for index in indices:
            one, two = (self._packed.read(self._names[2 * int(index) + at]) for at in (0, 1))
            yield decode_levels(one, two)
