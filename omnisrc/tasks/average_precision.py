"""Average precision of samples that have several labels: over classes (mAP) or over samples (Multi-Moments in Time).

The area is the step function's, precision x gain in recall over the distinct scores: equal scores count as one step,
so no order among them can change the figure.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def average_precision(scores: NDArray[np.floating], positive: NDArray[np.bool_]) -> float:
    """Of scores (N,), larger is surer, and whether each is a hit (N,). NaN where none is."""
    hits = np.asarray(positive, dtype=bool)
    if not hits.any():
        return float("nan")
    order = np.argsort(-np.asarray(scores), kind="stable")
    ranked, right = np.asarray(scores)[order], np.cumsum(hits[order])
    ends = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)  # the last row of each distinct score
    precision, recall = right[ends] / (ends + 1), right[ends] / right[-1]
    return float((precision * np.diff(recall, prepend=0.0)).sum())


def class_average_precision(scores: NDArray[np.floating], labels: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(classes,) of scores and multi-hot labels (N, classes); NaN for a class without a positive row."""
    columns = zip(np.asarray(scores).T, np.asarray(labels).T, strict=True)
    return np.array([average_precision(score, label) for score, label in columns])


def mean_average_precision(scores: NDArray[np.floating], labels: NDArray[np.bool_], over: str = "classes") -> float:
    """mAP of scores and multi-hot labels (N, classes).

    Args:
        over: `classes`: the mean over classes that have a positive row. `samples`: over the rows that have a label,
            each row's classes ranked among themselves (MMAction2's mmit_mean_average_precision).
    """
    if over == "samples":
        scores, labels = np.asarray(scores).T, np.asarray(labels).T
    each = class_average_precision(scores, labels)
    counted = each[~np.isnan(each)]
    return float(counted.mean()) if len(counted) else float("nan")
