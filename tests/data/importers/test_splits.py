from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omnisrc.data.importers.listing import TargetRow
from omnisrc.data.importers.splits import leaks_between, split_by_group
from tests.data.importers.mini import touch


def row(name, index, group, split="train"):
    return TargetRow(Path(f"/videos/{name}.mp4"), f"class {index}", group, split, None, None, index)


def like_ucf101(classes=10, groups=18, clips=5):
    """Split 1 of UCF101 in its proportions."""
    return [
        row(f"{c}-{g}-{k}", c, f"{c}/g{g:02d}") for c in range(classes) for g in range(groups) for k in range(clips)
    ]


def test_val_is_whole_groups_of_every_class_near_the_share():
    rows = split_by_group(like_ucf101(), val_share=0.1, seed=0)
    assert leaks_between(rows).groups == []
    val = Counter(r.index for r in rows if r.split == "val")
    assert val == dict.fromkeys(range(10), 10)  # 2 of 18 groups: 10 of 90 clips


def test_the_choice_depends_on_the_seed_and_not_on_the_order():
    rows = like_ucf101()

    def val(rows, seed):
        return {r.path for r in split_by_group(rows, 0.1, seed) if r.split == "val"}

    assert val(rows, 0) == val(rows[::-1], 0)
    assert val(rows, 0) != val(rows, 1)


def test_a_class_of_one_group_stays_in_train_whole():
    rows = [row(f"a{i}", 0, "only") for i in range(20)] + [row(f"b{i}", 1, f"g{i}") for i in range(20)]
    split = split_by_group(rows, 0.25, 3)
    assert Counter(r.split for r in split if r.index == 0) == {"train": 20}
    assert Counter(r.split for r in split if r.index == 1) == {"train": 15, "val": 5}


def test_test_rows_are_left_alone_and_rows_without_a_split_are_train():
    rows = [row(f"a{i}", 0, f"g{i}", split=None) for i in range(10)] + [row("t", 0, "t", split="test")]
    split = split_by_group(rows, 0.2, 0)
    assert Counter(r.split for r in split) == {"train": 8, "val": 2, "test": 1}
    assert split[-1] == rows[-1]


def test_a_data_set_with_val_keeps_it():
    rows = [row("a", 0, "a"), row("b", 0, "b", split="val"), row("c", 0, "c")]
    assert split_by_group(rows, 0.5, 0) == rows


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 6)), min_size=1, max_size=40),
    st.floats(0.05, 0.9),
    st.integers(0, 5),
)
def test_no_class_loses_train_and_no_group_is_torn(pairs, share, seed):
    rows = [row(f"{i}", index, f"g{group}") for i, (index, group) in enumerate(pairs)]
    split = split_by_group(rows, share, seed)
    assert [replace(r, split="train") for r in split] == rows
    assert {r.index for r in split if r.split == "train"} == {index for index, _ in pairs}
    splits_of = defaultdict(set)
    for r in split:
        splits_of[r.group].add(r.split)
    assert all(len(splits) == 1 for splits in splits_of.values())


@given(st.lists(st.integers(1, 9), min_size=2, max_size=12), st.floats(0.01, 0.5), st.integers(0, 5))
def test_a_class_of_two_groups_has_val(sizes, share, seed):
    rows = [row(f"{g}-{i}", 0, f"g{g}") for g, size in enumerate(sizes) for i in range(size)]
    assert {r.split for r in split_by_group(rows, share, seed)} == {"train", "val"}


def test_a_random_split_of_grouped_clips_leaks_nearly_everywhere():
    rows = [replace(r, split="val" if i % 5 == 0 else "train") for i, r in enumerate(like_ucf101())]
    report = leaks_between(rows)
    assert not report.clean
    assert report.shares == {("train", "val"): 1.0}
    assert all(leak.same_class and leak.splits == {"train": 4, "val": 1} for leak in report.groups)


def test_shares_are_given_for_each_pair_of_splits():
    rows = [row("a", 0, "x"), row("b", 1, "x", "test"), row("c", 0, "y", "test"), row("d", 0, "z", "val")]
    report = leaks_between(rows)
    assert report.shares == {("train", "val"): 0.0, ("train", "test"): 0.5, ("val", "test"): 0.0}
    assert [(leak.group, leak.same_class) for leak in report.groups] == [("x", False)]


def test_equal_files_in_two_splits_are_found_whatever_their_names(tmp_path):
    contents = {"a": b"same bytes", "b": b"same bytes", "c": b"SAME bytes", "d": b"other", "e": b"other"}
    splits = {"a": "train", "b": "test", "c": "test", "d": "train", "e": "train"}
    rows = [
        replace(row(name, 0, name, splits[name]), path=touch(tmp_path / f"{name}.mp4", content))
        for name, content in contents.items()
    ]
    report = leaks_between(rows)
    assert report.groups == []
    assert [[(split, path.stem) for split, path in leak.files] for leak in report.files] == [
        [("test", "b"), ("train", "a")]
    ]
    assert not report.clean


@pytest.mark.parametrize("share", [0.0, -1.0])
def test_no_share_is_no_val(share):
    assert {r.split for r in split_by_group(like_ucf101(2), share)} == {"train"}
