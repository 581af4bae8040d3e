"""Confusion: the pairs by OmniSource's measure, the changes class by class, summed over seeds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from omnisrc.report.accuracy import accuracy_tables
from omnisrc.report.confusion import class_changes, confused_pairs, drawn_matrix, read_confusion, read_matrix
from omnisrc.report.limits import Limits
from omnisrc.report.runs import read_scores, read_trained

NAMES = ["a", "b", "c"]
MATRIX = np.array([[8, 2, 0], [1, 9, 0], [3, 0, 7]])


def test_pairs_by_the_measure_of_omnisource() -> None:
    first, second = confused_pairs(MATRIX, NAMES, 5)
    assert (first.first, first.second, first.share) == ("a", "c", 3 / (3 + 8 + 7))
    assert (first.first_as_second, first.second_as_first) == (0, 3)
    assert (second.first, second.second, second.share) == ("a", "b", 3 / (3 + 8 + 9))
    assert len(confused_pairs(MATRIX, NAMES, 1)) == 1


def test_pairs_tell_what_they_were_before() -> None:
    before = np.array([[10, 0, 0], [0, 10, 0], [5, 0, 5]])
    [first, second] = confused_pairs(MATRIX, NAMES, 5, before)
    assert (first.before, second.before) == (pytest.approx(5 / 20), 0.0)


def test_changes_from_the_largest_gain_to_the_largest_loss() -> None:
    after = np.array([[10, 0, 0], [1, 9, 0], [9, 0, 1]])
    changes = class_changes(MATRIX, after, NAMES)
    assert [(change.name, pytest.approx(change.change)) for change in changes] == [("a", 0.2), ("b", 0.0), ("c", -0.6)]
    assert [change.samples for change in changes] == [10, 10, 10]


def test_a_class_without_samples_has_no_change() -> None:
    empty = np.array([[8, 2, 0], [1, 9, 0], [0, 0, 0]])
    assert [change.name for change in class_changes(empty, MATRIX, NAMES)] == ["a", "b"]


def test_seeds_are_summed_and_the_mix_is_compared_with_the_target_alone(trained: Any) -> None:
    study, _ = trained
    tables = accuracy_tables(study.database().read(lambda s: read_scores(s, read_trained(s), 100)))
    found = read_confusion(tables, Limits())
    assert found.group.is_mix and found.before.is_target_alone
    assert [(c.name, c.samples, round(c.before, 3), round(c.after, 3)) for c in found.changes] == [
        ("abseiling", 20, 0.8, 1.0), ("brush hair", 20, 0.9, 0.9), ("playing cards", 20, 0.7, 0.7),
    ]  # fmt: skip
    assert found.drawn.count("<rect") == 9


def test_many_classes_are_drawn_as_one_small_picture() -> None:
    matrix = np.eye(400, dtype=np.int64) * 50
    drawn = drawn_matrix(matrix, [f"class {n}" for n in range(400)], Limits())
    assert drawn.startswith('<img class="matrix"') and len(drawn) < 20_000


def test_names_in_the_drawing_are_escaped() -> None:
    drawn = drawn_matrix(MATRIX, ["<script>", '"', "&"], Limits())
    assert "<script>" not in drawn and "&lt;script&gt;" in drawn


@pytest.mark.parametrize("text", ["", "x,a,b\na,1,2\n", "x,a\na,one\n", "x,a\na,1\nb,2\n"])
def test_a_damaged_matrix_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "confusion.csv").write_text(text)
    assert read_matrix(tmp_path / "confusion.csv") is None
    assert read_matrix(tmp_path / "missing.csv") is None


def test_the_matrix_is_the_one_that_evaluation_writes(tmp_path: Path) -> None:
    from omnisrc.evaluate.results import write_confusion

    names = ("brush, hair", 'say "hi"', "café")
    write_confusion(tmp_path / "confusion.csv", MATRIX, names)
    read, matrix = read_matrix(tmp_path / "confusion.csv")
    assert tuple(read) == names and (matrix == MATRIX).all()
