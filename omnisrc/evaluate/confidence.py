"""How far a top-1 can be trusted: bootstrap intervals, of clips or of the groups that they come from.

Clips of one group (cuts of one video, takes of one actor) are alike, so it is the groups that are drawn again. Groups
with equal outcomes are interchangeable, so a draw of all groups is one multinomial draw over the kinds of outcome: ten
thousand resamples of any data set take a fraction of a second.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 10_000
LEVEL = 0.95
NORMAL = 1.959963984540054  # the standard normal's 97.5 % point
CHANCE = 0.05  # a p value below this is not put down to chance


def verdict(first: str, second: str, difference: float, p: float, facts: str) -> str:
    """Which of two is better, if that can be told, and by what facts."""
    if p < CHANCE and difference != 0:
        return f"{second} is {'better' if difference > 0 else 'worse'} than {first}: {facts}."
    return f"These clips do not tell {second} from {first}: {facts}."


class Interval(NamedTuple):
    low: float
    high: float


@dataclass(frozen=True)
class Outcomes:
    """What became of each group.

    counts  # (G, 1 + k) clips of the group, and of each of k recognisers the right ones
    """

    counts: NDArray[np.int64]

    @classmethod
    def of(cls, right: Sequence[NDArray[np.bool_]], groups: Sequence[str]) -> Outcomes:
        """Of whether each clip is right (N,), by recogniser, and the group of each clip; an empty one stands alone."""
        alone = [group if group else f"\0{at}" for at, group in enumerate(groups)]
        names, place = np.unique(np.array(alone, dtype=object).astype(str), return_inverse=True)
        columns = [np.bincount(place, minlength=len(names))]
        columns += [np.bincount(place, weights=each, minlength=len(names)).astype(np.int64) for each in right]
        return cls(np.stack(columns, axis=1))

    @property
    def clustered(self) -> bool:
        """Whether a group has more than one clip."""
        return bool((self.counts[:, 0] > 1).any())

    def resampled(self, seed: int = 0, resamples: int = RESAMPLES) -> NDArray[np.float64]:
        """(resamples, k): top-1 of each recogniser, over as many groups drawn with replacement as there are."""
        kinds, how_many = np.unique(self.counts, axis=0, return_counts=True)
        drawn = np.random.default_rng(seed).multinomial(len(self.counts), how_many / len(self.counts), size=resamples)
        sums = drawn @ kinds
        shares: NDArray[np.float64] = sums[:, 1:] / sums[:, :1]
        return shares


def percentiles(values: NDArray[np.float64], level: float = LEVEL) -> Interval:
    """The middle `level` of the values."""
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high))


def top1_interval(right: NDArray[np.bool_], groups: Sequence[str], seed: int = 0) -> Interval:
    """95 % interval of a top-1 from whether each clip is right (N,) and the group of each.

    Resamples of clips that are all right (or all wrong) do not differ; then it is Wilson's interval for as many groups.
    NaN of no clips.
    """
    if len(right) == 0:
        return Interval(math.nan, math.nan)
    outcomes = Outcomes.of([right], groups)
    if right.all() or not right.any():
        return wilson(float(right.mean()), len(outcomes.counts))
    return percentiles(outcomes.resampled(seed)[:, 0])


def wilson(share: float, count: int) -> Interval:
    """Wilson's 95 % score interval of a share of `count`."""
    z = NORMAL**2 / count
    middle = (share + z / 2) / (1 + z)
    reach = NORMAL / (1 + z) * math.sqrt(share * (1 - share) / count + z / (4 * count))
    return Interval(max(0.0, middle - reach), min(1.0, middle + reach))
