"""What an evaluation leaves behind: figures, predictions, tables and plots."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from omnisrc.data.manifest import Manifest
from omnisrc.evaluate.plots import plot_confusion, plot_per_class
from omnisrc.evaluate.scoring import Scored
from omnisrc.tasks import metrics
from omnisrc.tasks.recognition import Recognition

TOP = 5


def write_results(folder: Path, scored: Scored, task: Recognition, rows: Manifest, about: Mapping[str, Any]) -> None:
    """Into `folder`: metrics.json, predictions.parquet, predictions.jsonl, confusion.csv/.png, per_class.csv/.png.

    Args:
        rows: of the manifest that was scored.
        about: what metrics.json says beside the figures (checkpoint, protocol, split).
    """
    folder.mkdir(parents=True, exist_ok=True)
    matrix = metrics.confusion(metrics.ranking(scored.scores, 1)[:, 0], scored.labels, len(task.classes))
    figures = {
        **about,
        **task.metrics(scored.scores, scored.labels),
        "loss": scored.cross_entropy,
        "unreadable": [{"sample": s.sample, "path": s.path, "error": s.error} for s in scored.unreadable],
    }
    (folder / "metrics.json").write_text(json.dumps(figures, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    write_predictions(folder, scored, task, rows)
    write_confusion(folder / "confusion.csv", matrix, task.classes)
    write_per_class(folder / "per_class.csv", matrix, task.classes)
    plot_confusion(matrix, task.classes, folder / "confusion.png")
    plot_per_class(metrics.class_recall(matrix), task.classes, folder / "per_class.png")


def write_predictions(folder: Path, scored: Scored, task: Recognition, rows: Manifest) -> None:
    """predictions.parquet with all probabilities (columns sample, path, key, label, predicted, probabilities), and
    predictions.jsonl with the five best classes by name."""
    place = {int(sample): at for at, sample in enumerate(rows.column("sample"))}
    at = [place[int(sample)] for sample in scored.ids]
    paths, keys = (rows.table[name].take(pa.array(at, pa.int64())).to_pylist() for name in ("path", "key"))
    best = metrics.ranking(scored.scores, 1)[:, 0]
    flat = pa.array(scored.scores.astype(np.float32).reshape(-1))
    table = pa.table(
        {
            "sample": pa.array(scored.ids, pa.int64()),
            "path": paths,
            "key": keys,
            "label": pa.array(scored.labels, pa.int32()),
            "predicted": pa.array(best, pa.int32()),
            "probabilities": pa.FixedSizeListArray.from_arrays(flat, len(task.classes)),
        }
    )
    about = {"classes": list(task.classes)}
    pq.write_table(table.replace_schema_metadata({"omnisrc": json.dumps(about)}), folder / "predictions.parquet")
    decoded = task.decode(scored.scores, TOP)
    with open(folder / "predictions.jsonl", "w", encoding="utf-8") as file:
        for sample, path, key, label, top in zip(scored.ids, paths, keys, scored.labels, decoded, strict=True):
            line = {
                "sample": int(sample), "path": path, "key": key, "class": task.classes[label],
                "predicted": [[name, round(score, 6)] for name, score in top],
            }  # fmt: skip
            file.write(json.dumps(line, ensure_ascii=False) + "\n")


def write_confusion(path: Path, matrix: NDArray[np.int64], classes: tuple[str, ...]) -> None:
    """Counts; rows are the true class, columns the predicted one."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["true \\ predicted", *classes])
        writer.writerows([name, *map(int, row)] for name, row in zip(classes, matrix, strict=True))


def write_per_class(path: Path, matrix: NDArray[np.int64], classes: tuple[str, ...]) -> None:
    """One line a class: samples, right ones, accuracy, precision, and the class it is most often taken for."""
    wrong = matrix.copy()
    np.fill_diagonal(wrong, 0)
    with open(path, "w", newline="", encoding="utf-8") as file:
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
