"""Makes the images and videos that tests feed to the project: textured, moving, and broken in every wanted way.

Pure functions from parameters to bytes; nothing here touches the disk or the clock.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Sequence
from fractions import Fraction

import av
import numpy as np
import numpy.typing as npt
from PIL import Image

Rgb = npt.NDArray[np.uint8]


# ---------------------------------------------------------------- pictures


def texture(width: int, height: int, seed: int = 0) -> Rgb:
    """A smooth coloured pattern (H, W, 3), different for each seed, with detail at several scales."""
    rng = np.random.default_rng(seed)
    picture = np.zeros((height, width, 3), np.float32)
    for cells, weight in ((3, 1.0), (9, 0.6), (27, 0.3)):
        noise = rng.random((cells, cells, 3), np.float32)
        layers = [
            np.asarray(Image.fromarray(noise[..., c]).resize((width, height), Image.Resampling.BICUBIC))
            for c in range(3)
        ]
        picture += weight * np.stack(layers, -1)
    picture -= picture.min()
    return np.asarray(255 * picture / picture.max(), np.uint8)


def moving_frames(count: int, width: int, height: int, seed: int = 0, speed: int = 3) -> list[Rgb]:
    """Frames (H, W, 3) of a texture that slides behind a square that moves the other way; all frames differ."""
    wide = texture(width + speed * count + 1, height, seed)
    side = max(4, min(width, height) // 4)
    frames = []
    for number in range(count):
        frame = wide[:, number * speed : number * speed + width].copy()
        top = (height - side) * (number % 17) // 17
        left = (width - side) * (count - number) // max(1, count)
        frame[top : top + side, left : left + side] = (255 - 20 * seed % 200, 40 * seed % 255, 90)
        frames.append(frame)
    return frames


def image_bytes(
    width: int = 320, height: int = 240, *, kind: str = "JPEG", seed: int = 0, quality: int = 85,
    orientation: int | None = None, mode: str = "RGB",
) -> bytes:  # fmt: skip
    """One picture encoded by Pillow (JPEG, PNG, WEBP, GIF, BMP, TIFF, AVIF); `mode` as Pillow's (CMYK, LA, P, I;16)."""
    picture = Image.fromarray(texture(width, height, seed))
    if mode == "I;16":
        picture = Image.fromarray(np.asarray(picture.convert("L"), np.uint16) * 257)
    elif mode == "RGBA":
        picture.putalpha(Image.fromarray(np.tile(np.linspace(0, 255, width).astype(np.uint8), (height, 1))))
    elif mode != "RGB":
        picture = picture.convert(mode)
    buffer = io.BytesIO()
    options: dict[str, object] = {"quality": quality} if kind in ("JPEG", "WEBP", "AVIF") else {}
    if orientation is not None:
        exif = Image.Exif()
        exif[0x0112] = orientation
        options["exif"] = exif
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def png_bomb(width: int = 30_000, height: int = 30_000) -> bytes:
    """A valid one-bit PNG of gigantic size in a few hundred kilobytes."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    row = bytes(1 + (width + 7) // 8)
    deflate = zlib.compressobj(9)
    rows = b"".join(deflate.compress(row) for _ in range(height)) + deflate.flush()
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


# ---------------------------------------------------------------- video


def video_bytes(
    frames: Sequence[Rgb] | int = 30, *, width: int = 160, height: int = 120, fps: float | Fraction = 25,
    codec: str = "libx264", container: str = "mp4", pix_fmt: str = "yuv420p", gop: int = 12,
    times: Sequence[float] | None = None, rotation: int = 0, audio: bool = False, seed: int = 0,
    options: dict[str, str] | None = None, full_range: bool = False, colorspace: int | None = None,
) -> bytes:  # fmt: skip
    """A video in any codec and container that PyAV can write.

    `frames` are pictures, or how many moving ones to draw. `times` (seconds, one per frame, ascending) make a variable
    frame rate. `rotation` is the display matrix in degrees counter-clockwise. `options` go to the encoder.
    """
    pictures = moving_frames(frames, width, height, seed) if isinstance(frames, int) else list(frames)
    rate = Fraction(fps).limit_denominator(1001)
    settings = {"threads": "1", **(options or {})}  # libvpx with several has been seen to wait for itself for ever
    if codec == "libx264":
        settings = {"preset": "veryfast", "crf": "20", **settings}
    elif codec == "libx265":
        settings = {"preset": "ultrafast", "x265-params": "log-level=none", **settings}
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container) as out:
        stream = out.add_stream(codec, rate=rate, options=settings)
        stream.width, stream.height = pictures[0].shape[1], pictures[0].shape[0]
        stream.pix_fmt, stream.gop_size = pix_fmt, gop
        base = Fraction(1, 90_000) if times is not None else 1 / rate
        stream.codec_context.time_base = base
        if colorspace is not None:
            stream.codec_context.colorspace = colorspace
        if full_range:
            stream.codec_context.color_range = 2
        if rotation:
            stream.set_display_rotation(rotation)
        sound = (
            out.add_stream("aac" if container in ("mp4", "mov", "avi") else "libopus", rate=48_000) if audio else None
        )
        for number, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, "rgb24")
            frame.pts = number if times is None else round(times[number] / base)
            frame.time_base = base
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
        if sound is not None:
            _hum(out, sound, len(pictures) / float(rate))
    return buffer.getvalue()


def sound_bytes(seconds: float = 1.0, container: str = "mp4") -> bytes:
    """A file that holds sound alone."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container) as out:
        _hum(out, out.add_stream("aac" if container == "mp4" else "libopus", rate=48_000), seconds)
    return buffer.getvalue()


