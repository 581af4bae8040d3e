"""Whether two recognisers differ on the same clips: McNemar's test, and its like for clips that come in groups.

The null: on what only one of them gets right, either is as likely to be that one. For groups the sign of a group's
whole difference is what chance decides; where every group is one clip that is McNemar's exact test again.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class McNemar(NamedTuple):
    """Two-sided p values; `only_first`, `only_second`: clips that one of the two has right."""

    only_first: int
    only_second: int
    exact: float
    mid_p: float


def mcnemar(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> McNemar:
    """Of whether each clip (N,) is right by either. Exact: the binomial test of the discordant clips. Mid-p counts the
    outcome itself by half (Fagerland, Lydersen, Laake 2013), which keeps the level and is less timid."""
    b, c = int((first & ~second).sum()), int((~first & second).sum())
    count, least = b + c, min(b, c)
    term, tail = 1, 0  # binomial coefficients as whole numbers: nothing is lost in the tails
    for k in range(least + 1):
        tail += term
        if k < least:
            term = term * (count - k) // (k + 1)
    exact, at = 2 * tail / 2**count, term / 2**count
    return McNemar(b, c, min(1.0, exact), min(1.0, exact - at))


def sign_flip_p(differences: NDArray[np.int64]) -> float:
    """Two-sided p of the sum of the groups' differences (G,), were each one's sign a coin's: exact, by convolution."""
    sizes, how_many = np.unique(np.abs(differences[differences != 0]), return_counts=True)
    spread = np.ones(1)  # of the sum, from -reach to reach
    for size, count in zip(sizes.tolist(), how_many.tolist(), strict=True):
        coins = np.zeros(2 * size * count + 1)
        coins[:: 2 * size] = fair_coins(count)
        spread = np.convolve(spread, coins)
    reach = len(spread) // 2
    sums = np.arange(-reach, reach + 1)
    return min(1.0, float(spread[np.abs(sums) >= abs(int(differences.sum()))].sum()))


def fair_coins(count: int) -> NDArray[np.float64]:
    """(count + 1,) the chances of 0 .. count heads."""
    heads = np.arange(count + 1)
    steps = np.log(np.maximum(count - heads[:-1], 1)) - np.log(heads[1:])
    logs = np.concatenate([[0.0], np.cumsum(steps)]) - count * np.log(2)
    chances: NDArray[np.float64] = np.exp(logs)
    return chances
