"""Charts: round ticks, honest lengths, escaped words."""

from __future__ import annotations

import math
import re

import pytest

from omnisrc.report.bars import change_bar, dot_plot, stacked_bar
from omnisrc.report.svg import Series, histogram, line_chart, short, ticks


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (0, 400, [0, 100, 200, 300, 400]),
        (3, 97, [20, 40, 60, 80]),
        (0, 7e-4, [0, 2e-4, 4e-4, 6e-4]),
        (5, 5, [5]),
    ],
)
def test_ticks_are_round_numbers_inside_the_range(low: float, high: float, expected: list[float]) -> None:
    assert ticks(low, high) == pytest.approx(expected)


def test_numbers_on_axes_are_short() -> None:
    assert [short(0.30000000000000004), short(12_500), short(0)] == ["0.3", "12.5k", "0"]


def test_bars_are_as_long_as_their_counts() -> None:
    bar = stacked_bar([("stored", 30, "stored"), ("failed", 10, "failed"), ("none", 0, "x")], 80, width=160)
    widths = {look: float(width) for look, width in re.findall(r'class="(\w+)" x="[\d.]+" y="0" width="([\d.]+)"', bar)}
    assert widths == {"rail": 160.0, "stored": 60.0, "failed": 20.0}
    assert stacked_bar([("stored", 0, "stored")], 0) == ""


def test_a_bar_of_one_in_a_million_can_be_seen() -> None:
    assert 'width="0.75"' in stacked_bar([("failed", 1, "failed")], 1_000_000)


def test_changes_go_to_their_side_of_the_middle() -> None:
    assert 'class="kept" x="80.0" y="0" width="40.0"' in change_bar(0.5, width=160)
    assert 'class="failed" x="40.0" y="0" width="40.0"' in change_bar(-0.5, width=160)


def test_dots_lie_between_the_lowest_and_the_highest() -> None:
    [one, two] = dot_plot("t", [[0.5, math.nan], [0.0, 1.0]], 0.0, 1.0, width=210)
    assert re.findall(r'cx="([\d.]+)"', one) == ["105.0"] and "mean" not in one
    assert re.findall(r'cx="([\d.]+)"', two) == ["5.0", "205.0"] and 'x1="105.0"' in two


def test_values_that_are_no_numbers_are_left_out() -> None:
    chart = line_chart("t", [Series("a", [0, 1, 2], [1.0, math.nan, math.inf], 0)], y_label="y")
    assert len(re.search(r'points="([^"]+)"', chart)[1].split()) == 1
    assert line_chart("t", [Series("a", [0], [math.nan], 0)], y_label="y") == ""
    assert line_chart("t", [], y_label="y") == ""


def test_words_are_escaped() -> None:
    bad = '"><script>alert(1)</script>'
    for drawn in (
        line_chart(bad, [Series(bad, [0, 1], [0, 1], 0)], y_label=bad, x_label=bad),
        histogram(bad, [(bad, [1, 2], "kept")]),
        stacked_bar([(bad, 1, "kept")], 1),
    ):
        assert "<script" not in drawn


def test_a_histogram_stacks_its_groups() -> None:
    drawn = histogram("t", [("kept", [4, 0], "kept"), ("dropped", [4, 2], "dropped")])
    heights = [float(h) for h in re.findall(r'<rect [^>]*height="([\d.]+)"', drawn)]
    assert heights == pytest.approx([84.0, 84.0, 42.0], abs=0.2)
    assert histogram("t", [("kept", [0, 0], "kept")]) == ""