def _hum(out: av.container.OutputContainer, stream: av.AudioStream, seconds: float) -> None:
    for start in range(0, max(960, int(48_000 * seconds)), 960):
        wave = np.sin(np.arange(start, start + 960) / 20).astype(np.float32)[None]
        frame = av.AudioFrame.from_ndarray(wave, format="flt", layout="mono")
        frame.sample_rate, frame.pts = 48_000, start
        out.mux(stream.encode(frame))
    out.mux(stream.encode(None))


def headless_mp4(data: bytes) -> bytes:
    """An mp4 without its `moov` box, as a recording that was never finished leaves it."""
    boxes = _boxes(data)
    return b"".join(body for kind, body in boxes if kind != b"moov")


def faststart(data: bytes) -> bytes:
    """An mp4 with its index in front of the frames, so that a truncated copy still opens."""
    boxes = dict(_boxes(data))
    index = bytearray(boxes.pop(b"moov"))
    at = index.find(b"stco")
    while at >= 0:
        for entry in range(int.from_bytes(index[at + 8 : at + 12], "big")):
            place = at + 12 + 4 * entry
            index[place : place + 4] = (int.from_bytes(index[place : place + 4], "big") + len(index)).to_bytes(4, "big")
        at = index.find(b"stco", at + 4)
    return boxes.pop(b"ftyp") + bytes(index) + b"".join(boxes.values())


def without_duration(data: bytes) -> bytes:
    """An mp4 whose movie, track and media headers say that it lasts no time at all (version 0 boxes)."""
    edited = bytearray(data)
    for kind, shift in ((b"mvhd", 16), (b"tkhd", 20), (b"mdhd", 16)):
        at = edited.find(kind)
        while at >= 0:
            if edited[at + 4] == 0:
                edited[at + 4 + shift : at + 8 + shift] = bytes(4)
            at = edited.find(kind, at + 4)
    return bytes(edited)


def live_webm(frames: int = 30, *, fps: int = 25, seed: int = 0) -> bytes:
    """A WebM as a browser records it: a stream without duration, index or frame count."""

    class Pipe(io.RawIOBase):
        """Takes bytes and cannot seek back, so the muxer cannot fill in the headers at the end."""

        def __init__(self) -> None:
            self.data = bytearray()

        def writable(self) -> bool:
            return True

        def write(self, data: object) -> int:
            self.data += bytes(data)  # type: ignore[call-overload]
            return len(data)  # type: ignore[arg-type]

    pipe = Pipe()
    with av.open(pipe, "w", format="webm", options={"live": "1"}) as out:
        stream = out.add_stream("libvpx", rate=fps, options={"threads": "1", "deadline": "realtime", "cpu-used": "8"})
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        for number, picture in enumerate(moving_frames(frames, 160, 120, seed)):
            frame = av.VideoFrame.from_ndarray(picture, "rgb24")
            frame.pts = number
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return bytes(pipe.data)


def _boxes(data: bytes) -> list[tuple[bytes, bytes]]:
    boxes, at = [], 0
    while at + 8 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        size = int.from_bytes(data[at + 8 : at + 16], "big") if size == 1 else size or len(data) - at
        boxes.append((data[at + 4 : at + 8], data[at : at + size]))
        at += size
    return boxes


def playlist() -> bytes:
    """An HLS playlist: FFmpeg would open what it names, if it were asked to guess."""
    return b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n"
