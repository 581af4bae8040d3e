"""Small bars that stand in the cells of tables; colours come from the page's style sheet, as in `svg`."""

from __future__ import annotations

import math
from collections.abc import Sequence

from markupsafe import Markup, escape

from omnisrc.report.svg import opened


def stacked_bar(parts: Sequence[tuple[str, int, str]], whole: int, *, width: int = 220, height: int = 10) -> Markup:
    """One horizontal bar of (name, count, class of the style sheet), `whole` wide in all."""
    if whole <= 0:
        return Markup("")
    said = ", ".join(f"{name} {count:,}" for name, count, _ in parts if count)
    rects, x = [], 0.0
    for name, count, look in parts:
        wide = width * count / whole
        if count:
            rects.append(
                f'<rect class="{look}" x="{x:.2f}" y="0" width="{max(wide, 0.75):.2f}" height="{height}">'
                f"<title>{escape(name)} {count:,}</title></rect>"
            )
        x += wide
    rail = f'<rect class="rail" x="0" y="0" width="{width}" height="{height}"/>'
    return Markup(opened(width, height, said, "bar") + rail + "".join(rects) + "</svg>")


def dot_plot(title: str, rows: Sequence[Sequence[float]], low: float, high: float, *, width: int = 200) -> list[Markup]:
    """For each row of values one strip from `low` to `high`: a dot for each value, a stroke at their mean."""
    span = high - low or 1.0
    strips = []
    for values in rows:
        parts = [opened(width, 16, title, "bar"), f'<line class="grid" x1="0" x2="{width}" y1="8" y2="8"/>']
        places = [5 + (width - 10) * (value - low) / span for value in values if math.isfinite(value)]
        parts += [f'<circle class="dot c0 seed" cx="{x:.1f}" cy="8" r="3.5"/>' for x in places]
        if len(places) > 1:
            mean = sum(places) / len(places)
            parts.append(f'<line class="mean" x1="{mean:.1f}" x2="{mean:.1f}" y1="1" y2="15"/>')
        strips.append(Markup("".join(parts) + "</svg>"))
    return strips


def change_bar(change: float, *, width: int = 160, height: int = 10) -> Markup:
    """A bar to the left or the right of the middle for a change between -1 and 1."""
    middle, wide = width / 2, abs(change) * width / 2
    look, x = ("kept", middle) if change >= 0 else ("failed", middle - wide)
    return Markup(
        opened(width, height, f"{100 * change:+.1f} points", "bar")
        + f'<rect class="rail" x="0" y="0" width="{width}" height="{height}"/>'
        + f'<rect class="{look}" x="{x:.1f}" y="0" width="{wide:.1f}" height="{height}"/>'
        + f'<line class="grid" x1="{middle:g}" x2="{middle:g}" y1="0" y2="{height}"/></svg>'
    )
