"""Curves show what the log says, whatever its length and however it ends."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from omnisrc.report.curves import MOST_POINTS, _Curve, read_curves


def write(path: Path, lines: list[dict[str, object]], tail: str = "") -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines) + tail)
    return path


def test_each_source_has_its_line_and_val_a_dashed_one(tmp_path: Path) -> None:
    lines = [
        {"step": step, "kind": "train", "loss": 1, "target": {"loss": 2.0, "top1": 0.5, "wait": 0.1, "skips": 1}}
        for step in (10, 20)
    ]
    curves = read_curves("r", write(tmp_path / "log", [*lines, {"step": 20, "kind": "val", "top1": 0.4, "loss": 1.5}]))
    assert [name for name, _ in curves.charts] == ["Loss", "Accuracy", "Data wait"]
    assert [name for name, _ in curves.legend] == ["target", "val"]
    assert (curves.last_step, curves.skips) == (20, {"target": 2})
    assert "dashed" in curves.charts[0][1] and "dashed" not in curves.charts[2][1]


def test_a_point_lies_where_its_value_says(tmp_path: Path) -> None:
    lines = [
        {"step": step, "kind": "train", "target": {"loss": loss}} for step, loss in ((0, 0.0), (50, 1.0), (100, 2.0))
    ]
    [(_, chart)] = read_curves("r", write(tmp_path / "log", lines)).charts
    xs, ys = zip(
        *(map(float, pair.split(",")) for pair in re.search(r'points="([^"]+)"', chart)[1].split()), strict=True
    )
    assert xs[1] - xs[0] == pytest.approx(xs[2] - xs[1], abs=0.11)
    assert ys[0] - ys[1] == pytest.approx(ys[1] - ys[2], abs=0.11) and ys[0] > ys[1]


def test_a_log_that_a_kill_cut_short_is_read_to_its_last_whole_line(tmp_path: Path) -> None:
    lines = [{"step": 10, "kind": "train", "target": {"loss": 2.0}}]
    curves = read_curves("r", write(tmp_path / "log", lines, tail='{"step": 20, "kind": "tra'))
    assert curves.last_step == 10


@pytest.mark.parametrize(
    "text",
    ["", "[]\n", "null\n", '{"step": "x"}\n', '{"step": 1, "kind": "train", "target": {"loss": NaN}}\n', "\xff\xfe\n"],
)
def test_a_log_without_figures_has_no_curves(tmp_path: Path, text: str) -> None:
    (tmp_path / "log").write_text(text, encoding="latin-1")
    assert read_curves("r", tmp_path / "log") is None
    assert read_curves("r", tmp_path / "missing") is None


def test_a_long_curve_is_thinned_to_means_and_keeps_its_last_value() -> None:
    curve = _Curve()
    for step in range(1_000_001):
        curve.add(step, 2.0 * step)
    assert MOST_POINTS <= len(curve.points) <= 2 * MOST_POINTS
    assert curve.points[-1] == (1_000_000, 2_000_000.0)
    assert all(y == pytest.approx(2 * x) for x, y in curve.points)
    assert curve.total == pytest.approx(1_000_000 * 1_000_001)


def test_the_log_is_the_one_that_training_writes(tmp_path: Path) -> None:
    from omnisrc.train.log import RunLog

    with RunLog(tmp_path / "log.jsonl", tmp_path / "board", 0) as log:
        log.write(
            5, "train", {"lr": 0.1, "loss": 1.0, "web-image": {"loss": 1.0, "top1": 0.2, "wait": 0.0, "skips": 0}}
        )
        log.write(5, "val", {"top1": 0.3, "loss": 1.1})
    curves = read_curves("r", tmp_path / "log.jsonl")
    assert [name for name, _ in curves.legend] == ["web-image", "val"]
