import numpy as np
import pytest

from omnisrc.errors import UserError
from omnisrc.media.samplers import DenseSample, UniformSample, create_sampler
from omnisrc.media.sampling import SampleFrames

# Frame numbers of MMAction2's samplers: research/seed-systems.md, section 5.2.


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_uniform_sample_of_the_reference():
    assert UniformSample(8, test_mode=True)(100, rng()).tolist() == [6, 18, 31, 43, 56, 68, 80, 93]
    starts, part = [round(99 / 8 * i) for i in range(8)], 99 / 8
    want = [start + int(part / 4 * (k + 1)) for k in range(3) for start in starts]
    assert UniformSample(8, 3, test_mode=True)(100, rng(), start_index=1).tolist() == [at + 1 for at in want]


def test_uniform_sample_draws_one_frame_of_each_part_both_ends_included():
    drawn = np.array([UniformSample(4)(41, rng(seed)) for seed in range(400)])
    assert drawn.min(0).tolist() == [0, 10, 20, 30] and drawn.max(0).tolist() == [10, 20, 30, 40]


def test_dense_sample_of_the_reference():
    frames = DenseSample(1, 1, 8, num_positions=2, test_mode=True)(100, rng())
    assert frames.tolist() == [*range(0, 57, 8), *range(36, 93, 8)]
    short = DenseSample(1, 1, 8, num_positions=10, test_mode=True)(20, rng()).reshape(10, 8)
    assert (short == [k * 8 % 20 for k in range(8)]).all()


def test_dense_sample_draws_where_its_range_begins():
    starts = {int(DenseSample(1, 1, 8)(70, rng(seed))[0]) for seed in range(200)}
    assert starts == set(range(6))  # of 7 places the reference never draws the last
    clip = DenseSample(4, 2, 1)(10, rng())
    assert clip.tolist() == [0, 2, 4, 6]


@pytest.mark.parametrize(
    "make",
    [lambda: UniformSample(0), lambda: DenseSample(1, num_positions=0)],
)
def test_numbers_below_one_are_refused(make):
    with pytest.raises(UserError, match="must be at least 1"):
        make()


def test_a_video_without_frames_is_refused():
    for sampler in (UniformSample(2), DenseSample(2)):
        with pytest.raises(ValueError, match="without frames"):
            sampler(0, rng())


def test_samplers_by_name_give_the_references_frames_to_each_family():
    views = [(8, 0, 1), (1, 1, 8)]  # a clip of 8 frames in order (TSM, a transformer), and 8 single frames (TSN)
    for clip_len, interval, segments in views:
        uniform = create_sampler("uniform", clip_len, interval, segments, views=1 if clip_len > 1 else 8)
        assert uniform(100, rng()).tolist() == [6, 18, 31, 43, 56, 68, 80, 93]
        dense = create_sampler("dense", clip_len, interval, segments, views=2 * segments)
        assert dense(100, rng(), fps=30).tolist() == [*range(0, 57, 8), *range(36, 93, 8)]
        assert create_sampler("uniform", clip_len, interval, segments)(100, rng()).shape == (8,)
        assert np.ptp(create_sampler("dense", clip_len, interval, segments, sample_range=32)(100, rng())) == 28
    plain = create_sampler("clips", 4, 2, 3, views=5, target_fps=15.0)
    assert plain == SampleFrames(4, 2, 5, test_mode=True, target_fps=15.0)
    clips = create_sampler("dense", 4, 2, 2, views=6)(100, rng()).reshape(6, 4)  # two clips at each of three places
    assert clips[:, 0].tolist() == [0, 32, 18, 50, 36, 68] and (np.diff(clips) == 2).all()
