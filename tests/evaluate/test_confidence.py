import math

import numpy as np
import pytest

from omnisrc.evaluate.confidence import Outcomes, percentiles, top1_interval, wilson

RNG = np.random.default_rng(0)


def test_clips_that_stand_alone_give_the_binomial_interval():
    right = np.arange(400) < 280
    low, high = top1_interval(right, [""] * 400)
    reach = 1.96 * math.sqrt(0.7 * 0.3 / 400)
    assert low == pytest.approx(0.7 - reach, abs=0.006) and high == pytest.approx(0.7 + reach, abs=0.006)


def test_the_multinomial_draw_is_the_bootstrap():
    sizes, groups = RNG.integers(1, 6, 40), []
    for at, size in enumerate(sizes):
        groups += [f"video {at}"] * int(size)
    right = RNG.random(len(groups)) < np.repeat(RNG.random(40), sizes)
    by_hand = []
    places = [int(group.split()[1]) for group in groups]
    table = np.stack([np.bincount(places), np.bincount(places, weights=right)], axis=1)
    for _ in range(4000):
        drawn = table[RNG.integers(40, size=40)].sum(0)
        by_hand.append(drawn[1] / drawn[0])
    ours = Outcomes.of([right], groups).resampled(resamples=20_000)[:, 0]
    assert ours.mean() == pytest.approx(np.mean(by_hand), abs=0.005)
    assert ours.std() == pytest.approx(np.std(by_hand), rel=0.05)
    assert percentiles(ours) == pytest.approx(percentiles(np.array(by_hand)), abs=0.012)


def test_clips_of_one_video_widen_the_interval():
    right = np.repeat(np.arange(50) < 35, 8)
    alone, grouped = (top1_interval(right, names) for names in ([""] * 400, [f"v{at // 8}" for at in range(400)]))
    ratio = (grouped.high - grouped.low) / (alone.high - alone.low)
    assert ratio == pytest.approx(math.sqrt(8), rel=0.1)


def test_the_same_seed_gives_the_same_interval():
    right = RNG.random(60) < 0.6
    assert top1_interval(right, [""] * 60, seed=1) == top1_interval(right, [""] * 60, seed=1)
    one, other = (Outcomes.of([right], [""] * 60).resampled(seed=seed) for seed in (1, 2))
    assert (one != other).any()


def test_all_right_is_not_certain():
    # statsmodels' proportion_confint(5, 5, method="wilson") and of 30 of 40.
    assert top1_interval(np.ones(5, bool), [""] * 5) == pytest.approx((0.5655175352168252, 1.0))
    assert top1_interval(np.zeros(5, bool), [""] * 5) == pytest.approx((0.0, 1 - 0.5655175352168252))
    assert wilson(0.75, 40) == pytest.approx((0.5980603857923197, 0.858128813609037))
    assert all(map(math.isnan, top1_interval(np.zeros(0, bool), [])))


def test_intervals_hold_the_truth_nineteen_times_in_twenty():
    held = 0
    for _ in range(200):
        share = np.repeat(RNG.beta(4, 2, 60), 3)  # videos differ, their clips are alike
        right = RNG.random(180) < share
        low, high = top1_interval(right, [f"v{at // 3}" for at in range(180)])
        held += low <= 4 / 6 <= high
    assert 0.90 <= held / 200 <= 0.99
