import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omnisrc.errors import ErrorClass, ItemError
from omnisrc.media import container as container_module
from omnisrc.media.source import MediaRef
from omnisrc.media.video import open_video
from tests.media_files import headless_mp4, live_webm, moving_frames, sound_bytes, video_bytes, without_duration
from tests.plain_ffmpeg import torchcodec_environment

VP9 = {"deadline": "realtime", "cpu-used": "8"}
KINDS: dict[str, dict[str, Any]] = {
    "h264": {"gop": 12, "options": {"preset": "medium"}},
    "h264 one keyframe": {"gop": 250, "options": {"preset": "medium"}},
    "h264 open groups": {"gop": 10, "options": {"preset": "medium", "x264-params": "open-gop=1:bframes=3:b-pyramid=2"}},
    "h264 keyframes only": {"gop": 1},
    "h264 short groups, late frames": {"gop": 3, "options": {"preset": "slow", "x264-params": "bframes=2:scenecut=0"}},
    "h264 mpegts": {"container": "mpegts", "options": {"preset": "medium"}},
    "h264 matroska": {"container": "matroska", "options": {"preset": "medium"}},
    "h264 avi without times": {"container": "avi", "options": {"preset": "medium"}},
    "h264 full range": {"pix_fmt": "yuvj420p", "full_range": True},
    "h264 bt709": {"colorspace": 1},
    "h264 4:4:4 odd": {"width": 161, "height": 121, "pix_fmt": "yuv444p"},
    "h264 turned": {"rotation": 90},
    "h264 variable": {"times": [0, 0.03, 0.1, *(0.2 + 0.01 * n * n for n in range(37))]},
    "hevc": {"codec": "libx265", "options": {"preset": "veryfast"}},
    "vp9": {"codec": "libvpx-vp9", "container": "webm", "options": VP9},
    "vp8": {"codec": "libvpx", "container": "webm"},
    "mpeg4": {"codec": "mpeg4", "container": "avi"},
    "mpeg4 b-frames": {"codec": "mpeg4", "container": "mp4", "options": {"bf": "2"}},
    "mpeg2": {"codec": "mpeg2video", "container": "mpeg", "options": {"bf": "2"}},
    "mjpeg": {"codec": "mjpeg", "container": "avi", "pix_fmt": "yuvj420p"},
    "av1": {"codec": "libsvtav1", "options": {"preset": "11"}},
}
FRAMES = 40
_made: dict[str, bytes] = {}


def made(kind: str) -> bytes:
    """Each video is made once for all tests of this file."""
    if kind not in _made:
        _made[kind] = video_bytes(FRAMES, **KINDS[kind])
    return _made[kind]


def decoded_in_order(data: bytes) -> np.ndarray:
    """All frames from start to end by PyAV itself, turned upright."""
    with av.open(io.BytesIO(data)) as container:
        container.streams.video[0].thread_type = "NONE"
        frames = list(container.decode(video=0))
    return np.stack([np.rot90(f.to_ndarray(format="rgb24"), round(f.rotation / 90) % 4) for f in frames])


@pytest.mark.parametrize("kind", KINDS)
def test_any_choice_of_frames_is_what_a_decode_from_start_to_end_gives(kind: str) -> None:
    want = decoded_in_order(made(kind))
    with open_video(made(kind)) as video:
        assert len(video) == len(want) == FRAMES
        rng = np.random.default_rng(0)
        for choice in (
            [0],
            [FRAMES - 1],
            list(range(FRAMES)),
            [5, 5, 3],
            *(rng.integers(0, FRAMES, 4) for _ in range(6)),
        ):
            assert np.array_equal(video.frames(choice), want[choice])


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, FRAMES - 1), min_size=1, max_size=10), st.sampled_from(["h264", "h264 open groups"]))
def test_repeats_and_any_order(choice: list[int], kind: str) -> None:
    with open_video(made(kind)) as video:
        assert np.array_equal(video.frames(choice), decoded_in_order(made(kind))[choice])


CHOICE = [0, 3, 11, 12, 13, 26, 39]
READ = """
import sys
import numpy as np
from torchcodec.decoders import VideoDecoder
for path in sys.argv[1:]:
    np.save(path, VideoDecoder(open(path, "rb").read(), dimension_order="NHWC").get_frames_at(%s).data.numpy())
"""


