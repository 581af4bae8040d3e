"""From the bytes of an image as fetched to the JPEG that is kept: checked, turned upright, shrunk, hashed."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import simplejpeg
from PIL import ExifTags, Image

from omnisrc.errors import ErrorClass, ItemError
from omnisrc.media.phash import Rgb, pdq
from omnisrc.media.sniff import SNIFF_BYTES, sniff

MAX_PIXELS: Final = 64_000_000
FORMATS = {
    "image/jpeg": "JPEG",
    "image/png": "PNG",
    "image/webp": "WEBP",
    "image/gif": "GIF",
    "image/bmp": "BMP",
    "image/tiff": "TIFF",
    "image/avif": "AVIF",
}
"""The only decoder tried for each sniffed type, so that no other of Pillow's many can be reached from outside."""


@dataclass(frozen=True)
class LandedImage:
    """An image as it is kept. `source_width` and `source_height` are the original's, upright; `phash` is PDQ."""

    data: bytes
    width: int
    height: int
    source_width: int
    source_height: int
    phash: bytes
    phash_quality: int


def image_size(data: bytes) -> tuple[int, int]:
    """Width and height as the header gives them, before EXIF orientation; no pixel is decoded.

    Errors: EMPTY, NOT_MEDIA, DECODE; BOMB from 179 million pixels on, where Pillow itself refuses.
    """
    kind = image_type(data)
    if kind == "image/webp":  # Pillow's WebP reader asks for the whole canvas when it opens a file
        return _webp_size(data)
    with _decoding(), Image.open(io.BytesIO(data), formats=[FORMATS[kind]]) as image:
        return image.size


def image_type(data: bytes) -> str:
    """The sniffed type of something that should be an image, or `ItemError` EMPTY or NOT_MEDIA."""
    if not data:
        raise ItemError(ErrorClass.EMPTY, "no bytes")
    kind = sniff(data[:SNIFF_BYTES])
    if kind not in FORMATS:
        raise ItemError(ErrorClass.NOT_MEDIA, f"{kind or 'no known type'} instead of an image")
    return kind


def land_image(
    data: bytes, *, short_side: int = 320, min_side: int = 128, max_pixels: int = MAX_PIXELS, quality: int = 90
) -> LandedImage:
    """Decode an image, turn it upright, shrink its short side to `short_side` (never enlarge), encode it as JPEG.

    Transparent parts become white; of an animation the first frame is taken. Errors: EMPTY, NOT_MEDIA, BOMB (more
    than `max_pixels`, by the header), TOO_SMALL (short side under `min_side`), DECODE (truncated or damaged).
    """
    width, height = allowed_size(data, max_pixels)
    if min(width, height) < min_side:
        raise ItemError(ErrorClass.TOO_SMALL, f"{width}x{height} is less than {min_side} pixels on a side")
    upright, orientation = upright_image(data, short_side)
    phash, phash_quality = pdq(upright)
    if orientation >= 5:
        width, height = height, width
    return LandedImage(
        encode_jpeg(upright, quality), upright.shape[1], upright.shape[0], width, height, phash, phash_quality
    )


def allowed_size(data: bytes, max_pixels: int = MAX_PIXELS) -> tuple[int, int]:
    """`image_size`, or `ItemError(BOMB)` for more than `max_pixels`."""
    width, height = image_size(data)
    if width * height > max_pixels:
        raise ItemError(ErrorClass.BOMB, f"{width}x{height} is more than {max_pixels} pixels")
    return width, height


def upright_image(data: bytes, short_side: int) -> tuple[Rgb, int]:
    """The picture (H, W, 3) as it is shown, shrunk to `short_side`, and the orientation that it was stored in."""
    rgb, orientation = decode_image(data, short_side)
    return turn_upright(shrink(rgb, short_side), orientation), orientation


def decode_image(data: bytes, short_side: int | None = None) -> tuple[Rgb, int]:
    """The pixels (H, W, 3) as stored, and the EXIF orientation (1 to 8) that they wait for.

    With `short_side` a JPEG is decoded at the smallest of 1, 1/2, 1/4, 1/8 that is not below it, which skips most of
    the work. Errors: EMPTY, NOT_MEDIA, DECODE.
    """
    kind = image_type(data)
    with _decoding(), Image.open(io.BytesIO(data), formats=[FORMATS[kind]]) as image:
        if kind == "image/jpeg" and (rgb := _quick_jpeg(data, image, short_side)) is not None:
            return rgb, _orientation(image)
        if short_side is not None:
            image.draft("RGB", (short_side, short_side))
        image.load()
        return np.asarray(_as_rgb(image)), _orientation(image)


