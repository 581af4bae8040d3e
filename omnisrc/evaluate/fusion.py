"""Late fusion: one score from those of several recognisers on the same clips."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from omnisrc.errors import UserError
from omnisrc.evaluate.scores import ScoreTable

Of = Literal["probabilities", "logits"]


def fuse(tables: Sequence[ScoreTable], weights: Sequence[float], names: Sequence[str], of: Of) -> ScoreTable:
    """The sum of weight x score, over tables that are aligned.

    Args:
        of: `probabilities`: each recogniser's softmax first, then the sum, brought to sum to 1; what makes scores of
            different ranges comparable. `logits`: the sum of the views' mean logits, then one softmax (TSN's fusion of
            its streams, 1 : 1.5 for RGB and flow). Where a clip may have several classes, a sigmoid takes its place.

    Raises:
        UserError: the number of weights is not that of the tables, one is not positive, or a dump has no logits.
    """
    if len(weights) != len(tables):
        raise UserError(f"There are {len(tables)} dumps and {len(weights)} weights; give one each, as --weights 1,1.5.")
    for weight in weights:
        if not 0 < weight < math.inf:
            raise UserError(f"The weight {weight:g} is not a positive number; to leave a dump out, do not name it.")
    if of == "logits":
        for table, name in zip(tables, names, strict=True):
            if table.logits is None:
                raise UserError(f"{name} holds no logits; score it again, or fuse probabilities with --softmax first.")
        total = _sum([table.logits for table in tables if table.logits is not None], weights)
        likely = sigmoid(total) if tables[0].multi_label else softmax(total)
        return replace(tables[0], logits=total.astype(np.float32), probabilities=likely.astype(np.float32))
    total = _sum([table.probabilities for table in tables], weights) / sum(weights)
    return replace(tables[0], logits=None, probabilities=total.astype(np.float32))


def softmax(logits: NDArray[np.floating]) -> NDArray[np.float64]:
    """(N, classes) -> probabilities."""
    powers = np.exp(np.asarray(logits, np.float64) - logits.max(axis=1, keepdims=True))
    shares: NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
    return shares


def sigmoid(logits: NDArray[np.floating]) -> NDArray[np.float64]:
    """(N, classes) -> probabilities, each class for itself."""
    likely: NDArray[np.float64] = 0.5 * (1 + np.tanh(0.5 * np.asarray(logits, np.float64)))
    return likely


def _sum(scores: Sequence[NDArray[np.float32]], weights: Sequence[float]) -> NDArray[np.float64]:
    parts = [weight * score.astype(np.float64) for weight, score in zip(weights, scores, strict=True)]
    total: NDArray[np.float64] = np.sum(parts, axis=0)
    return total
