import numpy as np
import pytest

from omnisrc.errors import UserError
from omnisrc.media.other_sampling import DenseSample, KeyFrameSample, UniformSample, UntrimmedSample

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


def test_untrimmed_sample_of_the_reference():
    assert UntrimmedSample()(50).tolist() == [8, 24, 40]
    assert UntrimmedSample(5, 16, 4)(20, start_index=1).tolist() == [1, 5, 9, 13, 17]
    assert UntrimmedSample(4, 16, 8)(20).tolist() == [0, 0, 8, 16]  # -8 and 24 lie outside
    assert UntrimmedSample(4, 16, 8)(30).tolist() == [0, 0, 8, 16, 8, 16, 24, 29]
    assert UntrimmedSample()(8).tolist() == []


def test_a_key_frame_stands_in_the_middle_of_its_clip():
    # Key second 902 of a shot that begins at 900: frames 29 to 91 where they count from 1; the reference gives 30..92.
    frames = KeyFrameSample(32, 2, test_mode=True)(902 - 900, 30, (0, 27_000), rng(), start_index=1)
    assert frames.tolist() == list(range(29, 92, 2))
    assert KeyFrameSample(4, 2, test_mode=True)(0, 30, (0, 100), rng()).tolist() == [0, 0, 0, 2]
    assert KeyFrameSample(4, 2, test_mode=True)(2, 30, (58, 61), rng()).tolist() == [58, 58, 60, 60]


def test_key_frames_are_jittered_by_half_an_interval_in_training():
    plain = KeyFrameSample(8, 4, test_mode=True)(10, 30, (0, 1000), rng())
    moves = np.array([KeyFrameSample(8, 4)(10, 30, (0, 1000), rng(seed)) - plain for seed in range(300)])
    assert moves.min() == -2 and moves.max() == 1


@pytest.mark.parametrize(
    "make",
    [lambda: UniformSample(0), lambda: DenseSample(1, num_positions=0), lambda: UntrimmedSample(clip_interval=0)],
)
def test_numbers_below_one_are_refused(make):
    with pytest.raises(UserError, match="must be at least 1"):
        make()


def test_a_video_without_frames_is_refused():
    for sampler in (UniformSample(2), DenseSample(2)):
        with pytest.raises(ValueError, match="without frames"):
            sampler(0, rng())
    with pytest.raises(ValueError, match="without frames"):
        UntrimmedSample()(0)
