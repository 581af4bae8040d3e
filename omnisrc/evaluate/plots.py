"""Plots of a score: the confusion matrix, the accuracy of each class, and how sure was how right."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from omnisrc.evaluate.whole_files import whole_file
from omnisrc.tasks.calibration import Reliability

NAMED = 60  # classes that have room for their names
COUNTED = 25  # classes whose cells have room for their counts


def plot_confusion(matrix: NDArray[np.int64], classes: Sequence[str], path: Path) -> None:
    """Rows are the true class; a cell's shade is its share of the row."""
    count = len(classes)
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    side = float(np.clip(0.32 * count + 2.5, 5, 16))
    figure = Figure(figsize=(side, side), layout="constrained")
    axes = figure.add_subplot()
    image = axes.imshow(share, cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
    figure.colorbar(image, ax=axes, label="share of the true class", shrink=0.8)
    axes.set(xlabel="predicted class", ylabel="true class")
    if count <= NAMED:
        axes.set_xticks(range(count), [_short(name) for name in classes], rotation=90, fontsize=7)
        axes.set_yticks(range(count), [_short(name) for name in classes], fontsize=7)
    if count <= COUNTED:
        for true, predicted in np.argwhere(matrix):
            shade = "white" if share[true, predicted] > 0.55 else "black"
            axes.text(predicted, true, str(matrix[true, predicted]), ha="center", va="center", fontsize=7, color=shade)
    _save(figure, path)


def plot_per_class(recall: NDArray[np.float64], classes: Sequence[str], path: Path, measure: str = "accuracy") -> None:
    """A measure of each class, the worst first; where there are many, the NAMED worst."""
    scored = [at for at in np.argsort(recall, kind="stable") if not np.isnan(recall[at])]
    shown = scored[:NAMED]
    figure = Figure(figsize=(7, max(2.0, 0.2 * len(shown) + 1.2)), layout="constrained")
    axes = figure.add_subplot()
    axes.barh(range(len(shown)), recall[shown], color="#3b6ea5")
    axes.set_yticks(range(len(shown)), [_short(classes[at]) for at in shown], fontsize=7)
    axes.invert_yaxis()
    axes.set(xlim=(0, 1), xlabel=measure + (f", the {NAMED} worst of {len(scored)}" if len(scored) > NAMED else ""))
    if len(scored):
        mean = float(np.mean(recall[scored]))
        axes.axvline(mean, color="black", linewidth=0.8, linestyle="--")
        axes.set_title(f"mean {measure} {100 * mean:.1f} % (dashed)", fontsize=10)
    _save(figure, path)


def plot_reliability(bins: Reliability, path: Path) -> None:
    """Accuracy over confidence, bin by bin, and the diagonal of a calibrated recogniser; below, how many clips."""
    middles = (bins.edges[:-1] + bins.edges[1:]) / 2
    width = float(bins.edges[1] - bins.edges[0])
    figure = Figure(figsize=(5, 6), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    upper.bar(middles, np.nan_to_num(bins.accuracy), width, color="#3b6ea5", edgecolor="white", label="accuracy")
    there = bins.count > 0
    upper.plot(bins.confidence[there], bins.confidence[there], "o", color="#c44e52", markersize=4, label="confidence")
    upper.plot([0, 1], [0, 1], color="black", linewidth=0.8, linestyle="--")
    upper.set(xlim=(0, 1), ylim=(0, 1), ylabel="accuracy", title=f"calibration error {100 * bins.ece:.1f} %")
    upper.legend(loc="upper left", frameon=False)
    lower.bar(middles, bins.count, width, color="#9aa5b1", edgecolor="white")
    lower.set(xlabel="probability of the class predicted", ylabel="clips")
    _save(figure, path)


def _short(name: str) -> str:
    return name if len(name) <= 28 else name[:27] + "…"


def _save(figure: Figure, path: Path) -> None:
    FigureCanvasAgg(figure)
    with whole_file(path, "wb") as file:
        figure.savefig(file, dpi=120, format="png")
