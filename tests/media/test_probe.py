import io
from fractions import Fraction
from pathlib import Path

import av
import pytest

from omnisrc.errors import ErrorClass, ItemError
from omnisrc.media.probe import probe_video
from omnisrc.media.source import MediaRef
from tests.media_files import (
    faststart,
    headless_mp4,
    image_bytes,
    live_webm,
    playlist,
    sound_bytes,
    texture,
    video_bytes,
    without_duration,
)


def error_of(data: bytes) -> ErrorClass:
    with pytest.raises(ItemError) as caught:
        probe_video(data)
    assert caught.value.detail
    return caught.value.error


@pytest.mark.parametrize(
    ("codec", "container", "name"),
    [
        ("libx264", "mp4", "h264"),
        ("libx264", "mov", "h264"),
        ("libx264", "matroska", "h264"),
        ("libx264", "mpegts", "h264"),
        ("libx264", "flv", "h264"),
        ("libx265", "mp4", "hevc"),
        ("libvpx", "webm", "vp8"),
        ("libvpx-vp9", "webm", "vp9"),
        ("libsvtav1", "mp4", "av1"),
        ("mpeg4", "avi", "mpeg4"),
        ("mjpeg", "avi", "mjpeg"),
        ("mpeg2video", "mpeg", "mpeg2video"),
        ("libx264", "avi", "h264"),
    ],
)
def test_size_length_and_rate_of_every_common_kind(codec: str, container: str, name: str) -> None:
    pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    fast = {"libvpx-vp9": {"deadline": "realtime", "cpu-used": "8"}, "libsvtav1": {"preset": "10"}}.get(codec)
    info = probe_video(video_bytes(50, codec=codec, container=container, pix_fmt=pix_fmt, options=fast))
    assert (info.width, info.height, info.rotation, info.codec) == (160, 120, 0, name)
    assert info.frames == 50 and not info.vfr
    assert info.fps == pytest.approx(25, rel=0.01)
    assert info.duration == pytest.approx(2.0, abs=0.05)


def test_the_same_from_bytes_from_a_file_and_from_a_part_of_one(tmp_path: Path) -> None:
    data = video_bytes(20)
    (tmp_path / "clip, 1%.mp4").write_bytes(data)
    (tmp_path / "shard").write_bytes(b"x" * 700 + data + b"y" * 900)
    want = probe_video(data)
    assert probe_video(tmp_path / "clip, 1%.mp4") == want
    assert probe_video(MediaRef(str(tmp_path / "shard"), 700, len(data))) == want


@pytest.mark.parametrize(("rotation", "size"), [(90, (120, 160)), (180, (160, 120)), (-90, (120, 160))])
def test_rotation_swaps_the_sides(rotation: int, size: tuple[int, int]) -> None:
    info = probe_video(video_bytes(5, rotation=rotation))
    assert (info.width, info.height) == size
    assert info.rotation == rotation % 360


def test_variable_frame_rate_is_seen_and_rounding_is_not_taken_for_it() -> None:
    times = [0, 0.04, 0.08, 0.5, 0.52, 1.0, 1.1]
    info = probe_video(video_bytes(7, times=times))
    assert info.vfr and info.frames == 7
    assert info.fps == pytest.approx(6 / 1.1, rel=0.01)
    assert not probe_video(video_bytes(40, fps=Fraction(30000, 1001), container="matroska")).vfr


def test_a_missing_duration_is_counted(tmp_path: Path) -> None:
    assert probe_video(without_duration(video_bytes(50))).duration == pytest.approx(2.0, abs=0.05)
    info = probe_video(live_webm(50))
    assert info.frames == 50 and info.duration == pytest.approx(2.0, abs=0.05)


def test_odd_sizes_ten_bits_and_single_frames() -> None:
    odd = probe_video(video_bytes(5, width=161, height=121, codec="mpeg4"))
    assert (odd.width, odd.height) == (161, 121)
    ten = probe_video(video_bytes(5, codec="libx265", pix_fmt="yuv420p10le"))
    assert ten.pix_fmt == "yuv420p10le"
    one = probe_video(video_bytes(1))
    assert one.frames == 1 and one.duration == pytest.approx(0.04, abs=0.001) and one.fps == pytest.approx(25)


def test_sound_beside_the_picture_does_not_matter_and_sound_alone_is_no_video() -> None:
    assert probe_video(video_bytes(25, audio=True)).frames == 25
    assert error_of(sound_bytes(0.5)) is ErrorClass.NOT_MEDIA


