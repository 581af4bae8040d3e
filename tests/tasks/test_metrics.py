import numpy as np
import pytest

from omnisrc.tasks import metrics

# The reference's rows and figures: research/seed-systems.md, section 2.
SCORES = np.array(
    [[0.7, 0.2, 0.1, 0.0], [0.1, 0.6, 0.3, 0.0], [0.4, 0.3, 0.2, 0.1], [0.1, 0.2, 0.3, 0.4], [0.2, 0.5, 0.2, 0.1]]
)
LABELS = np.array([0, 1, 0, 2, 0])


def matrix():
    return metrics.confusion(metrics.ranking(SCORES, 1)[:, 0], LABELS, 4)


def test_top_k_of_the_reference_rows():
    assert metrics.top_k(SCORES, LABELS, 1) == pytest.approx(0.6)
    # The last row's label 0 ties with class 2 for the second place. The reference's unstable sort happens to take
    # class 2 (0.8); with the lowest class first it is counted, and without the tie the figures agree.
    assert metrics.top_k(SCORES, LABELS, 2) == 1.0
    parted = SCORES - 1e-6 * np.eye(5, 4, k=-4)
    assert metrics.top_k(parted, LABELS, 2) == pytest.approx(0.8)
    assert metrics.top_k(SCORES, LABELS, 4) == 1.0


def test_equal_scores_are_ranked_by_class():
    tied = np.array([[0.25, 0.25, 0.25, 0.25], [0.0, 0.5, 0.5, 0.0]])
    assert metrics.ranking(tied, 3).tolist() == [[0, 1, 2], [1, 2, 0]]
    assert metrics.top_k(tied, np.array([0, 1])) == 1.0
    assert metrics.top_k(tied, np.array([3, 2])) == 0.0
    wide = np.random.default_rng(0).integers(0, 3, (20, 400)).astype(np.float32)
    for row, best in zip(wide, metrics.ranking(wide, 5), strict=True):
        assert best.tolist() == sorted(range(400), key=lambda c: (-row[c], c))[:5]


def test_confusion_has_true_classes_in_rows():
    assert matrix().tolist() == [[2, 1, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1], [0, 0, 0, 0]]


def test_mean_class_accuracy_of_the_reference_rows():
    assert metrics.mean_class_accuracy(matrix()) == pytest.approx((2 / 3 + 1 + 0) / 3, abs=1e-9)
    assert metrics.mean_class_accuracy(matrix()) == pytest.approx(0.5556, abs=1e-4)
    assert metrics.mean_class_accuracy(matrix(), over="seen") == pytest.approx(0.41667, abs=1e-5)


def test_recall_of_a_class_without_rows_is_not_a_number():
    recall = metrics.class_recall(matrix())
    assert recall[:3] == pytest.approx([2 / 3, 1, 0])
    assert np.isnan(recall[3])


def test_pair_confusion_by_hand():
    counts = np.array([[6, 2, 0], [1, 3, 0], [0, 0, 0]])
    share = metrics.pair_confusion(counts)
    assert share[0, 1] == share[1, 0] == pytest.approx(3 / 12)
    assert share[0, 2] == 0 and share[2, 2] == 0 and share[0, 0] == 0


def test_figures_of_nothing_are_not_numbers():
    assert np.isnan(metrics.top_k(np.zeros((0, 3)), np.zeros(0, int)))
    assert np.isnan(metrics.mean_class_accuracy(np.zeros((3, 3), int)))


def test_confused_pairs_by_hand():
    counts = np.array([[6, 2, 0], [1, 3, 0], [4, 0, 4]])
    both = metrics.confused_pairs(counts, 5)
    assert [(p.first, p.second, p.rows) for p in both] == [(0, 2, 4), (0, 1, 3)]
    assert [p.share for p in both] == [pytest.approx(4 / 14), pytest.approx(3 / 12)]
    one_way = metrics.confused_pairs(counts, 2, directed=True)
    assert [(p.first, p.second, p.rows, p.share) for p in one_way] == [(2, 0, 4, 0.5), (0, 1, 2, 0.25)]
    assert metrics.confused_pairs(counts, 5, directed=True)[2][:3] == (1, 0, 1)
    assert metrics.confused_pairs(np.diag([3, 0, 2]), 5) == []
