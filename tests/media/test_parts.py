"""Parts of a video are, to the bit, what the whole video has there."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from omnisrc.errors import ItemError
from omnisrc.media.clips import clip_frames
from omnisrc.media.followed import Followed
from omnisrc.media.parts import open_part, part_clips, part_frames, peek_video
from omnisrc.media.sampling import SampleFrames
from omnisrc.media.video import Video, open_video
from tests.media_files import faststart, image_bytes, live_webm, video_bytes

FILES = {
    "mp4": lambda: video_bytes(70),
    "open groups": lambda: video_bytes(70, gop=20, options={"x264-params": "open-gop=1:scenecut=0:bframes=3"}),
    "ntsc mkv": lambda: video_bytes(70, fps=Fraction(30000, 1001), container="matroska", gop=30),
    "variable rate": lambda: video_bytes(40, times=np.cumsum([0.02, 0.07] * 20).tolist()),
    "mpegts": lambda: video_bytes(70, container="mpegts", gop=25),
    "avi": lambda: video_bytes(40, codec="mpeg4", container="avi", gop=12),
    "avi that does not say when": lambda: video_bytes(40, codec="mpeg4", container="avi", options={"bf": "2"}),
    "live webm": lambda: live_webm(60),
    "one keyframe": lambda: video_bytes(70, gop=1000, options={"x264-params": "scenecut=0"}),
    "turned": lambda: video_bytes(40, rotation=90),
}  # fmt: skip


@pytest.mark.parametrize("kind", FILES)
def test_parts_together_are_the_video(kind: str) -> None:
    data = FILES[kind]()
    with open_video(data) as video:
        times = video.timestamps
        frames = video.frames(range(len(video)), 64)
    origin = peek_video(data).origin
    seen, at, end = 0, 0.0, None
    while end is None:
        seconds, part, end = part_frames(data, at, at + 0.55, short_side=64, origin=origin)
        assert np.allclose(seconds, times[seen : seen + len(seconds)], atol=1e-9)
        assert np.array_equal(part, frames[seen : seen + len(seconds)]) or not len(seconds)
        seen, at = seen + len(seconds), at + 0.55
    assert seen == len(times)
    assert times[-1] < end <= times[-1] + 0.1


@pytest.mark.parametrize("kind", FILES)
def test_windows_hold_the_frames_that_sampling_takes_of_the_whole(kind: str) -> None:
    data = FILES[kind]()
    sampling = SampleFrames(4, 3, 2, test_mode=True)
    windows = [(0.3, 0.9), (0.6, 1.2), (0.9, 1.3)]
    found = part_clips(data, windows, sampling, short_side=48)
    whole = clip_frames(data, windows, sampling, short_side=48)
    assert np.array_equal(found.frames, np.concatenate([clip.frames for clip in whole]))


def test_only_the_part_is_read(tmp_path: Path) -> None:
    path = tmp_path / "long.mp4"
    path.write_bytes(faststart(video_bytes(400, gop=10)))
    with open_part(path, 8.0, 8.5) as part:
        assert part.video is not None and part.end is None and len(part.seconds) == 13
        assert len(part.video._decoder.packets.kept) <= 13 + 10 + 3


def test_a_file_that_breaks_off_is_read_as_far_as_it_goes() -> None:
    data = faststart(video_bytes(70))
    peek, end = peek_video(cut := data[: len(data) * 2 // 3]), part_frames(cut, 0.0, 5.0)[2]
    assert end is not None and 0.5 < end < peek.duration - 0.25


def test_a_peek_knows_size_rate_and_announced_length() -> None:
    peek = peek_video(video_bytes(70, width=64, height=48, fps=10))
    assert (peek.width, peek.height, peek.fps) == (64, 48, 10.0) and peek.duration == pytest.approx(7.0)
    assert peek_video(live_webm(60)).duration == 0.0
    alone = peek_video(video_bytes(1))
    assert alone.fps == 25.0 and alone.origin is not None


def test_beyond_the_end_there_is_nothing() -> None:
    data = video_bytes(30)
    seconds, frames, end = part_frames(data, 5.0, 6.0)
    assert len(seconds) == len(frames) == 0 and end == pytest.approx(1.2)
    found = part_clips(data, [(1.0, 2.0), (2.0, 3.0)], SampleFrames(2, 1, test_mode=True))
    assert found.counts == [5, 0] and len(found.frames) == 2


@pytest.mark.parametrize("data", [b"", b"some text", image_bytes()])
def test_what_is_no_video_is_refused(data: bytes) -> None:
    with pytest.raises(ItemError):
        peek_video(data)
    with pytest.raises(ItemError):
        part_frames(data, 0.0, 1.0)


FEW_KEYFRAMES = {"x264-params": "scenecut=0:bframes=3"}


@pytest.mark.parametrize("stride", [0.5, 0.2, 1.3])
def test_followed_parts_are_the_parts_and_each_frame_is_decoded_once(
    stride: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "long.mp4"
    path.write_bytes(video_bytes(150, gop=1000, options=FEW_KEYFRAMES))
    peek = peek_video(path)
    assert peek.group_s == pytest.approx(149 / peek.fps)
    windows = [(stride * number, stride * number + 0.5) for number in range(int(6.2 / stride) + 2)]
    sampling = SampleFrames(4, 2, 1, test_mode=True)
    decoded: list[int] = []
    raw = Video.raw_frames

    def counted(self: Video, *numbers: int) -> Iterator[Any]:
        for frame in raw(self, *numbers):
            decoded.append(frame.pts)
            yield frame

    monkeypatch.setattr(Video, "raw_frames", counted)
    followed, end = Followed(), None
    for at in range(0, len(windows), 3):
        part = windows[at : at + 3]
        plain = part_clips(path, part, sampling, short_side=48, origin=peek.origin)
        found = followed.part_clips(path, part, sampling, short_side=48)
        assert found.counts == plain.counts and np.array_equal(found.frames, plain.frames)
        assert np.allclose(found.seconds, plain.seconds, atol=1e-9)
        assert found.end == plain.end or found.end == pytest.approx(plain.end)
        end = found.end
        if end is not None:
            break
    assert end is not None and 0 < len(decoded) == len(set(decoded)) <= 150
    again = followed.part_clips(path, windows[:2], sampling, short_side=48)
    wanted = part_clips(path, windows[:2], sampling, short_side=48, origin=peek.origin)
    assert np.array_equal(again.frames, wanted.frames), "back to the beginning"
