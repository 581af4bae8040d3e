"""What an evaluation leaves behind: figures, scores, tables and plots."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from omnisrc.evaluate import several
from omnisrc.evaluate.confidence import top1_interval
from omnisrc.evaluate.plots import plot_confusion, plot_per_class, plot_reliability
from omnisrc.evaluate.scores import FILE, ScoreTable, write_scores
from omnisrc.evaluate.whole_files import whole_file
from omnisrc.tasks import metrics
from omnisrc.tasks.calibration import reliability

TOP = 5
PAIRS = 50


def figures_of(table: ScoreTable, class_accuracy: str = "labelled") -> dict[str, Any]:
    """top-1 with its 95 % interval, top-5, mean class accuracy, loss, calibration error, and over how many clips.

    Args:
        class_accuracy: the classes that the mean is over, as `metrics.mean_class_accuracy` has it.

    Of clips that may have several classes: those of `several.figures_of`.
    """
    if table.multi_label:
        return several.figures_of(table)
    matrix = metrics.confusion(table.predicted, table.labels, len(table.classes))
    given = table.probabilities[np.arange(len(table)), table.labels].astype(np.float64)
    return {
        "top1": metrics.top_k(table.probabilities, table.labels, 1),
        "top1_interval": list(top1_interval(table.right, table.groups)),
        "top5": metrics.top_k(table.probabilities, table.labels, 5),
        "mean_class_accuracy": metrics.mean_class_accuracy(matrix, class_accuracy),
        "loss": float(-np.log(np.maximum(given, 1e-12)).mean()) if len(table) else float("nan"),
        "ece": reliability(table.probabilities, table.labels).ece,
        "samples": len(table),
        "groups": len({group for group in table.groups if group}) + sum(not group for group in table.groups),
        "data_sha256": table.fingerprint,
    }


def write_results(
    folder: Path, table: ScoreTable, figures: Mapping[str, Any], unreadable: Sequence[Mapping[str, Any]] = ()
) -> None:
    """Into `folder`: metrics.json, predictions.parquet and .jsonl, confusion.csv and .png, pairs.csv, per_class.csv and
    .png, reliability.csv and .png. Where clips may have several classes, none of confusion, pairs and reliability.

    Args:
        figures: those of `figures_of`, for metrics.json, which says what the table knows about itself too.
        unreadable: samples that are in none of the figures: their number, path and error class.

    Raises:
        WorldError: a file cannot be written; the others are whole, metrics.json is the last.
    """
    write_scores(table, folder / FILE)
    if table.multi_label:
        several.write_several(folder, table)
        return
    write_best(folder / "predictions.jsonl", table)
    matrix = metrics.confusion(table.predicted, table.labels, len(table.classes))
    write_confusion(folder / "confusion.csv", matrix, table.classes)
    write_pairs(folder / "pairs.csv", matrix, table.classes)
    write_per_class(folder / "per_class.csv", matrix, table.classes)
    write_reliability(folder / "reliability.csv", table)
    plot_confusion(matrix, table.classes, folder / "confusion.png")
    plot_per_class(metrics.class_recall(matrix), table.classes, folder / "per_class.png")
    plot_reliability(reliability(table.probabilities, table.labels), folder / "reliability.png")
    said = {**table.about, **figures, "unreadable": list(unreadable)}
    with whole_file(folder / "metrics.json") as file:
        file.write(json.dumps(said, indent=2, ensure_ascii=False, default=str) + "\n")


def write_best(path: Path, table: ScoreTable) -> None:
    """The five best classes of each clip by name, as JSON lines."""
    best = metrics.ranking(table.probabilities, TOP)
    with whole_file(path) as file:
        for at, line in enumerate(best):
            said = {
                "sample": int(table.samples[at]), "clip": table.clips[at], "path": table.paths[at],
                "key": table.keys[at], "class": table.classes[table.labels[at]],
                "predicted": [[table.classes[c], round(float(table.probabilities[at, c]), 6)] for c in line],
            }  # fmt: skip
            file.write(json.dumps(said, ensure_ascii=False) + "\n")


def write_confusion(path: Path, matrix: NDArray[np.int64], classes: tuple[str, ...]) -> None:
    """Counts; rows are the true class, columns the predicted one."""
    with whole_file(path) as file:
        writer = csv.writer(file)
        writer.writerow(["true \\ predicted", *classes])
        writer.writerows([name, *map(int, row)] for name, row in zip(classes, matrix, strict=True))


def write_pairs(path: Path, matrix: NDArray[np.int64], classes: tuple[str, ...]) -> None:
    """The most confused pairs of classes: `both` ways together (pair confusion), then `taken for`, of true as other."""
    with whole_file(path) as file:
        writer = csv.writer(file)
        writer.writerow(["measure", "class", "other", "count", "share"])
        for measure, directed in (("both", False), ("taken for", True)):
            for pair in metrics.confused_pairs(matrix, PAIRS, directed):
                writer.writerow([measure, classes[pair.first], classes[pair.second], pair.rows, f"{pair.share:.4f}"])


def write_per_class(path: Path, matrix: NDArray[np.int64], classes: tuple[str, ...]) -> None:
    """One line a class: samples, right ones, accuracy, precision, and the class it is most often taken for."""
    wrong = matrix.copy()
    np.fill_diagonal(wrong, 0)
    with whole_file(path) as file:
        writer = csv.writer(file)
        writer.writerow(["class", "samples", "right", "accuracy", "precision", "taken_for", "taken_for_count"])
        for at, name in enumerate(classes):
            samples, predicted, right = int(matrix[at].sum()), int(matrix[:, at].sum()), int(matrix[at, at])
            other = int(wrong[at].argmax())
            writer.writerow([
                name, samples, right,
                f"{right / samples:.4f}" if samples else "", f"{right / predicted:.4f}" if predicted else "",
                classes[other] if wrong[at, other] else "", int(wrong[at, other]),
            ])  # fmt: skip


def write_reliability(path: Path, table: ScoreTable) -> None:
    """One line for each part of [0, 1] that the first guess's probability lies in: clips, its mean, accuracy."""
    bins = reliability(table.probabilities, table.labels)
    with whole_file(path) as file:
        writer = csv.writer(file)
        writer.writerow(["above", "up to", "clips", "confidence", "accuracy"])
        for at, count in enumerate(bins.count.tolist()):
            means = [f"{mean[at]:.4f}" if count else "" for mean in (bins.confidence, bins.accuracy)]
            writer.writerow([f"{bins.edges[at]:.4f}", f"{bins.edges[at + 1]:.4f}", count, *means])