def _quick_jpeg(data: bytes, image: Image.Image, short_side: int | None) -> Rgb | None:
    """The same pixels as Pillow's, in two thirds of its time; None where a JPEG is not plain and sound: then Pillow is
    asked, which knows more kinds, and which damage is none."""
    if image.mode not in ("RGB", "L"):
        return None
    width, height = image.size
    fits = (scale for scale in (8, 4, 2) if short_side and -(-min(width, height) // scale) >= short_side)
    scale = next(fits, 1)
    try:
        rgb = simplejpeg.decode_jpeg(data, "RGB", min_height=-(-height // scale), min_width=-(-width // scale))
    except ValueError:
        return None
    return np.asarray(rgb, np.uint8)


def shrink(rgb: Rgb, short_side: int) -> Rgb:
    """Scale (H, W, 3) down to a short side of `short_side`; smaller images are returned as they are."""
    height, width = rgb.shape[:2]
    factor = min(height, width) / short_side
    if factor <= 1:
        return rgb
    size = max(1, round(width / factor)), max(1, round(height / factor))
    whole = int(factor)
    if whole > 1:  # averaging whole blocks is fast, and leaves a factor under 2, at which bilinear does not alias
        rgb = rgb[: height // whole * whole, : width // whole * whole]
        rgb = _resize(rgb, (width // whole, height // whole), cv2.INTER_AREA)
    return _resize(rgb, size, cv2.INTER_LINEAR)


def _resize(rgb: Rgb, size: tuple[int, int], interpolation: int) -> Rgb:
    return np.asarray(cv2.resize(rgb, size, interpolation=interpolation), np.uint8)


def turn_upright(rgb: Rgb, orientation: int) -> Rgb:
    """Apply an EXIF orientation: 5 to 8 swap the axes, then rows and columns are reversed as it says."""
    if orientation >= 5:
        rgb = rgb.transpose(1, 0, 2)
    if orientation in (3, 4, 7, 8):
        rgb = rgb[::-1]
    if orientation in (2, 3, 6, 7):
        rgb = rgb[:, ::-1]
    return np.ascontiguousarray(rgb)


def encode_jpeg(rgb: Rgb, quality: int = 90) -> bytes:
    """(H, W, 3) RGB as JPEG with 4:2:0 chroma and no metadata."""
    return bytes(simplejpeg.encode_jpeg(np.ascontiguousarray(rgb), quality, "RGB", "420"))


def _as_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB":
        return image
    if image.mode.startswith("I"):  # 16 bits a pixel; Pillow's own conversion would cut them off at 255
        wide = np.asarray(image)
        return Image.fromarray((wide.clip(0, 65535) >> 8).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        solid = image.convert("RGBA")
        white = Image.new("RGBA", solid.size, "white")
        return Image.alpha_composite(white, solid).convert("RGB")
    return image.convert("RGB")


def _orientation(image: Image.Image) -> int:
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # whatever a garbled EXIF block raises: the picture itself is fine, and viewers show it as it is
        return 1
    return orientation if orientation in range(1, 9) else 1


class _decoding:
    """Whatever Pillow raises on hostile bytes becomes `ItemError(DECODE)`: its plugins raise nearly anything
    (OSError, SyntaxError, ValueError, struct.error, IndexError, ...), so no list of types would hold."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: object) -> None:
        if isinstance(error, Image.DecompressionBombError):
            raise ItemError(ErrorClass.BOMB, str(error)) from error
        if isinstance(error, Exception) and not isinstance(error, (ItemError, MemoryError)):
            raise ItemError(ErrorClass.DECODE, f"{type(error).__name__}: {error}") from error


def _webp_size(data: bytes) -> tuple[int, int]:
    """Canvas of a WebP by its first chunk (RFC 9649, section 2)."""
    chunk, body = data[12:16], data[20:30]
    if len(body) == 10 and chunk == b"VP8X":
        return 1 + int.from_bytes(body[4:7], "little"), 1 + int.from_bytes(body[7:10], "little")
    if len(body) == 10 and chunk == b"VP8 " and body[3:6] == b"\x9d\x01\x2a":
        return int.from_bytes(body[6:8], "little") & 0x3FFF, int.from_bytes(body[8:10], "little") & 0x3FFF
    if len(body) == 10 and chunk == b"VP8L" and body[0] == 0x2F:
        bits = int.from_bytes(body[1:5], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    raise ItemError(ErrorClass.DECODE, "no WebP header")