def test_the_cover_of_a_song_is_no_video() -> None:
    buffer = io.BytesIO(sound_bytes(0.5))
    out = io.BytesIO()
    with av.open(buffer) as song, av.open(out, "w", format="mp4") as album:
        sound = album.add_stream_from_template(song.streams.audio[0])
        cover = album.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 160, 120, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        album.mux(cover.encode(av.VideoFrame.from_ndarray(texture(160, 120), "rgb24")))
        for packet in song.demux(audio=0):
            if packet.dts is not None:
                packet.stream = sound
                album.mux(packet)
    assert error_of(out.getvalue()) is ErrorClass.NOT_MEDIA


def test_what_is_no_video_is_called_so() -> None:
    assert error_of(b"") is ErrorClass.EMPTY
    assert error_of(b"<html><body>not found</body></html>") is ErrorClass.NOT_MEDIA
    assert error_of(image_bytes()) is ErrorClass.NOT_MEDIA
    assert error_of(playlist()) is ErrorClass.NOT_MEDIA


def test_a_recording_without_its_index_does_not_decode() -> None:
    assert error_of(headless_mp4(video_bytes(30))) is ErrorClass.DECODE


@pytest.mark.parametrize("container", ["mp4", "matroska", "avi", "webm"])
@pytest.mark.parametrize("part", [0.1, 0.5, 0.8])
def test_a_file_that_breaks_off_is_refused(container: str, part: float) -> None:
    codec = {"webm": "libvpx", "avi": "mpeg4"}.get(container, "libx264")
    data = video_bytes(100, codec=codec, container=container)
    data = faststart(data) if container == "mp4" else data
    probe_video(data)
    assert error_of(data[: int(len(data) * part)]) is ErrorClass.DECODE


def test_an_mp4_that_lacks_its_last_bytes_is_refused_by_its_index() -> None:
    data = faststart(video_bytes(100))
    assert error_of(data[:-20]) is ErrorClass.DECODE


def test_a_mislabelled_stream_of_noise_is_refused() -> None:
    data = bytearray(video_bytes(30))
    start = data.index(b"mdat") + 4
    data[start : start + 4000] = bytes(range(250)) * 16
    noise = bytes(data[:start]) + bytes(len(data) - start)
    assert error_of(noise) is ErrorClass.DECODE


def test_a_video_that_tells_no_times_and_holds_no_frame_is_refused() -> None:
    data = bytearray(video_bytes(3, codec="mpeg4", container="avi", options={"bf": "2"}))
    start, stop = data.index(b"movi") + 4, data.rindex(b"idx1")
    at = data.index(b"00dc", start, stop)
    while at >= 0:
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        data[at + 8 : at + 8 + size] = bytes([0x55]) * size
        at = data.find(b"00dc", at + 8 + size, stop)
    assert error_of(bytes(data)) is ErrorClass.DECODE


def test_few_frames_over_a_long_time_are_refused_and_a_slow_show_of_slides_is_not() -> None:
    """Each ten seconds of it would become a sample."""
    assert probe_video(video_bytes(5, times=[0, 9, 18, 27, 36])).duration == pytest.approx(36, abs=10)
    assert error_of(video_bytes(5, times=[0, 3600, 7200, 10_800, 14_400])) is ErrorClass.BOMB


@pytest.mark.parametrize(
    "data",
    [
        video_bytes(50),
        video_bytes(40, fps=Fraction(30000, 1001)),
        video_bytes(25, audio=True, rotation=90),
        faststart(video_bytes(30, codec="mpeg4")),
        video_bytes(7, times=[0, 0.04, 0.08, 0.5, 0.52, 1.0, 1.1]),
        video_bytes(1),
    ],
    ids=["25 fps", "29.97 fps", "sound, turned", "faststart", "varying", "one frame"],
)
def test_the_index_tells_what_the_packets_tell(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    by_index = probe_video(data)
    monkeypatch.setattr("omnisrc.media.decode.group_index", lambda container, stream: None)
    assert probe_video(data) == by_index


def test_an_mp4_of_a_steady_rate_is_described_without_reading_its_packets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("omnisrc.media.decode.scan", lambda *_: pytest.fail("all packets were read"))
    assert probe_video(video_bytes(50)).frames == 50
