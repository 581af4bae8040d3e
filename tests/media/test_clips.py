import numpy as np
import pytest

from omnisrc.errors import ErrorClass, ItemError
from omnisrc.media.clips import clip_frames
from omnisrc.media.sampling import SampleFrames
from omnisrc.media.video import open_video
from tests.media_files import video_bytes

TSN = SampleFrames(1, num_clips=4, test_mode=True)


def test_each_window_is_sampled_as_a_video_of_its_own() -> None:
    data = video_bytes(100)
    clips = clip_frames(data, [(0.0, 1.0), (2.0, 4.0)], TSN, short_side=60)
    assert [c.indices.tolist() for c in clips] == [[3, 9, 15, 21], [56, 68, 81, 93]]
    with open_video(data) as video:
        assert np.array_equal(clips[1].frames, video.frames([56, 68, 81, 93], short_side=60))


def test_a_window_shorter_than_the_clip_wraps_within_itself() -> None:
    [clip] = clip_frames(video_bytes(50), [(1.0, 1.2)], SampleFrames(8, 1, test_mode=True))
    assert clip.indices.tolist() == [25, 26, 27, 28, 29, 25, 26, 27]


def test_training_rules_follow_the_seed() -> None:
    data, train = video_bytes(50), SampleFrames(4, 2)
    draws = [clip_frames(data, [(0, 2)], train, seed=seed)[0].indices.tolist() for seed in (1, 1, 2, 3)]
    assert draws[0] == draws[1] and len({tuple(d) for d in draws}) > 1


def test_target_fps_uses_the_rate_of_the_window() -> None:
    times = [*(n / 50 for n in range(50)), *(1 + n / 25 for n in range(25))]
    data = video_bytes(75, times=times)
    fast, slow = clip_frames(data, [(0, 1), (1, 2)], SampleFrames(4, 4, test_mode=True, target_fps=25))
    assert np.diff(fast.indices).max() > 1.5 * np.diff(slow.indices).max()


def test_a_window_without_frames_is_an_item_error() -> None:
    with pytest.raises(ItemError) as caught:
        clip_frames(video_bytes(10), [(0.1, 0.3), (5.0, 6.0)], TSN)
    assert caught.value.error is ErrorClass.DECODE
