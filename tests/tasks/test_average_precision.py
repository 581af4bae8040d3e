import numpy as np
import pytest

from omnisrc.tasks.average_precision import average_precision, class_average_precision, mean_average_precision

SCORES = np.array([[0.9, 0.2, 0.3], [0.8, 0.7, 0.3], [0.4, 0.6, 0.5], [0.4, 0.1, 0.2], [0.1, 0.6, 0.3]])
LABELS = np.array([[1, 0, 0], [0, 1, 0], [1, 1, 0], [0, 0, 0], [1, 0, 0]], dtype=bool)


def test_average_precision_by_hand():
    # Hits at ranks 1, 3 (which ties with a miss, so both count as rank 4), 5: precisions 1, 2/4, 3/5.
    assert average_precision(SCORES[:, 0], LABELS[:, 0]) == pytest.approx((1 + 2 / 4 + 3 / 5) / 3)
    assert average_precision(np.array([0.1, 0.4, 0.35, 0.8]), np.array([0, 0, 1, 1], bool)) == pytest.approx(5 / 6)
    assert np.isnan(class_average_precision(SCORES, LABELS)[2])


def test_means_of_the_reference():
    # MMAction2 1.2.0's mean_average_precision and mmit_mean_average_precision of the same rows.
    assert mean_average_precision(SCORES, LABELS) == pytest.approx(0.7666666666666666)
    assert mean_average_precision(SCORES, LABELS, over="samples") == pytest.approx(0.6666666666666666)
    rng = np.random.RandomState(0)
    scores, labels = rng.rand(50, 6).round(1), rng.rand(50, 6) < 0.3
    labels[labels.sum(1) == 0, 0] = True
    assert mean_average_precision(scores, labels) == pytest.approx(0.3639375765801181, abs=1e-12)
    assert mean_average_precision(scores, labels, over="samples") == pytest.approx(0.4908111111111111, abs=1e-12)


def test_the_order_of_equal_scores_changes_nothing():
    rng = np.random.default_rng(0)
    scores, hits = rng.integers(0, 4, 40).astype(float), rng.random(40) < 0.4
    figures = {round(average_precision(scores[at], hits[at]), 12) for at in map(rng.permutation, [40] * 20)}
    assert len(figures) == 1


def test_nothing_labelled_is_not_a_number():
    assert np.isnan(mean_average_precision(SCORES, np.zeros_like(LABELS)))
