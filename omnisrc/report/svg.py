"""Charts as SVG that takes its colours from the page's style sheet, so that they fit light, dark and paper.

Every text goes through `escape`; no chart holds a script, a style attribute or a link.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup, escape
from numpy.typing import NDArray

WIDTH, HEIGHT = 360, 210
LEFT, RIGHT, TOP, BOTTOM = 50, 10, 8, 34
COLOURS = 8
"""Classes c0 .. c7 of the style sheet."""


@dataclass(frozen=True)
class Series:
    """One line of a chart; `dashed` for what is not measured on the training data."""

    name: str
    xs: Sequence[float]
    ys: Sequence[float]
    colour: int
    dashed: bool = False


def ticks(low: float, high: float, wanted: int = 5) -> list[float]:
    """Round numbers from `low` to `high`, about `wanted` of them."""
    if not high > low:
        return [low]
    raw = (high - low) / wanted
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [index * step for index in range(first, last + 1)]


def line_chart(title: str, series: Sequence[Series], *, y_label: str, x_label: str = "step") -> Markup:
    """Lines over common axes, of which the upright one holds 0; an empty string where no line has a point."""
    drawn = [line for line in map(_finite, series) if len(line.xs)]
    if not drawn:
        return Markup("")
    x_low, x_high = min(min(s.xs) for s in drawn), max(max(s.xs) for s in drawn)
    y_low, y_high = min(0.0, *(min(s.ys) for s in drawn)), max(max(s.ys) for s in drawn)
    y_high = y_high if y_high > y_low else y_low + 1
    y_high += 0.04 * (y_high - y_low)
    x_high = x_high if x_high > x_low else x_low + 1

    def at(x: float, y: float) -> tuple[float, float]:
        return (
            LEFT + (WIDTH - LEFT - RIGHT) * (x - x_low) / (x_high - x_low),
            HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (y - y_low) / (y_high - y_low),
        )

    parts = [opened(WIDTH, HEIGHT, title), *_rules([(value, at(x_low, value)[1]) for value in ticks(y_low, y_high)])]
    for value in ticks(x_low, x_high, 4):
        parts.append(_text("tick", at(value, y_low)[0], HEIGHT - BOTTOM + 15, short(value)))
    parts += [_x_label(x_label), _y_label(y_label)]
    for line in drawn:
        places = [at(x, y) for x, y in zip(line.xs, line.ys, strict=True)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        look = f"line c{line.colour % COLOURS}" + (" dashed" if line.dashed else "")
        parts.append(f'<polyline class="{look}" points="{path}"><title>{escape(line.name)}</title></polyline>')
        if len(places) <= 25:
            parts += [
                f'<circle class="dot c{line.colour % COLOURS}" cx="{x:.1f}" cy="{y:.1f}" r="2.5"/>' for x, y in places
            ]
    return Markup("".join(parts) + "</svg>")


def _finite(line: Series) -> Series:
    good = [(x, y) for x, y in zip(line.xs, line.ys, strict=True) if math.isfinite(x) and math.isfinite(y)]
    return Series(line.name, [x for x, _ in good], [y for _, y in good], line.colour, line.dashed)


def histogram(title: str, groups: Sequence[tuple[str, Sequence[int], str]]) -> Markup:
    """Bars from 0 to 1 of (name, counts, class of the style sheet), stacked, on a linear scale."""
    bins = len(groups[0][1]) if groups else 0
    tops = [sum(counts[index] for _, counts, _ in groups) for index in range(bins)]
    if not tops or not max(tops):
        return Markup("")
    high, floor = max(tops), HEIGHT - BOTTOM
    wide = (WIDTH - LEFT - RIGHT) / bins
    heights = [(value, floor - (floor - TOP) * value / high) for value in ticks(0, high)]
    parts = [opened(WIDTH, HEIGHT, title), *_rules(heights)]
    for index in range(bins):
        base = float(floor)
        for name, counts, look in groups:
            tall = (floor - TOP) * counts[index] / high
            base -= tall
            if counts[index]:
                parts.append(
                    f'<rect class="{look}" x="{LEFT + index * wide + 0.75:.1f}" y="{base:.1f}" width="{wide - 1.5:.1f}"'
                    f' height="{tall:.1f}"><title>{escape(name)}, {index / bins:g} to {(index + 1) / bins:g}:'
                    f" {counts[index]:,}</title></rect>"
                )
    for value in (0, 0.25, 0.5, 0.75, 1):
        parts.append(_text("tick", LEFT + (WIDTH - LEFT - RIGHT) * value, floor + 15, f"{value:g}"))
    return Markup("".join(parts) + _x_label("score") + "</svg>")


def _rules(values: Sequence[tuple[float, float]]) -> list[str]:
    """Grid lines with their values, at heights in pixels."""
    parts = []
    for value, y in values:
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(_text("tick", LEFT - 6, y + 4, short(value), "end"))
    return parts


def _x_label(text: str) -> str:
    return _text("axis", (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 3, text)


def _y_label(text: str) -> str:
    middle = (HEIGHT - BOTTOM + TOP) / 2
    return _text("axis", 12, middle, text, more=f' transform="rotate(-90 12 {middle:.0f})"')


def _text(look: str, x: float, y: float, text: str, anchor: str = "middle", more: str = "") -> str:
    return f'<text class="{look}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{more}>{escape(text)}</text>'


def heat_map(matrix: NDArray[np.int64], names: Sequence[str], *, cell: int = 22) -> Markup:
    """A confusion matrix with names: rows are true classes, columns predictions; the darker the larger the share."""
    count = len(matrix)
    longest = min(24, max((len(name) for name in names), default=0))
    side = 12 + int(6.4 * longest)
    width, height = side + cell * count + 4, side + cell * count + 4
    parts = [opened(width, height, "confusion matrix", "heat")]
    rows = np.maximum(matrix.sum(axis=1), 1)
    for i in range(count):
        middle = side + cell * i + cell / 2
        turned = f' transform="rotate(-90 {middle + 4:.1f} {side - 6})"'
        parts.append(_text("tick", side - 6, middle + 4, _cut(names[i]), "end"))
        parts.append(_text("tick", middle + 4, side - 6, _cut(names[i]), "start", turned))
        for j in range(count):
            part = float(matrix[i, j] / rows[i])
            look = "right" if i == j else "wrong"
            said = f"{names[i]} taken for {names[j]}: {matrix[i, j]} of {matrix[i].sum()}"
            parts.append(
                f'<rect class="{look}" x="{side + cell * j}" y="{side + cell * i}" width="{cell - 1}"'
                f' height="{cell - 1}" fill-opacity="{0.04 + 0.96 * part:.3f}"><title>{escape(said)}</title></rect>'
            )
            if part >= 0.01 and cell >= 20:
                look = "cell light" if part > 0.55 else "cell"
                parts.append(_text(look, side + cell * j + (cell - 1) / 2, middle + 3, f"{100 * part:.0f}"))
    return Markup("".join(parts) + "</svg>")


def short(value: float) -> str:
    """A number as an axis shows it."""
    if abs(value) >= 10_000:
        return f"{value / 1000:g}k"
    return f"{round(value, 10):g}"


def _cut(name: str) -> str:
    return name if len(name) <= 24 else name[:23] + "…"


def opened(width: float, height: float, label: str, look: str = "chart") -> str:
    """The start tag of a picture of a size, with what it says to those who do not see it."""
    return (
        f'<svg class="{look}" viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}"'
        f' role="img" aria-label="{escape(label)}" xmlns="http://www.w3.org/2000/svg">'
    )
