"""Figures of a classification: from scores (N, classes) and labels (N,), larger scores better."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.floating]
Labels = NDArray[np.integer]


def ranking(scores: Scores, k: int) -> NDArray[np.int64]:
    """The k best classes of each row, best first: (N, k). Of equal scores the lowest class comes first."""
    best: NDArray[np.int64] = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return best


def top_k(scores: Scores, labels: Labels, k: int = 1) -> float:
    """The share of rows whose label is among the k best; NaN of none."""
    if len(labels) == 0:
        return float("nan")
    return float((ranking(scores, k) == np.asarray(labels)[:, None]).any(axis=1).mean())


def confusion(predicted: Labels, labels: Labels, classes: int) -> NDArray[np.int64]:
    """(classes, classes): rows are the true class, columns the predicted one."""
    cells = np.asarray(labels, dtype=np.int64) * classes + np.asarray(predicted, dtype=np.int64)
    return np.bincount(cells, minlength=classes * classes).reshape(classes, classes)


def class_recall(matrix: NDArray[np.int64]) -> NDArray[np.float64]:
    """The share of each class's rows that were predicted as it: (classes,), NaN for a class without rows."""
    rows = matrix.sum(axis=1)
    recall = np.full(len(matrix), np.nan)
    np.divide(np.diag(matrix), rows, out=recall, where=rows > 0)
    return recall


def mean_class_accuracy(matrix: NDArray[np.int64], over: str = "labelled") -> float:
    """The mean recall over classes.

    Args:
        over: `labelled`: the classes that have rows. `seen`: those and the ones that were predicted, at 0 where they
            have no rows; this is how MMAction2 counts.
    """
    recall = class_recall(matrix)
    if over == "labelled":
        counted = recall[~np.isnan(recall)]
    else:
        counted = np.nan_to_num(recall[(matrix.sum(axis=0) > 0) | (matrix.sum(axis=1) > 0)])
    return float(counted.mean()) if len(counted) else float("nan")


def pair_confusion(matrix: NDArray[np.int64]) -> NDArray[np.float64]:
    """How often two classes are taken for each other: s_ij = (n_ij + n_ji) / (n_ij + n_ji + n_ii + n_jj).

    The measure of OmniSource's error analysis; 0 on the diagonal and for pairs without rows.
    """
    between = (matrix + matrix.T).astype(np.float64)
    right = np.diag(matrix)
    total = between + right[:, None] + right[None, :]
    share = np.divide(between, total, out=np.zeros_like(between), where=total > 0)
    np.fill_diagonal(share, 0.0)
    return share


class Confused(NamedTuple):
    """Two classes that are taken for each other, or the first for the second: how often, and what share it is."""

    first: int
    second: int
    rows: int
    share: float


def confused_pairs(matrix: NDArray[np.int64], top: int, directed: bool = False) -> list[Confused]:
    """The most confused pairs of classes, the most first; equal ones in the order of the classes.

    Args:
        directed: rows of `first` that were predicted as `second`, as a share of the rows of `first`. Otherwise both
            directions together, by `pair_confusion`.
    """
    if directed:
        rows = np.maximum(matrix.sum(axis=1, keepdims=True), 1)
        counts, share = matrix.copy(), matrix / rows
        np.fill_diagonal(counts, 0)
    else:
        counts, share = np.triu(matrix + matrix.T, 1), np.triu(pair_confusion(matrix), 1)
    pairs = np.argwhere(counts)
    chosen = sorted(pairs.tolist(), key=lambda at: (-share[at[0], at[1]], -counts[at[0], at[1]], at))[:top]
    return [Confused(a, b, int(counts[a, b]), float(share[a, b])) for a, b in chosen]


def binary_log_loss(scores: Scores, labels: NDArray[Any]) -> float:
    """Of probabilities and multi-hot labels (N, classes), each class for itself: the mean of -log p(answer); NaN of
    none."""
    if not len(labels):
        return float("nan")
    given = np.where(np.asarray(labels) > 0, scores, 1 - np.asarray(scores, np.float64))
    return float(-np.log(np.maximum(given, 1e-12)).mean())
