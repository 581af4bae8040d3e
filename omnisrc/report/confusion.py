"""What a student takes for what: its confusion matrix, the pairs it confuses most, what changed from another run."""

from __future__ import annotations

import base64
import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray
from PIL import Image

from omnisrc.report import svg
from omnisrc.report.accuracy import Table
from omnisrc.report.limits import Limits
from omnisrc.report.runs import Group
from omnisrc.tasks.metrics import class_recall, pair_confusion

Matrix = NDArray[np.int64]


@dataclass(frozen=True)
class ConfusedPair:
    """Two classes: s = (n_ij + n_ji) / (n_ij + n_ji + n_ii + n_jj), by OmniSource's error analysis; `before` is that
    of the other run, where there is one."""

    first: str
    second: str
    share: float
    first_as_second: int
    second_as_first: int
    before: float | None = None


@dataclass(frozen=True)
class ClassChange:
    """Recall of one class in two runs, and the class's samples."""

    name: str
    before: float
    after: float
    samples: int

    @property
    def change(self) -> float:
        return self.after - self.before


@dataclass(frozen=True)
class Confusion:
    """What the page shows of one recipe, summed over its seeds; `before` is the target alone it is compared with."""

    split: str
    group: Group
    drawn: Markup
    before: Group | None = None
    pairs: list[ConfusedPair] = field(default_factory=list)
    changes: list[ClassChange] = field(default_factory=list)


def read_confusion(tables: Sequence[Table], limits: Limits) -> Confusion | None:
    """Of the best recipe of the first table whose matrix can be read: a mix, where there is one."""
    for table in tables:
        lines = sorted(table.lines, key=lambda line: (line.group.is_mix, line.group.rank), reverse=True)
        for line in lines:
            found = _summed(line.group)
            if found is None:
                continue
            names, matrix = found
            gain = line.same_steps or line.same_compute
            other = _summed(gain.baseline) if gain else None
            before = other[1] if other and other[0] == names else None
            return Confusion(
                table.split,
                line.group,
                drawn_matrix(matrix, names, limits),
                gain.baseline if gain and before is not None else None,
                confused_pairs(matrix, names, limits.confused, before),
                class_changes(before, matrix, names) if before is not None else [],
            )
    return None


def _summed(group: Group) -> tuple[list[str], Matrix] | None:
    """Class names and the sum of the matrices of a group's seeds; None where one is missing or of other classes."""
    total: tuple[list[str], Matrix] | None = None
    for score in group.scores:
        found = read_matrix(Path(score.folder) / "confusion.csv")
        if found is None or (total is not None and found[0] != total[0]):
            return None
        total = found if total is None else (total[0], total[1] + found[1])
    return total


def read_matrix(path: Path) -> tuple[list[str], Matrix] | None:
    """Class names and counts (rows: true, columns: predicted) of an evaluation's confusion.csv; None if unreadable."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            lines = csv.reader(file)
            names = next(lines)[1:]
            matrix = np.array([[int(cell) for cell in line[1:]] for line in lines], np.int64)
    except (OSError, ValueError, StopIteration, csv.Error):
        return None
    return (names, matrix) if matrix.shape == (len(names), len(names)) else None


def confused_pairs(
    matrix: Matrix, names: Sequence[str], count: int, before: Matrix | None = None
) -> list[ConfusedPair]:
    """The `count` pairs with the largest s, those that were confused at all."""
    shares = np.triu(pair_confusion(matrix))
    others = pair_confusion(before) if before is not None and before.shape == matrix.shape else None
    order = np.argsort(-shares, axis=None, kind="stable")[:count]
    pairs = []
    for i, j in zip(*np.unravel_index(order, shares.shape), strict=True):
        if shares[i, j] > 0:
            old = float(others[i, j]) if others is not None else None
            pairs.append(
                ConfusedPair(names[i], names[j], float(shares[i, j]), int(matrix[i, j]), int(matrix[j, i]), old)
            )
    return pairs


def class_changes(before: Matrix, after: Matrix, names: Sequence[str]) -> list[ClassChange]:
    """Recall before and after of each class that has samples in both, the largest gain first."""
    if before.shape != after.shape:
        return []
    old, new, rows = class_recall(before), class_recall(after), after.sum(axis=1)
    changes = [
        ClassChange(names[i], float(old[i]), float(new[i]), int(rows[i]))
        for i in range(len(names))
        if np.isfinite(old[i]) and np.isfinite(new[i])
    ]
    return sorted(changes, key=lambda change: (-change.change, change.name))


def drawn_matrix(matrix: Matrix, names: Sequence[str], limits: Limits) -> Markup:
    """The matrix as a chart with names, or, of many classes, as a picture with one pixel a cell."""
    if len(matrix) <= limits.matrix:
        return svg.heat_map(matrix, names)
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    grey = np.asarray(255 * (1 - np.sqrt(share)), np.uint8)  # the root: a mistake of 4 % must be seen
    buffer = io.BytesIO()
    Image.fromarray(grey).save(buffer, "PNG", optimize=True)
    data = base64.b64encode(buffer.getvalue()).decode()
    return Markup(
        f'<img class="matrix" alt="confusion matrix of {len(matrix)} classes" src="data:image/png;base64,{data}">'
    )
