"""Training curves out of the runs' logs: loss, accuracy and data wait, by source."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from markupsafe import Markup

from omnisrc.report import svg
from omnisrc.report.runs import SOURCES

MOST_POINTS = 400
VAL = "val"
COLOURS = {name: colour for colour, name in enumerate((*SOURCES, VAL))}


@dataclass(frozen=True)
class Chart:
    """One chart: `figure` names it in the log's lines, `unit` says what its axis shows."""

    name: str
    figure: str
    unit: str


CHARTS = (
    Chart("Loss", "loss", "cross-entropy"),
    Chart("Accuracy", "top1", "top-1"),
    Chart("Average precision", "map", "mAP"),
    Chart("Data wait", "wait", "share of the time"),
)
SKIPS = "skips"
FIGURES = (*(chart.figure for chart in CHARTS), SKIPS)


@dataclass
class RunCurves:
    """The charts of one run, the names of their lines with the colours, its last step, samples skipped by source."""

    name: str
    last_step: int
    charts: list[tuple[str, Markup]] = field(default_factory=list)
    legend: list[tuple[str, int]] = field(default_factory=list)
    skips: dict[str, int] = field(default_factory=dict)


def read_curves(name: str, log: Path) -> RunCurves | None:
    """The curves of one run; None where it has no log, or nothing in it yet."""
    figures = _figures(log)
    if not figures:
        return None
    curves = RunCurves(name, int(max(curve.last[0] for curve in figures.values())))
    curves.skips = {
        source: int(figures[source, SKIPS].total)
        for source in SOURCES
        if (source, SKIPS) in figures and figures[source, SKIPS].total
    }
    used: set[str] = set()
    for chart in CHARTS:
        lines = []
        for source, colour in COLOURS.items():
            curve = figures.get((source, chart.figure))
            if curve:
                xs, ys = zip(*curve.points, strict=True)
                lines.append(svg.Series(source, xs, ys, colour, dashed=source == VAL))
        drawn = svg.line_chart(f"{chart.name} of {name}", lines, y_label=chart.unit)
        if drawn:
            curves.charts.append((chart.name, drawn))
            used |= {line.name for line in lines}
    curves.legend = [(source, colour) for source, colour in COLOURS.items() if source in used]
    return curves if curves.charts else None


def _figures(log: Path) -> dict[tuple[str, str], _Curve]:
    """Curves by (source or "val", figure), thinned while they are read so that memory stays bounded."""
    curves: dict[tuple[str, str], _Curve] = {}
    try:
        with log.open(encoding="utf-8", errors="replace") as file:
            for text in file:
                for key, step, value in _numbers(text):
                    curves.setdefault(key, _Curve()).add(step, value)
    except OSError:
        return {}
    return curves


def _numbers(text: str) -> list[tuple[tuple[str, str], float, float]]:
    """The figures of one line that a chart shows; nothing of a line that a kill cut short."""
    try:
        line: Any = json.loads(text)
    except ValueError:
        return []
    if not isinstance(line, Mapping) or not _is_number(line.get("step")):
        return []
    groups: dict[str, Any] = {}
    if line.get("kind") == VAL:
        groups = {VAL: line}
    elif line.get("kind") == "train":
        groups = {name: line[name] for name in SOURCES if isinstance(line.get(name), Mapping)}
    return [
        ((group, figure), float(line["step"]), float(figures[figure]))
        for group, figures in groups.items()
        for figure in FIGURES
        if _is_number(figures.get(figure))
    ]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


class _Curve:
    """A curve of fewer than 2 * MOST_POINTS points, each the mean of as many that were added, and their sum."""

    def __init__(self) -> None:
        self.last = (0.0, 0.0)
        self.total = 0.0
        self._points: list[tuple[float, float]] = []
        self._stride = 1
        self._open: list[tuple[float, float]] = []

    def add(self, x: float, y: float) -> None:
        self.last = (x, y)
        self.total += y
        self._open.append(self.last)
        if len(self._open) < self._stride:
            return
        self._points.append(_mean(self._open))
        self._open = []
        if len(self._points) >= 2 * MOST_POINTS:
            self._points = [_mean(pair) for pair in zip(self._points[::2], self._points[1::2], strict=True)]
            self._stride *= 2

    @property
    def points(self) -> list[tuple[float, float]]:
        """The curve, its last value among them."""
        return [*self._points, self.last] if self._open else self._points


def _mean(points: Sequence[tuple[float, float]]) -> tuple[float, float]:
    return sum(x for x, _ in points) / len(points), sum(y for _, y in points) / len(points)
