"""Is 73.6 better than 70.6? Two recognisers on the same clips: the difference, its interval, and its chance."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from omnisrc.evaluate.confidence import Interval, Outcomes, percentiles, top1_interval, verdict
from omnisrc.evaluate.mcnemar import McNemar, mcnemar, sign_flip_p
from omnisrc.evaluate.scores import ScoreTable
from omnisrc.evaluate.several import MapComparison
from omnisrc.evaluate.whole_files import whole_file
from omnisrc.tasks import metrics
from omnisrc.words import counted


@dataclass(frozen=True)
class Comparison:
    """The second recogniser beside the first. Shares are of clips, intervals 95 % bootstrap intervals.

    by_class  # (classes, 3): clips, accuracy of the first, of the second; accuracies NaN without clips
    group_p: of whole groups; None where every clip stands alone.
    """

    names: tuple[str, str]
    clips: int
    groups: int
    top1: tuple[float, float]
    intervals: tuple[Interval, Interval]
    difference: float
    difference_interval: Interval
    test: McNemar
    group_p: float | None
    by_class: NDArray[np.float64]

    @property
    def p(self) -> float:
        """The p value that decides: of groups where clips come in groups, else McNemar's mid-p."""
        return self.test.mid_p if self.group_p is None else self.group_p

    @property
    def sentence(self) -> str:
        """The answer."""
        first, second = self.names
        one, two = (f"{100 * share:.2f} %" for share in self.top1)
        over = counted(self.clips, "clip") + (
            f" of {counted(self.groups, 'group')}" if self.group_p is not None else ""
        )
        low, high = (f"{100 * end:+.2f}" for end in self.difference_interval)
        name = "McNemar's mid-p" if self.group_p is None else "sign flips of whole groups, p"
        facts = (
            f"{two} against {one} top-1 over {over}, {100 * self.difference:+.2f} points (95 % interval {low} to"
            f" {high}; {name} = {shown_p(self.p)}; {counted(self.test.only_second, 'clip')} only {second} has right,"
            f" {self.test.only_first} only {first})"
        )
        return verdict(first, second, self.difference, self.p, facts)


def compare(first: ScoreTable, second: ScoreTable, names: tuple[str, str], seed: int = 0) -> Comparison:
    """Of two tables that are aligned; the clips' groups are those of either that knows them."""
    right = (first.right, second.right)
    groups = first.groups if any(first.groups) else second.groups
    outcomes = Outcomes.of(right, groups)
    drawn = outcomes.resampled(seed)
    changes = outcomes.counts[:, 2] - outcomes.counts[:, 1]
    top1 = (float(right[0].mean()), float(right[1].mean()))
    return Comparison(
        names,
        len(first),
        len(outcomes.counts),
        top1,
        (top1_interval(right[0], groups, seed), top1_interval(right[1], groups, seed)),
        top1[1] - top1[0],
        percentiles(drawn[:, 1] - drawn[:, 0]),
        mcnemar(*right),
        sign_flip_p(changes) if outcomes.clustered else None,
        _by_class(first, second),
    )


def figures_of(found: Comparison, table: ScoreTable) -> dict[str, Any]:
    """All of a comparison but the classes, for --json; `table`: one of the two."""
    return {
        "answer": found.sentence,
        "names": list(found.names),
        "samples": found.clips,
        "expected": table.about.get("expected"),
        "groups": found.groups,
        "data_sha256": table.fingerprint,
        "top1": list(found.top1),
        "top1_intervals": [list(each) for each in found.intervals],
        "difference": found.difference,
        "difference_interval": list(found.difference_interval),
        "only_first": found.test.only_first,
        "only_second": found.test.only_second,
        "mcnemar_exact": found.test.exact,
        "mcnemar_mid_p": found.test.mid_p,
        "group_p": found.group_p,
    }


def shown_p(p: float) -> str:
    return f"{p:.3f}" if p >= 0.001 else f"{p:.0e}" if p > 1e-300 else "below 1e-300"


def write_by_class(found: Comparison | MapComparison, classes: tuple[str, ...], path: Path) -> None:
    """One line a class, the largest gain first: clips, both accuracies, the difference. WorldError: the disk fails."""
    with whole_file(path) as file:
        writer = csv.writer(file)
        writer.writerow(["class", "clips", "first", "second", "difference"])
        for at in largest_gains(found):
            clips, one, two = found.by_class[at]
            writer.writerow([classes[at], int(clips), f"{one:.4f}", f"{two:.4f}", f"{two - one:+.4f}"])


def protocol_differences(first: ScoreTable, second: ScoreTable) -> list[str]:
    """`clips 1 and 10`: in what the two were looked at otherwise; what a dump does not say is not counted."""
    one, two = (table.about.get("protocol") or {} for table in (first, second))
    return [f"{key} {one[key]} and {two[key]}" for key in one if key in two and one[key] != two[key]]


def common_protocol(tables: Sequence[ScoreTable]) -> dict[str, Any]:
    """What the protocols of all tables have in common, and their dumps say."""
    first, *others = (table.about.get("protocol") or {} for table in tables)
    return {key: value for key, value in first.items() if all(key in other and other[key] == value for other in others)}


def largest_gains(found: Comparison | MapComparison) -> list[int]:
    """Classes that have clips, the largest gain of the second recogniser first."""
    gains = found.by_class[:, 2] - found.by_class[:, 1]
    order = np.argsort(-gains, kind="stable")
    return [int(at) for at in order if not np.isnan(gains[at])]


def _by_class(first: ScoreTable, second: ScoreTable) -> NDArray[np.float64]:
    count = len(first.classes)
    matrices = [metrics.confusion(table.predicted, table.labels, count) for table in (first, second)]
    return np.stack([matrices[0].sum(axis=1), *(metrics.class_recall(each) for each in matrices)], axis=1)
