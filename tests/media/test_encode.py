import io
from fractions import Fraction
from typing import Any

import av
import numpy as np
import pytest

from omnisrc.errors import ErrorClass, ItemError
from omnisrc.media.encode import cut_clip
from omnisrc.media.probe import probe_video
from omnisrc.media.video import open_video
from tests.media_files import moving_frames, video_bytes


def frames_of(data: bytes, start: int = 0, stop: int | None = None) -> np.ndarray:
    with open_video(data) as video:
        return video.frames(range(start, len(video) if stop is None else stop)).astype(float)


def test_a_clip_holds_the_frames_of_its_window_and_looks_the_same() -> None:
    data = video_bytes(75, audio=True)
    clip = cut_clip(data, 0.5, 2.0)
    assert (clip.width, clip.height, clip.frames, clip.fps) == (160, 120, 37, 25.0)
    assert clip.duration == pytest.approx(37 / 25)
    assert np.abs(frames_of(clip.data) - frames_of(data, 13, 50)).mean() < 4


def test_a_clip_is_h264_without_sound_with_a_keyframe_every_twelve_frames() -> None:
    clip = cut_clip(video_bytes(60, audio=True), 0, 9, keyint=12)
    info = probe_video(clip.data)
    assert (info.codec, info.pix_fmt, info.frames, info.rotation) == ("h264", "yuv420p", 60, 0)
    with open_video(clip.data) as video:
        keys = video.keyframes
    assert max(np.diff([*keys, 60])) <= 12 and keys[0] == 0
    with av.open(io.BytesIO(clip.data)) as file:
        assert len(file.streams) == 1
        settings = bytes(next(file.demux(video=0)))
    assert b"cabac=0" in settings and b"deblock=0" in settings  # what fastdecode leaves out


@pytest.mark.parametrize(
    ("size", "short_side", "want"),
    [
        ((320, 240), 120, (160, 120)),
        ((320, 240), 256, (320, 240)),
        ((240, 320), 120, (120, 160)),
        ((161, 121), 256, (160, 120)),
        ((640, 270), 128, (304, 128)),
        ((322, 242), 121, (160, 120)),
    ],
)
def test_sides_are_even_and_the_short_one_is_never_enlarged(
    size: tuple[int, int], short_side: int, want: tuple[int, int]
) -> None:
    clip = cut_clip(video_bytes(4, width=size[0], height=size[1], codec="mpeg4"), 0, 1, short_side=short_side)
    assert (clip.width, clip.height) == want
    info = probe_video(clip.data)
    assert (info.width, info.height) == want


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_rotation_is_applied_to_the_pixels(rotation: int) -> None:
    upright = moving_frames(6, 160, 120)
    stored = [np.ascontiguousarray(np.rot90(f, -rotation // 90)) for f in upright]
    clip = cut_clip(video_bytes(stored, rotation=rotation), 0, 1)
    assert (clip.width, clip.height) == (160, 120)
    assert probe_video(clip.data).rotation == 0
    assert np.abs(frames_of(clip.data)[2] - upright[2]).mean() < 8


def test_a_variable_rate_stays_one() -> None:
    times = [0, 0.1, 0.11, 0.2, 0.5, 0.6, 1.0, 1.1, 1.2, 2.0]
    clip = cut_clip(video_bytes(10, times=times), 0.1, 1.15)
    with open_video(clip.data) as video:
        assert np.allclose(video.timestamps, np.array(times[1:8]) - 0.1, atol=1e-4)
        assert video.info.vfr
    assert clip.frames == 7 and clip.fps == pytest.approx(6 / 1.0)


def test_ntsc_times_are_exact() -> None:
    clip = cut_clip(video_bytes(30, fps=Fraction(30000, 1001)), 0, 1)
    assert clip.fps == pytest.approx(30000 / 1001, abs=1e-9)


COLOURS: list[dict[str, Any]] = [
    {},
    {"colorspace": 1},
    {"pix_fmt": "yuvj420p", "full_range": True},
    {"colorspace": 1, "pix_fmt": "yuvj420p", "full_range": True},
    {"pix_fmt": "yuv444p"},
    {"codec": "libx264rgb", "pix_fmt": "bgr24"},
    {"codec": "libx265", "pix_fmt": "yuv420p10le"},
    {"codec": "mjpeg", "container": "avi", "pix_fmt": "yuvj420p"},
    {"colorspace": 1, "rotation": 90},
]


def saturated(width: int = 160, height: int = 120) -> list[np.ndarray]:
    """Frames of strong colours, which show a wrong matrix or range where soft ones hide it."""
    colours = [(230, 20, 20), (20, 200, 30), (30, 30, 230), (240, 240, 240), (15, 15, 15), (220, 210, 20)]
    frame = np.zeros((height, width, 3), np.uint8)
    for number, colour in enumerate(colours):
        frame[:, number * width // 6 : (number + 1) * width // 6] = colour
    return [np.roll(frame, 2 * shift, axis=1) for shift in range(6)]


@pytest.mark.parametrize("options", COLOURS, ids=[" ".join(map(str, c.values())) or "plain" for c in COLOURS])
def test_colours_stay_whatever_range_matrix_and_depth_they_came_in(options: dict[str, Any]) -> None:
    data = video_bytes(saturated(), **options)
    before, after = frames_of(data), frames_of(cut_clip(data, 0, 1, crf=10).data)
    assert np.median(np.abs(before - after)) <= 3  # the mean would count edges, which 4:2:0 blurs


def test_how_frames_were_coded_before_does_not_matter() -> None:
    pictures = moving_frames(30, 160, 120)
    sizes = [len(cut_clip(video_bytes(pictures, gop=gop), 0, 2).data) for gop in (1, 30)]
    assert sizes[0] < 1.2 * sizes[1]


def test_one_frame_makes_a_clip_and_no_frame_is_an_item_error() -> None:
    assert cut_clip(video_bytes(1), 0, 5).frames == 1
    with pytest.raises(ItemError) as caught:
        cut_clip(video_bytes(10), 7, 9)
    assert caught.value.error is ErrorClass.DECODE


def test_equal_input_gives_equal_bytes() -> None:
    data = video_bytes(40)
    assert len({cut_clip(data, 0.2, 1.5).data for _ in range(12)}) == 1


def test_a_better_quality_setting_is_nearer_and_larger() -> None:
    data = video_bytes(20)
    rough, fine = (cut_clip(data, 0, 1, crf=crf) for crf in (35, 18))
    want = frames_of(data)
    assert len(fine.data) > len(rough.data)
    assert np.abs(frames_of(fine.data) - want).mean() < np.abs(frames_of(rough.data) - want).mean()
