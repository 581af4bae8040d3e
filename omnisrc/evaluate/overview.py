"""An evaluation at a glance: its figures, its worst classes, its most confused pairs."""

from __future__ import annotations

from typing import Any

import numpy as np

from omnisrc.evaluate.results import figures_of
from omnisrc.evaluate.scores import ScoreTable
from omnisrc.tasks import metrics
from omnisrc.tasks.average_precision import class_average_precision


def overview(table: ScoreTable, top: int) -> dict[str, Any]:
    """`figures`, and as rows of at most `top`: `worst` (class, clips, accuracy), `pairs` and `taken_for` (class, other,
    clips, share). Where clips may have several classes, `worst` is by average precision, and no class is taken for
    another."""
    if table.multi_label:
        precisions = class_average_precision(table.probabilities, table.labels > 0)
        scored = [int(at) for at in np.argsort(precisions, kind="stable") if not np.isnan(precisions[at])]
        rows = [(table.classes[at], int(table.labels[:, at].sum()), float(precisions[at])) for at in scored[:top]]
        return {"figures": figures_of(table), "worst": rows, "pairs": [], "taken_for": []}
    matrix = metrics.confusion(table.predicted, table.labels, len(table.classes))
    recall = metrics.class_recall(matrix)
    order = [int(at) for at in np.argsort(recall, kind="stable") if not np.isnan(recall[at])]

    def pairs(directed: bool) -> list[tuple[str, str, int, float]]:
        found = metrics.confused_pairs(matrix, top, directed)
        return [(table.classes[a], table.classes[b], count, share) for a, b, count, share in found]

    return {
        "figures": figures_of(table),
        "worst": [(table.classes[at], int(matrix[at].sum()), float(recall[at])) for at in order[:top]],
        "pairs": pairs(directed=False),
        "taken_for": pairs(directed=True),
    }
