import itertools

import numpy as np
import pytest

from omnisrc.evaluate.mcnemar import fair_coins, mcnemar, sign_flip_p


def discordant(b: int, c: int, both: int = 10) -> tuple[np.ndarray, np.ndarray]:
    first = np.array([True] * b + [False] * c + [True] * both)
    second = np.array([False] * b + [True] * c + [True] * both)
    return first, second


@pytest.mark.parametrize(
    ("b", "c", "exact", "mid_p"),
    [
        # statsmodels' mcnemar(exact=True), and 2 P(X <= b) - P(X = b) by scipy's binomial.
        (9, 1, 0.021484375, 0.01171875),
        (31, 45, 0.13538510529943087, 0.11001559898513341),
        (5, 5, 1.0, 1.0),
        (0, 7, 0.015625, 0.0078125),
        (1200, 1300, 0.047681865221043444, 0.045521866406311506),
        (0, 0, 1.0, 1.0),
    ],
)
def test_p_values_of_statsmodels(b, c, exact, mid_p):
    found = mcnemar(*discordant(b, c))
    assert (found.only_first, found.only_second) == (b, c)
    assert found.exact == pytest.approx(exact, rel=1e-10) and found.mid_p == pytest.approx(mid_p, rel=1e-10)


def test_thousands_of_discordant_clips_do_not_overflow():
    found = mcnemar(*discordant(9000, 11000))
    assert 0 <= found.mid_p < found.exact < 1e-40


def test_groups_of_one_clip_give_mcnemars_test():
    for b, c in ((9, 1), (31, 45), (3, 3)):
        assert sign_flip_p(np.array([1] * b + [-1] * c + [0] * 20)) == pytest.approx(mcnemar(*discordant(b, c)).exact)


def test_flipping_every_sign_by_hand():
    differences = np.array([3, -1, 2, 2, -4, 1, 0])
    sums = [abs(np.dot(signs, np.abs(differences))) for signs in itertools.product((-1, 1), repeat=7)]
    assert sign_flip_p(differences) == pytest.approx(np.mean(np.array(sums) >= abs(differences.sum())))
    assert sign_flip_p(np.array([4, 4, 4])) == pytest.approx(2 / 8)
    assert sign_flip_p(np.zeros(4, int)) == 1.0


def test_coins_sum_to_one():
    assert fair_coins(4) == pytest.approx(np.array([1, 4, 6, 4, 1]) / 16)
    assert fair_coins(5000).sum() == pytest.approx(1, abs=1e-9)
