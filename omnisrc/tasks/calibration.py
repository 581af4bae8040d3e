"""Whether a recogniser is as sure as it is right: the expected calibration error and its diagram."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from omnisrc.tasks.metrics import Labels, Scores, ranking

BINS = 15


@dataclass(frozen=True)
class Reliability:
    """Rows by how sure the first guess was: `bins` equal parts of [0, 1].

    edges  # (bins + 1,)
    count  # (bins,) rows
    confidence, accuracy  # (bins,) means over a bin's rows, NaN where it has none
    """

    edges: NDArray[np.float64]
    count: NDArray[np.int64]
    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]

    @property
    def gaps(self) -> NDArray[np.float64]:
        """(bins,) |confidence - accuracy|, 0 where there are no rows."""
        return np.nan_to_num(np.abs(self.confidence - self.accuracy))

    @property
    def ece(self) -> float:
        """Expected calibration error: the mean gap over rows (Guo et al., ICML 2017, equation 3). NaN of no rows."""
        total = self.count.sum()
        return float((self.gaps * self.count).sum() / total) if total else float("nan")

    @property
    def mce(self) -> float:
        """The largest gap of a bin; NaN of no rows."""
        return float(self.gaps.max()) if self.count.sum() else float("nan")


def reliability(probabilities: Scores, labels: Labels, bins: int = BINS) -> Reliability:
    """Of probabilities (N, classes). A bin holds its upper edge, as in the reference: (lower, upper]."""
    edges = np.linspace(0, 1, bins + 1)
    first = ranking(probabilities, 1)[:, 0]
    sure = np.asarray(probabilities)[np.arange(len(first)), first].astype(np.float64)
    right = (first == np.asarray(labels)).astype(np.float64)
    at = np.clip(np.searchsorted(edges, sure, side="left") - 1, 0, bins - 1)
    count = np.bincount(at, minlength=bins)
    means = [np.full(bins, np.nan) for _ in range(2)]
    for mean, values in zip(means, (sure, right), strict=True):
        np.divide(np.bincount(at, values, minlength=bins), count, out=mean, where=count > 0)
    return Reliability(edges, count, means[0], means[1])
