import csv
import math
from dataclasses import replace

import numpy as np
import pytest

from omnisrc.evaluate.compare import compare, largest_gains, shown_p, write_by_class
from tests.evaluate.dumps import CLASSES, dump


def tables(b, c, both, neither, **more):
    """Two dumps: `b` clips only the first has right, `c` only the second, `both`, `neither`."""
    labels = [at % 4 for at in range(b + c + both + neither)]
    wrong = [(label + 1) % 4 for label in labels]
    hits = np.array([[1, 0]] * b + [[0, 1]] * c + [[1, 1]] * both + [[0, 0]] * neither, bool)
    said = [
        [label if hit else other for hit, label, other in zip(column, labels, wrong, strict=True)] for column in hits.T
    ]
    return [dump(each, labels, **more) for each in said]


def test_seventy_three_against_seventy_over_a_thousand_clips():
    # The headline of OmniSource (TSN-3seg R50): 70.6 and 73.6 %; which clips they share is made up.
    found = compare(*tables(60, 90, 646, 204), ("base", "omni"))
    assert found.top1 == (0.706, 0.736) and found.clips == 1000 and found.group_p is None
    assert found.difference == pytest.approx(0.03)
    reach = 1.96 * math.sqrt((150 - 30**2 / 1000) / 1000**2)  # the normal interval of a paired difference
    assert found.difference_interval == pytest.approx((0.03 - reach, 0.03 + reach), abs=0.002)
    assert found.test[:2] == (60, 90) and 0.01 < found.test.mid_p < found.test.exact < 0.02
    assert found.sentence.startswith(
        "omni is better than base: 73.60 % against 70.60 % top-1 over 1,000 clips, +3.00 points"
    )
    assert "90 clips only omni has right, 60 only base" in found.sentence


def test_the_order_of_the_two_turns_the_sentence_round():
    one, two = tables(60, 90, 646, 204)
    found = compare(two, one, ("omni", "base"))
    assert found.sentence.startswith("base is worse than omni") and found.difference == pytest.approx(-0.03)


def test_the_same_difference_over_a_hundred_clips_may_be_chance():
    found = compare(*tables(6, 9, 65, 20), ("base", "omni"))
    assert found.difference == pytest.approx(0.03) and found.p > 0.4
    assert found.sentence.startswith("These clips do not tell omni from base: 74.00 % against 71.00 %")
    low, high = found.difference_interval
    assert low < 0 < high


def test_cuts_of_one_video_count_as_one():
    alone = compare(*tables(0, 8, 30, 2), ("base", "omni"))
    grouped = compare(*tables(0, 8, 30, 2, groups=[f"v{at // 8}" for at in range(40)]), ("base", "omni"))
    assert alone.p == pytest.approx(2**-8, rel=0.01) and alone.sentence.startswith("omni is better")
    assert grouped.groups == 5 and grouped.group_p == 1.0  # one video alone differs: its sign is a coin's
    assert "These clips do not tell" in grouped.sentence and "40 clips of 5 groups" in grouped.sentence
    assert grouped.difference == alone.difference


def test_groups_that_one_of_the_two_knows_count_in_either_order():
    first, second = tables(0, 8, 30, 2, groups=[f"v{at // 8}" for at in range(40)])
    foreign = replace(second, groups=[""] * 40)
    there, back = compare(first, foreign, ("a", "b")), compare(foreign, first, ("b", "a"))
    assert there.groups == back.groups == 5 and there.p == back.p == 1.0
    assert there.intervals == back.intervals[::-1]


def test_a_recogniser_is_no_better_than_itself():
    one = tables(5, 5, 20, 10)[0]
    found = compare(one, one, ("a", "b"))
    assert found.difference == 0 and found.p == 1 and found.difference_interval == (0, 0)
    assert found.sentence.startswith("These clips do not tell b from a")


def test_classes_by_what_they_gain(tmp_path):
    labels = [0, 0, 1, 1, 2, 2]
    first, second = dump([0, 1, 1, 1, 0, 0], labels), dump([0, 0, 1, 0, 2, 2], labels)
    found = compare(first, second, ("a", "b"))
    assert [CLASSES[at] for at in largest_gains(found)] == ["run", "dive", "jump"]
    write_by_class(found, CLASSES, tmp_path / "by_class.csv")
    with open(tmp_path / "by_class.csv", newline="") as file:
        assert list(csv.reader(file))[1:] == [
            ["run", "2", "0.0000", "1.0000", "+1.0000"], ["dive", "2", "0.5000", "1.0000", "+0.5000"],
            ["jump", "2", "1.0000", "0.5000", "-0.5000"],
        ]  # fmt: skip


@pytest.mark.parametrize(("p", "said"), [(0.04567, "0.046"), (0.0004, "4e-04"), (0.0, "below 1e-300"), (1.0, "1.000")])
def test_p_values_as_they_are_said(p, said):
    assert shown_p(p) == said