@pytest.fixture(scope="module")
def torchcodec_frames(tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    """The frames that torchcodec gives for every kind, read in one process that can load it."""
    folder = tmp_path_factory.mktemp("torchcodec")
    environment = torchcodec_environment(folder)
    if environment is None:
        pytest.skip("torchcodec does not load here, not even with the FFmpeg that PyAV brings")
    paths = {kind: folder / f"{number}.video" for number, kind in enumerate(KINDS)}
    for kind, path in paths.items():
        path.write_bytes(made(kind))
    subprocess.run([sys.executable, "-c", READ % CHOICE, *paths.values()], env=environment, check=True)
    return {kind: np.load(f"{path}.npy") for kind, path in paths.items()}


TORCHCODEC_WRONG = {"h264 mpegts", "mpeg2", "h264 avi without times"}
"""torchcodec 0.17 gives frame 12 for frame 0 of the first two, and frames in decoding order of the third."""


@pytest.mark.parametrize("kind", [k for k in KINDS if k not in TORCHCODEC_WRONG])
def test_frames_equal_those_of_torchcodec_to_the_bit(kind: str, torchcodec_frames: dict[str, np.ndarray]) -> None:
    with open_video(made(kind)) as video:
        assert np.array_equal(video.frames(CHOICE), torchcodec_frames[kind])


def test_timestamps_are_seconds_since_the_first_frame() -> None:
    times = KINDS["h264 variable"]["times"]
    with open_video(made("h264 variable")) as video:
        assert np.allclose(video.timestamps, times, atol=1e-4)
        assert [video.index_at(t) for t in (-1, 0, 0.029, 0.03, 0.15, 99)] == [0, 0, 0, 1, 2, FRAMES - 1]
    with open_video(made("h264 mpegts")) as video:
        assert np.allclose(video.timestamps, np.arange(FRAMES) / 25)


def test_frames_are_scaled_down_and_never_up() -> None:
    with open_video(made("h264")) as video:
        assert video.frames([0, 1], short_side=60).shape == (2, 60, 80, 3)
        assert video.frames([0, 1], short_side=500).shape == (2, 120, 160, 3)
        small = video.frames([7], short_side=60)[0].astype(float)
        whole = video.frames([7])[0].astype(float).reshape(60, 2, 80, 2, 3).mean((1, 3))
        assert np.abs(small - whole).mean() < 3
    with open_video(made("h264 turned")) as video:
        assert video.frames([0], short_side=60).shape == (1, 80, 60, 3)


def test_rotation_brings_the_picture_back_upright() -> None:
    frames = moving_frames(3, 160, 120)
    lying = [np.rot90(f, -1) for f in frames]
    with open_video(video_bytes(lying, rotation=90)) as video:
        assert video.info.rotation == 90
        assert np.abs(video.frames([1])[0].astype(float) - frames[1]).mean() < 6


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(lambda: video_bytes(1), id="one-frame"),
        pytest.param(lambda: video_bytes(9, codec="libx265", pix_fmt="yuv420p10le"), id="ten-bit"),
        pytest.param(lambda: video_bytes(9, width=161, height=121, codec="mpeg4"), id="odd"),
        pytest.param(lambda: without_duration(video_bytes(9)), id="no-duration"),
        pytest.param(lambda: live_webm(9), id="live"),
        pytest.param(lambda: video_bytes(9, audio=True), id="with-sound"),
    ],
)
def test_unusual_videos_decode_whole(data: Any) -> None:
    with open_video(data()) as video:
        frames = video.frames(range(len(video)))
    want = moving_frames(len(frames), frames.shape[2], frames.shape[1])
    assert np.abs(frames.astype(float) - np.stack(want)).mean() < 8


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", ErrorClass.EMPTY),
        (b"<html>", ErrorClass.NOT_MEDIA),
        (sound_bytes(0.2), ErrorClass.NOT_MEDIA),
        (headless_mp4(video_bytes(5)), ErrorClass.DECODE),
    ],
)
def test_what_cannot_be_opened_says_why(data: bytes, error: ErrorClass) -> None:
    with pytest.raises(ItemError) as caught, open_video(data):
        pass
    assert caught.value.error is error


def test_frames_beyond_the_end_are_refused() -> None:
    with open_video(made("h264")) as video:
        for choice in ([FRAMES], [-1], [0, FRAMES + 5]):
            with pytest.raises(IndexError):
                video.frames(choice)


def test_a_damaged_frame_is_replaced_and_the_rest_stays() -> None:
    data = bytearray(made("h264"))
    with av.open(io.BytesIO(data)) as file:
        packets = [p for p in file.demux(video=0) if p.size]
        second = [n for n, p in enumerate(packets) if p.is_keyframe][1]
        place, size = packets[second + 4].pos, packets[second + 4].size
    data[place : place + size] = bytes(size)
    want = decoded_in_order(made("h264"))
    with open_video(bytes(data)) as video:
        got = video.frames(range(FRAMES))
    assert got.shape == want.shape
    assert np.array_equal(got[:12], want[:12]) and np.array_equal(got[24:], want[24:])


@pytest.mark.parametrize("kind", ["h264", "h264 open groups", "h264 short groups, late frames", "h264 matroska",
                                  "h264 mpegts", "vp9", "mpeg4", "h264 avi without times"])  # fmt: skip
def test_a_source_too_large_to_keep_is_read_again_with_the_same_frames(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(container_module, "KEEP_BYTES", 10)
    want = decoded_in_order(made(kind))
    (tmp_path / "shard").write_bytes(b"head" + made(kind) + b"tail")
    with open_video(MediaRef(str(tmp_path / "shard"), 4, len(made(kind)))) as video:
        for choice in ([39], [0], [13, 30], list(range(FRAMES)), [25, 2]):
            assert np.array_equal(video.frames(choice), want[choice])


def test_files_are_closed(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(made("h264"))
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        with open_video(tmp_path / "a.mp4") as video:
            video.frames([1])
    (tmp_path / "b.mp4").write_bytes(headless_mp4(made("h264")))
    with pytest.raises(ItemError), open_video(tmp_path / "b.mp4"):
        pass
    assert len(os.listdir("/proc/self/fd")) == before
