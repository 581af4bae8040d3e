import numpy as np
import pytest

from omnisrc.tasks.calibration import reliability

SURE = np.array([0.95, 0.95, 0.65, 0.65, 0.65])
PROBABILITIES = np.stack([SURE, 1 - SURE], axis=1)
LABELS = np.array([0, 1, 0, 0, 1])


def test_calibration_error_by_hand():
    bins = reliability(PROBABILITIES, LABELS, bins=10)
    assert bins.count.tolist() == [0, 0, 0, 0, 0, 0, 3, 0, 0, 2]
    assert bins.confidence[[6, 9]] == pytest.approx([0.65, 0.95])
    assert bins.accuracy[[6, 9]] == pytest.approx([2 / 3, 1 / 2])
    assert np.isnan(bins.accuracy[0])
    assert bins.ece == pytest.approx((3 * (2 / 3 - 0.65) + 2 * 0.45) / 5)
    assert bins.mce == pytest.approx(0.45)


def test_a_bin_holds_its_upper_edge():
    bins = reliability(np.array([[0.5, 0.5], [0.75, 0.25], [1.0, 0.0], [0.51, 0.49]]), np.zeros(4, int), bins=4)
    assert bins.count.tolist() == [0, 1, 2, 1]


def test_labels_drawn_from_the_scores_are_calibrated():
    rng = np.random.default_rng(0)
    scores = rng.dirichlet(np.ones(4), 20_000)
    labels = (rng.random(20_000)[:, None] > scores.cumsum(1)).sum(1)
    assert reliability(scores, labels).ece < 0.015
    sharpened = scores**3 / (scores**3).sum(1, keepdims=True)
    assert reliability(sharpened, labels).ece > 0.15


def test_calibration_of_nothing_is_not_a_number():
    assert np.isnan(reliability(np.zeros((0, 3)), np.zeros(0, int)).ece)
