"""Scores of clips that may have several classes each: mean average precision, how far to trust it, and what is better.

A resample gives each clip a weight (how often it was drawn), and average precision of weighted clips needs the order of
the scores once: so a thousand resamples cost a thousand cumulative sums a class, and no sort.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from omnisrc.evaluate.confidence import Interval, percentiles, verdict
from omnisrc.evaluate.plots import plot_per_class
from omnisrc.evaluate.scores import ScoreTable
from omnisrc.tasks.average_precision import class_average_precision, mean_average_precision
from omnisrc.tasks.metrics import binary_log_loss, ranking
from omnisrc.words import counted

RESAMPLES = 1000
CHUNK = 1 << 22  # weights that are held at once
TOP = 5
NO_MCNEMAR = (
    "McNemar's test is not made: it asks whether each clip is right or wrong, and a clip with several classes is"
    " neither."
)


def figures_of(table: ScoreTable) -> dict[str, Any]:
    """mAP over the classes that have a clip, with its 95 % interval; the classes left out, by name; loss; over how many
    clips."""
    without = np.flatnonzero(~table.labels.any(axis=0))
    return {
        "map": mean_average_precision(table.probabilities, table.labels > 0),
        "map_interval": list(percentiles(resampled_map([table])[:, 0])) if len(table) else [float("nan")] * 2,
        "without_positives": [table.classes[at] for at in without],
        "labels_per_clip": float(table.labels.sum() / len(table)) if len(table) else float("nan"),
        "loss": binary_log_loss(table.probabilities, table.labels),
        "samples": len(table),
        "groups": len({group for group in table.groups if group}) + sum(not group for group in table.groups),
        "data_sha256": table.fingerprint,
    }


def write_several(folder: Path, table: ScoreTable) -> None:
    """Into `folder`: predictions.jsonl, per_class.csv and .png."""
    precisions = class_average_precision(table.probabilities, table.labels > 0)
    with open(folder / "per_class.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["class", "clips", "average_precision"])
        for name, clips, precision in zip(table.classes, table.labels.sum(axis=0), precisions, strict=True):
            writer.writerow([name, int(clips), f"{precision:.4f}" if clips else ""])
    plot_per_class(precisions, table.classes, folder / "per_class.png", "average precision")
    with open(folder / "predictions.jsonl", "w", encoding="utf-8") as file:
        for at, line in enumerate(ranking(table.probabilities, TOP)):
            said = {
                "sample": int(table.samples[at]), "clip": table.clips[at], "path": table.paths[at],
                "key": table.keys[at], "classes": [table.classes[c] for c in np.flatnonzero(table.labels[at])],
                "predicted": [[table.classes[c], round(float(table.probabilities[at, c]), 6)] for c in line],
            }  # fmt: skip
            file.write(json.dumps(said, ensure_ascii=False) + "\n")


@dataclass(frozen=True)
class MapComparison:
    """The second recogniser beside the first, by mAP. Intervals are 95 % intervals of a paired bootstrap.

    by_class  # (classes, 3): clips, average precision of the first, of the second; NaN without clips
    p: two-sided, of no difference: how often the resamples' difference has the other sign.
    """

    names: tuple[str, str]
    clips: int
    groups: int
    map: tuple[float, float]
    intervals: tuple[Interval, Interval]
    difference: float
    difference_interval: Interval
    p: float
    by_class: NDArray[np.float64]

    @property
    def sentence(self) -> str:
        """The answer."""
        first, second = self.names
        one, two = (f"{100 * share:.2f} %" for share in self.map)
        low, high = (f"{100 * end:+.2f}" for end in self.difference_interval)
        over = counted(self.clips, "clip") + (
            f" of {counted(self.groups, 'group')}" if self.groups < self.clips else ""
        )
        facts = (
            f"{two} against {one} mAP over {over}, {100 * self.difference:+.2f} points (95 % interval {low} to {high};"
            f" paired bootstrap, p = {self.p:.3f})"
        )
        return verdict(first, second, self.difference, self.p, facts)


def compare_several(first: ScoreTable, second: ScoreTable, names: tuple[str, str], seed: int = 0) -> MapComparison:
    """Of two tables that are aligned."""
    drawn = resampled_map([first, second], seed)
    differences = drawn[:, 1] - drawn[:, 0]
    precisions = [class_average_precision(table.probabilities, table.labels > 0) for table in (first, second)]
    one, two = (float(np.nanmean(each)) for each in precisions)
    tails = [int((differences <= 0).sum()), int((differences >= 0).sum())]
    return MapComparison(
        names,
        len(first),
        int(groups_of(first.groups).max(initial=-1)) + 1,
        (one, two),
        (percentiles(drawn[:, 0]), percentiles(drawn[:, 1])),
        two - one,
        percentiles(differences),
        min(1.0, 2 * (min(tails) + 1) / (len(drawn) + 1)),
        np.stack([first.labels.sum(axis=0), *precisions], axis=1).astype(np.float64),
    )


def comparison_figures(found: MapComparison, table: ScoreTable) -> dict[str, Any]:
    """All of a comparison but the classes, for --json; `table`: one of the two."""
    return {
        "answer": found.sentence,
        "names": list(found.names),
        "samples": found.clips,
        "expected": table.about.get("expected"),
        "groups": found.groups,
        "data_sha256": table.fingerprint,
        "map": list(found.map),
        "map_intervals": [list(each) for each in found.intervals],
        "difference": found.difference,
        "difference_interval": list(found.difference_interval),
        "p": found.p,
        "mcnemar": NO_MCNEMAR,
    }


def resampled_map(tables: Sequence[ScoreTable], seed: int = 0, resamples: int = RESAMPLES) -> NDArray[np.float64]:
    """(resamples, tables): mAP of each over as many groups drawn with replacement as there are, the same for all.

    A class that a resample has no clip of is in none of that resample's means.
    """
    place = groups_of(tables[0].groups)
    groups = int(place.max()) + 1
    rng = np.random.default_rng(seed)
    found = []
    step = max(1, CHUNK // max(1, len(place)))
    for at in range(0, resamples, step):
        count = min(step, resamples - at)
        weights = rng.multinomial(groups, np.full(groups, 1 / groups), size=count)[:, place]
        found.append(np.stack([weighted_map(table, weights) for table in tables], axis=1))
    return np.concatenate(found)


def weighted_map(table: ScoreTable, weights: NDArray[np.integer]) -> NDArray[np.float64]:
    """(R,) mAP where clip i counts weights[r, i] times."""
    each = [
        _weighted_precision(table.probabilities[:, at], table.labels[:, at] > 0, weights)
        for at in np.flatnonzero(table.labels.any(axis=0))
    ]
    precisions = np.stack(each, axis=1)
    there = ~np.isnan(precisions)
    means: NDArray[np.float64] = np.divide(
        np.nansum(precisions, axis=1), there.sum(axis=1), out=np.full(len(weights), np.nan), where=there.any(axis=1)
    )
    return means


def groups_of(groups: Sequence[str]) -> NDArray[np.int64]:
    """(N,) the number of each clip's group; a clip without one is its own."""
    alone = [group if group else f"\0{at}" for at, group in enumerate(groups)]
    place: NDArray[np.int64] = np.unique(np.array(alone, dtype=object).astype(str), return_inverse=True)[1]
    return place.reshape(-1)


def _weighted_precision(
    scores: NDArray[np.floating], hits: NDArray[np.bool_], weights: NDArray[np.integer]
) -> NDArray[np.float64]:
    """(R,) average precision of one class; NaN where no hit has a weight. Equal scores are one step."""
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    last = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)  # of each distinct score
    at = np.flatnonzero(hits[order])
    ends = last[np.searchsorted(last, at)]
    counts = np.cumsum(weights[:, order], axis=1)[:, ends]
    gained = weights[:, order[at]]
    right = np.cumsum(gained, axis=1)[:, np.searchsorted(at, ends, side="right") - 1]
    total = gained.sum(axis=1)
    precision = np.divide(right, counts, out=np.zeros(counts.shape), where=counts > 0)
    share: NDArray[np.float64] = np.divide(
        (gained * precision).sum(axis=1), total, out=np.full(len(weights), np.nan), where=total > 0
    )
    return share
