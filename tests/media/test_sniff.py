import pytest
from hypothesis import given
from hypothesis import strategies as st

from omnisrc.media.sniff import SNIFF_BYTES, sniff
from tests.media_files import image_bytes, live_webm, playlist, sound_bytes, video_bytes

IMAGES = ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"]


@pytest.mark.parametrize("kind", IMAGES)
def test_every_image_type_is_known_by_its_bytes(kind: str) -> None:
    assert sniff(image_bytes(40, 30, kind=kind)[:SNIFF_BYTES]) == f"image/{kind.lower()}"


@pytest.mark.parametrize(
    ("container", "codec", "kind"),
    [
        ("mp4", "libx264", "video/mp4"),
        ("mov", "libx264", "video/quicktime"),
        ("matroska", "libx264", "video/x-matroska"),
        ("webm", "libvpx", "video/webm"),
        ("avi", "mpeg4", "video/x-msvideo"),
        ("mpegts", "libx264", "video/mp2t"),
        ("flv", "libx264", "video/x-flv"),
        ("mpeg", "mpeg2video", "video/mpeg"),
        ("mpeg2video", "mpeg2video", "video/mpeg"),
        ("ogg", "libvpx", "video/ogg"),
    ],
)
def test_every_video_type_is_known_by_its_bytes(container: str, codec: str, kind: str) -> None:
    data = video_bytes(3, width=64, height=48, codec=codec, container=container)
    assert sniff(data[:SNIFF_BYTES]) == kind


def test_a_browsers_recording_is_webm_and_a_sound_file_is_mp4_until_it_is_probed() -> None:
    assert sniff(live_webm(3)[:SNIFF_BYTES]) == "video/webm"
    assert sniff(sound_bytes(0.1)[:SNIFF_BYTES]) == "video/mp4"


def test_quicktime_of_the_time_before_ftyp_is_known() -> None:
    data = video_bytes(3, width=64, height=48, container="mov")
    start = int.from_bytes(data[:4], "big")
    assert data[4:8] == b"ftyp"
    assert sniff(data[start : start + SNIFF_BYTES]) == "video/quicktime"


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"<!DOCTYPE html><html>",
        b"<?xml version='1.0'?><svg>",
        b"<svg xmlns='http://www.w3.org/2000/svg'>",
        b"%PDF-1.7",
        b"PK\x03\x04",
        b"%!PS-Adobe",
        b"BM but not a bitmap",
        b"RIFF1234WAVEfmt ",
        b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic",
        b"\x00\x00\x00\x18ftypM4A \x00\x00\x00\x00",
        b"ID3\x04",
        b"ffconcat version 1.0\nfile '/etc/passwd'",
        playlist(),
    ],
)
def test_what_no_decoder_of_ours_should_open_has_no_type(head: bytes) -> None:
    assert sniff(head) is None


@given(st.binary(max_size=600))
def test_any_bytes_have_an_answer(head: bytes) -> None:
    assert sniff(head) is None or "/" in str(sniff(head))
