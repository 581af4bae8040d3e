"""Media that somebody made to do harm: bombs, lies in headers, polyglots, files that name other files.

Pure functions from parameters to bytes, on top of `tests.media_files`.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from fractions import Fraction
from functools import cache

from PIL import Image

from tests.media_files import faststart, headless_mp4, image_bytes, png_bomb, sound_bytes, texture, video_bytes

SCRIPT = b"<script>fetch('http://evil.example/')</script>"


def png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_with(*chunks: bytes) -> bytes:
    """A sound PNG with more chunks between its header and its pixels."""
    data = image_bytes(200, 150, kind="PNG")
    return data[:33] + b"".join(chunks) + data[33:]


def deflated_zeros(size: int) -> bytes:
    deflate = zlib.compressobj(9)
    return b"".join(deflate.compress(bytes(1 << 20)) for _ in range(size >> 20)) + deflate.flush()


def jpeg_with(marker: int, body: bytes) -> bytes:
    """A sound JPEG with one more segment at its front."""
    data = image_bytes(200, 150)
    return data[:2] + bytes((0xFF, marker)) + struct.pack(">H", len(body) + 2) + body + data[2:]


def jpeg_of_size(width: int, height: int) -> bytes:
    """A JPEG whose frame header claims another size."""
    data = bytearray(image_bytes(200, 150))
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def jpeg_of_many_scans(count: int) -> bytes:
    """A progressive JPEG that refines its last coefficients over and over."""
    buffer = io.BytesIO()
    Image.fromarray(texture(200, 150)).save(buffer, "JPEG", progressive=True)
    data = buffer.getvalue()
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * count + data[-2:]


def gif_of_size(width: int, height: int) -> bytes:
    data = bytearray(image_bytes(200, 150, kind="GIF"))
    data[6:10] = struct.pack("<HH", width, height)
    return bytes(data)


def gif_frame_beyond_its_canvas() -> bytes:
    """A GIF of 200x150 whose first picture claims 65,535x65,535."""
    data = bytearray(image_bytes(200, 150, kind="GIF"))
    at = data.index(b"\x2c", 13 + 3 * 256)
    data[at + 5 : at + 9] = struct.pack("<HH", 65535, 65535)
    return bytes(data)


def gif_of_many_frames(count: int) -> bytes:
    """A GIF that repeats a tiny second picture."""
    data = image_bytes(200, 150, kind="GIF")
    tiny = b"\x21\xf9\x04\x00\x01\x00\x00\x00\x2c\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02\x44\x01\x00"
    return data[:-1] + tiny * count + b";"


def animation(kind: str) -> bytes:
    """Three different pictures in one WebP, PNG, AVIF, TIFF or GIF file."""
    first, *others = (Image.fromarray(texture(200, 150, seed)) for seed in range(3))
    buffer = io.BytesIO()
    first.save(buffer, kind, save_all=True, append_images=others)
    return buffer.getvalue()


def webp_of_size(width: int, height: int) -> bytes:
    body = struct.pack("<I", 0) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    chunks = b"WEBPVP8X" + struct.pack("<I", len(body)) + body + image_bytes(200, 150, kind="WEBP")[12:]
    return b"RIFF" + struct.pack("<I", len(chunks)) + chunks


def tiff_of_size(width: int, height: int) -> bytes:
    """A TIFF whose first directory claims another size (tags 256 and 257)."""
    data = bytearray(image_bytes(200, 150, kind="TIFF"))
    at = int.from_bytes(data[4:8], "little")
    for entry in range(int.from_bytes(data[at : at + 2], "little")):
        place = at + 2 + 12 * entry
        tag = int.from_bytes(data[place : place + 2], "little")
        if tag in (256, 257):
            data[place + 2 : place + 12] = struct.pack("<HII", 4, 1, width if tag == 256 else height)
    return bytes(data)


def tiff_that_follows_itself() -> bytes:
    """A TIFF whose directory names itself as the next one."""
    data = bytearray(image_bytes(200, 150, kind="TIFF"))
    at = int.from_bytes(data[4:8], "little")
    end = at + 2 + 12 * int.from_bytes(data[at : at + 2], "little")
    data[end : end + 4] = at.to_bytes(4, "little")
    return bytes(data)


def avif_of_size(width: int, height: int) -> bytes:
    data = bytearray(image_bytes(200, 150, kind="AVIF"))
    at = data.index(b"ispe") + 8
    data[at : at + 8] = struct.pack(">II", width, height)
    return bytes(data)


def exif(*entries: tuple[int, int, int, int], following: int = 0) -> bytes:
    """An EXIF block of one directory: (tag, type, count, value) each, and where the next one is."""
    rows = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"Exif\0\0II*\0" + struct.pack("<IH", 8, len(entries)) + rows + struct.pack("<I", following)


def zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("run.js", SCRIPT)
    return buffer.getvalue()


@cache
def images() -> dict[str, tuple[bytes, str]]:
    """Name -> (bytes, what becomes of it): `stored`, or the error class."""
    good = image_bytes(200, 150)
    bomb = deflated_zeros(64 << 20)
    ico = io.BytesIO()
    Image.fromarray(texture(200, 150)).save(ico, "ICO")
    return {
        "png-dimensions": (png_bomb(30_000, 30_000), "bomb"),
        "png-ztxt-bomb": (png_with(png_chunk(b"zTXt", b"Comment\0\0" + bomb)), "decode"),
        "png-itxt-bomb": (png_with(png_chunk(b"iTXt", b"Comment\0\1\0\0\0" + bomb)), "decode"),
        "png-iccp-bomb": (png_with(png_chunk(b"iCCP", b"icc\0\0" + bomb)), "decode"),
        "png-many-texts": (png_with(png_chunk(b"zTXt", b"C\0\0" + deflated_zeros(1 << 20)) * 100), "decode"),
        "png-chunk-length-lie": (png_with(b"\x7f\xff\xff\xfftEXtabc"), "decode"),
        "jpeg-dimensions": (jpeg_of_size(65500, 65500), "bomb"),
        "jpeg-many-scans": (jpeg_of_many_scans(500), "stored"),
        "gif-dimensions": (gif_of_size(65535, 65535), "bomb"),
        "gif-frame-beyond-canvas": (gif_frame_beyond_its_canvas(), "bomb"),
        "gif-10000-frames": (gif_of_many_frames(10_000), "stored"),
        "webp-dimensions": (webp_of_size(16_384, 16_384), "bomb"),
        "tiff-dimensions": (tiff_of_size(100_000, 100_000), "bomb"),
        "tiff-directory-loop": (tiff_that_follows_itself(), "stored"),
        "avif-dimensions": (avif_of_size(65535, 65535), "decode"),
        "animated-webp": (animation("WEBP"), "stored"),
        "animated-png": (animation("PNG"), "stored"),
        "animated-avif": (animation("AVIF"), "stored"),
        "tiff-of-several-images": (animation("TIFF"), "stored"),
        "ico": (ico.getvalue(), "not-media"),
        "svg": (b"<svg xmlns='http://www.w3.org/2000/svg' onload='x()'><image href='file:///etc/passwd'/></svg>",
                "not-media"),
        "html": (b"<!doctype html><html>" + SCRIPT + b"</html>", "not-media"),
        "pdf-then-jpeg": (b"%PDF-1.7\n" + good, "not-media"),
        "zip": (zipped(), "not-media"),
        "postscript": (b"%!PS-Adobe-3.0\n(/etc/passwd) (r) file\n", "not-media"),
        "jpeg-then-zip": (image_bytes(200, 150, seed=11) + zipped(), "stored"),
        "jpeg-then-pdf": (image_bytes(200, 150, seed=12) + b"%PDF-1.7\n" + SCRIPT, "stored"),
        "gif-with-html": (image_bytes(200, 150, kind="GIF", seed=13)[:-1] + b"\x21\xfe" + bytes([len(SCRIPT)]) + SCRIPT
                          + b"\0;", "stored"),
        "jpeg-comment-script": (jpeg_with(0xFE, SCRIPT), "stored"),
        "jpeg-icc-garbage": (jpeg_with(0xE2, b"ICC_PROFILE\0\1\1" + SCRIPT * 300), "stored"),
        "exif-orientation-garbage": (jpeg_with(0xE1, exif((0x112, 3, 1, 0xFFFF))), "stored"),
        "exif-huge-count": (jpeg_with(0xE1, exif((0x112, 3, 0x7FFFFFFF, 8), (0x10E, 2, 0xFFFFFFF0, 8))), "stored"),
        "exif-directory-loop": (jpeg_with(0xE1, exif((0x8769, 4, 1, 8), (0x112, 3, 1, 3), following=8)), "stored"),
        "exif-turned-strip": (image_bytes(8000, 200, orientation=6), "stored"),
    }  # fmt: skip


def boxes_named(data: bytes, kind: bytes) -> Iterator[int]:
    """Where the bodies of boxes of this kind begin."""
    at = data.find(kind)
    while at >= 0:
        yield at + 4
        at = data.find(kind, at + 4)


def mp4_that_claims_to_play(seconds: int) -> bytes:
    """An MP4 of one second whose headers (version 0) promise another time."""
    data = bytearray(video_bytes(25, width=176, height=144))
    for kind, scale_at, length_at in ((b"mvhd", 12, 16), (b"mdhd", 12, 16), (b"tkhd", None, 20)):
        for body in boxes_named(data, kind):
            scale = 1000 if scale_at is None else int.from_bytes(data[body + scale_at : body + scale_at + 4], "big")
            data[body + length_at : body + length_at + 4] = min(seconds * scale, 2**32 - 1).to_bytes(4, "big")
    return bytes(data)


def mkv_of_slow_frames(seconds: int) -> bytes:
    """A Matroska file of 25 frames each of which is shown for so long."""
    return video_bytes(
        25, width=176, height=144, container="matroska", times=[seconds * number for number in range(25)]
    )


def mp4_of_many_samples(count: int) -> bytes:
    """An MP4 whose size table claims so many samples of one byte, and whose time table as many."""
    data = bytearray(video_bytes(25, width=176, height=144))
    for body in boxes_named(data, b"stsz"):
        data[body + 4 : body + 12] = struct.pack(">II", 1, count)
    for body in boxes_named(data, b"stts"):
        data[body + 8 : body + 12] = struct.pack(">I", count)
    return bytes(data)


def video_of_png(picture: bytes, container: str = "mov") -> bytes:
    """A video whose second and later frames, each a PNG of its own, are `picture`; the first is small and sound."""
    import av

    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container) as out:
        stream = out.add_stream("png", rate=10)
        stream.width, stream.height, stream.pix_fmt = 200, 150, "rgb24"
        for number in range(3):
            packet = av.Packet(picture)
            packet.stream, packet.pts, packet.dts, packet.is_keyframe = stream, number, number, True
            packet.time_base = Fraction(1, 10)
            out.mux(packet)
    return buffer.getvalue()


def video_with_its_frames_elsewhere(path: str) -> bytes:
    """A QuickTime file that says that its frames lie in another one: an `alis` data reference (QuickTime File Format,
    "Data reference atoms"; the alias record is that of the Mac OS Alias Manager)."""
    record = bytes(10) + bytes(1 + 27) + bytes(12)  # no name of a volume
    name = path.rpartition("/")[2].encode()
    record += bytes([len(name)]) + name.ljust(63, b"\0") + bytes(16)
    record += struct.pack(">HH", 0, 0) + bytes(16)  # levels up and down: not to be sought beside this file
    whole = path.encode() + b"\0" * (len(path) % 2)
    record += struct.pack(">HH", 2, len(path)) + whole + struct.pack(">hH", -1, 0)
    alias = struct.pack(">I4sI", 12 + len(record), b"alis", 0) + record
    return _with_data_reference(video_bytes(25, width=176, height=144, container="mov"), alias)


def video_with_its_frames_at(url: str) -> bytes:
    """An MP4 that says that its frames are at a URL (ISO/IEC 14496-12, 8.7.2)."""
    body = url.encode() + b"\0"
    entry = struct.pack(">I4sI", 12 + len(body), b"url ", 0) + body
    return _with_data_reference(video_bytes(25, width=176, height=144), entry)


def _with_data_reference(data: bytes, entry: bytes) -> bytes:
    """A video (its index behind its frames) whose data references are `entry` alone."""
    changed = bytearray(data)
    at = changed.rindex(b"dref") - 4
    old = int.from_bytes(changed[at : at + 4], "big")
    new = struct.pack(">I4sII", 16 + len(entry), b"dref", 0, 1) + entry
    ancestors = list(_enclosing(data, at))
    changed[at : at + old] = new
    for place in ancestors:
        size = int.from_bytes(changed[place : place + 4], "big")
        changed[place : place + 4] = (size + len(new) - old).to_bytes(4, "big")
    return bytes(changed)


def _enclosing(data: bytes, inner: int, start: int = 0, stop: int | None = None) -> Iterator[int]:
    """Where the boxes begin that hold the box at `inner`."""
    at, stop = start, len(data) if stop is None else stop
    while at + 8 <= stop:
        size = int.from_bytes(data[at : at + 4], "big")
        if at < inner < at + size:
            yield at
            yield from _enclosing(data, inner, at + 8, at + size)
            return
        at += max(size, 8)


def playlists(url: str, path: str) -> dict[str, bytes]:
    """Texts that tell FFmpeg what to open, each naming `url` and a file at `path`."""
    return {
        "hls": f"#EXTM3U\n#EXTINF:1,\n{url}/a.ts\n#EXTINF:1,\nfile://{path}\n#EXT-X-ENDLIST\n".encode(),
        "hls-subfile": f"#EXTM3U\n#EXTINF:1,\nsubfile,,start,0,end,99,,:{path}\n#EXT-X-ENDLIST\n".encode(),
        "hls-crypto": f'#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI="{url}/k"\n#EXTINF:1,\ncrypto:file://{path}\n'.encode(),
        "dash": f'<?xml version="1.0"?><MPD><Period><BaseURL>{url}/</BaseURL></Period></MPD>'.encode(),
        "concat": f"ffconcat version 1.0\nfile '{path}'\nfile '{url}/b.mp4'\n".encode(),
        "sdp": f"v=0\no=- 0 0 IN IP4 127.0.0.99\nm=video 5004 RTP/AVP 96\na=control:{url}\n".encode(),
        "rtsp-text": f"RTSPtext\n{url}\n".encode(),
        "asx": f'<asx version="3.0"><entry><ref href="{url}"/></entry></asx>'.encode(),
    }  # fmt: skip


def avi_of_size(width: int, height: int) -> bytes:
    """An AVI of raw pictures whose format header (BITMAPINFOHEADER) claims another size."""
    data = bytearray(video_bytes(3, width=160, height=128, codec="rawvideo", container="avi", pix_fmt="bgr24"))
    body = data.index(b"strf") + 8
    data[body + 4 : body + 12] = struct.pack("<ii", width, height)
    return bytes(data)


def mp4_of_size(width: int, height: int) -> bytes:
    """An MP4 whose sample entry claims another size (at most 65,535) than its frames have."""
    data = bytearray(video_bytes(25, width=176, height=144))
    for body in boxes_named(data, b"avc1"):
        data[body + 24 : body + 28] = struct.pack(">HH", width, height)
    return bytes(data)


def videos(url: str, path: str) -> dict[str, tuple[bytes, str]]:
    """Name -> (bytes, what becomes of it); what names another place names `url` or the video file at `path`."""
    good = video_bytes(25, width=176, height=144, seed=5)
    return {
        **{name: (text, "not-media") for name, text in playlists(url, path).items()},
        "mp4-without-moov": (headless_mp4(good), "decode"),
        "mp4-of-10-hours": (mp4_that_claims_to_play(36_000), "stored"),
        "mkv-of-25-frames-in-5-days": (mkv_of_slow_frames(20_000), "bomb"),
        "mp4-of-million-samples": (mp4_of_many_samples(1_000_000), "decode"),
        "mp4-of-2-billion-samples": (mp4_of_many_samples(2**31 - 1), "decode"),
        "mp4-of-65535x65535": (mp4_of_size(65_535, 65_535), "stored"),
        "avi-of-100000x100000": (avi_of_size(100_000, 100_000), "decode"),
        "avi-of-20000x20000": (avi_of_size(20_000, 20_000), "decode"),
        "mov-of-9000x9000-pngs": (video_of_png(png_bomb(9_000, 9_000)), "bomb"),
        "mov-frames-in-another-file": (video_with_its_frames_elsewhere(path), "decode"),
        "mp4-frames-at-a-url": (video_with_its_frames_at(f"{url}/x.mov"), "stored"),
        "mp4-then-playlist": (good + playlists(url, path)["hls"], "stored"),
        "html-after-ftyp": (b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + SCRIPT * 20, "decode"),
        "playlist-after-ftyp": (b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + playlists(url, path)["hls"], "decode"),
        "gif-as-video": (gif_of_many_frames(100), "not-media"),
        "sound-as-video": (sound_bytes(0.5), "not-media"),
        "mp4-cut-off": (faststart(video_bytes(50, width=176, height=144))[:-3000], "decode"),
    }  # fmt: skip
