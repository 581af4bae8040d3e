"""What a file is, by its first bytes. What a server says of a file's type, and its name, count for nothing.

A type that is not in this list is not opened by any decoder: playlists (HLS, DASH, concat) would make FFmpeg open
other addresses, and PostScript or SVG would run programs.
"""

from __future__ import annotations

SNIFF_BYTES = 512
"""How many first bytes `sniff` looks at."""

IMAGE_PREFIXES = {
    b"\xff\xd8\xff": "image/jpeg",
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
    b"II*\x00": "image/tiff",
    b"MM\x00*": "image/tiff",
}
VIDEO_PREFIXES = {
    b"FLV\x01": "video/x-flv",
    b"OggS": "video/ogg",
    b"\x00\x00\x01\xba": "video/mpeg",
    b"\x00\x00\x01\xb3": "video/mpeg",
}
RIFF_TYPES = {b"WEBP": "image/webp", b"AVI ": "video/x-msvideo", b"AVIX": "video/x-msvideo"}
QUICKTIME_BOXES = frozenset({b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"})
"""Boxes that begin a QuickTime file of the time before `ftyp`."""


def sniff(head: bytes) -> str | None:
    """The media type by the first `SNIFF_BYTES` bytes (fewer if the file is shorter); None for everything else."""
    for prefixes in (IMAGE_PREFIXES, VIDEO_PREFIXES):
        for prefix, kind in prefixes.items():
            if head.startswith(prefix):
                return kind
    if head.startswith(b"RIFF"):
        return RIFF_TYPES.get(head[8:12])
    if head.startswith(b"BM") and head[14:18] in _BITMAP_HEADERS:
        return "image/bmp"
    if head.startswith(b"\x1aE\xdf\xa3"):
        return "video/webm" if b"webm" in head[:64] else "video/x-matroska"
    if len(head) > 376 and head[0] == head[188] == head[376] == 0x47:
        return "video/mp2t"
    return _iso_type(head)


_BITMAP_HEADERS = frozenset(size.to_bytes(4, "little") for size in (12, 40, 52, 56, 64, 108, 124))


def _iso_type(head: bytes) -> str | None:
    """ISO base media files: AVIF, QuickTime and MP4 differ by the brand in `ftyp`; HEIC and audio are not ours."""
    box, brand = head[4:8], head[8:12]
    if box == b"ftyp":
        if brand in (b"avif", b"avis"):
            return "image/avif"
        if brand == b"qt  ":
            return "video/quicktime"
        if brand in (b"heic", b"heix", b"hevc", b"mif1", b"msf1", b"M4A ", b"M4B ", b"crx "):
            return "image/avif" if brand == b"mif1" and b"avif" in head[16:64] else None
        return "video/mp4"
    if box in QUICKTIME_BOXES:
        return "video/quicktime"
    return None
