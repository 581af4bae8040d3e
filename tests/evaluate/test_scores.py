import re
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from omnisrc.errors import UserError
from omnisrc.evaluate.scores import aligned, clip_name, read_scores, write_scores
from tests.evaluate.dumps import CLASSES, dump

ONE = dump([0, 1, 2, 3, 0], [0, 1, 2, 3, 1], groups=["v1", "v1", "", "v2", ""])


def test_a_dump_comes_back_as_it_was_written(tmp_path):
    write_scores(ONE, tmp_path / "predictions.parquet")
    for place in (tmp_path, tmp_path / "predictions.parquet"):
        back = read_scores(place)
        assert back.clips == ONE.clips and back.groups == ONE.groups and back.keys == ONE.keys
        assert (back.samples == ONE.samples).all() and (back.labels == ONE.labels).all()
        assert (back.probabilities == ONE.probabilities).all() and (back.logits == ONE.logits).all()
        assert back.classes == CLASSES and back.about == ONE.about and back.fingerprint == ONE.fingerprint
    write_scores(replace(ONE, logits=None), tmp_path / "bare.parquet")
    assert read_scores(tmp_path / "bare.parquet").logits is None


def test_a_dump_without_names_and_groups_is_read_too(tmp_path):
    write_scores(ONE, tmp_path / "new.parquet")
    table = pq.read_table(tmp_path / "new.parquet").drop_columns(["clip", "group", "logits"])
    pq.write_table(table, tmp_path / "old.parquet")
    old = read_scores(tmp_path / "old.parquet")
    assert old.clips[0] == "target/0.tar#k0" and set(old.groups) == {""} and (old.right == ONE.right).all()


def test_what_is_no_dump_is_said_to_be_none(tmp_path):
    (tmp_path / "text.parquet").write_text("not Parquet")
    pq.write_table(pa.table({"a": [1]}), tmp_path / "other.parquet")
    for name, said in (("text", "cannot be read as Parquet"), ("other", "holds no scores"), ("none", "no scores in")):
        with pytest.raises(UserError, match=said):
            read_scores(tmp_path / f"{name}.parquet")


def test_tables_are_brought_into_the_order_of_the_first():
    order = np.array([3, 0, 4, 2, 1])
    other = replace(ONE.take(order), samples=np.arange(5), about={})  # another study's numbers
    first, second = aligned([ONE, other], ["a", "b"])
    assert first.clips == second.clips == ONE.clips
    assert (second.probabilities == ONE.probabilities).all() and second.groups == ONE.groups


def test_clips_that_one_lacks_are_named():
    less = ONE.take(np.array([0, 2]))
    with pytest.raises(UserError, match=re.escape("b lacks 3 of the 5 clips of a (class/1, class/3, class/4)")):
        aligned([ONE, less], ["a", "b"])
    with pytest.raises(UserError, match="a lacks 3 of the 5 clips of b"):
        aligned([less, ONE], ["a", "b"])
    assert [table.clips for table in aligned([ONE, less], ["a", "b"], among=True)] == [["class/0", "class/2"]] * 2
    with pytest.raises(UserError, match="no clip in common"):
        aligned([ONE, replace(ONE, clips=list("abcde"))], ["a", "b"], among=True)


def test_other_classes_and_other_labels_are_refused():
    with pytest.raises(UserError, match="different class lists"):
        aligned([ONE, replace(ONE, classes=CLASSES[::-1])], ["a", "b"])
    with pytest.raises(UserError, match=r"b labels 1 clip otherwise than a, such as class/4 \(run, not jump\)"):
        aligned([ONE, replace(ONE, labels=np.array([0, 1, 2, 3, 2]))], ["a", "b"])


def test_clips_of_equal_names_are_matched_within_one_study_only():
    doubled = replace(ONE, clips=["x"] * 5)
    order = np.array([4, 3, 2, 1, 0])
    assert (aligned([doubled, doubled.take(order)], ["a", "b"])[1].samples == ONE.samples).all()
    with pytest.raises(UserError, match="a holds 5 clips by the name of x"):
        aligned([doubled, replace(doubled, about={"manifest_sha256": "b"})], ["a", "b"])


def test_the_fingerprint_is_of_clips_labels_and_classes_in_any_order_and_study():
    shuffled = replace(ONE.take(np.array([4, 2, 0, 1, 3])), samples=np.arange(5), about={})
    assert shuffled.fingerprint == ONE.fingerprint
    changed = [
        replace(ONE, labels=np.array([0, 1, 2, 3, 2])), replace(ONE, clips=["other", *ONE.clips[1:]]),
        replace(ONE, classes=("dive", "jump", "run", "walk")), ONE.take(np.arange(4)),
    ]  # fmt: skip
    assert len({table.fingerprint for table in [ONE, *changed]}) == 5


def test_a_clip_has_the_same_name_wherever_the_data_lie():
    assert clip_name("/data/ucf101/Archery/v_Archery_g01_c01.avi") == "Archery/v_Archery_g01_c01"
    assert clip_name("C:\\ucf\\Archery\\v.avi") == "Archery/v"
    assert clip_name("/a/b/long.mp4", 2.0, 12.5) == "b/long#2-12.5"
    assert clip_name("archery/abc_000.5_10") == "archery/abc_000.5_10"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"label": pa.array([0, 1, 2, 3, 4], pa.int32())}, "a label is none of 4 classes"),
        ({"label": pa.array([0, 1, 2, 3, -1], pa.int32())}, "a label is none of 4 classes"),
        ({"label": pa.array(list("abcde"))}, "invalid literal"),
        ({"probabilities": pa.array([[0.5, 0.5]] * 5)}, "cannot reshape"),
        ({"probabilities": pa.array([[float("nan")] * 4] * 5)}, "probabilities that are not numbers"),
        ({"probabilities": pa.array([1.0] * 5)}, "flatten"),
    ],
)
def test_a_damaged_dump_is_refused(tmp_path, change, words):
    write_scores(ONE, tmp_path / "predictions.parquet")
    table = pq.read_table(tmp_path / "predictions.parquet")
    for name, column in change.items():
        table = table.set_column(table.column_names.index(name), name, column)
    pq.write_table(table, tmp_path / "predictions.parquet")
    with pytest.raises(UserError, match=f"predictions.parquet are damaged .*{words}"):
        read_scores(tmp_path)


def test_half_a_dump_and_a_parquet_of_others_are_refused(tmp_path):
    path = tmp_path / "predictions.parquet"
    write_scores(ONE, path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match="cannot be read as Parquet"):
        read_scores(path)
    for about in ({}, {"omnisrc": "{half"}, {"omnisrc": "[1]"}, {"omnisrc": "{}"}):
        pq.write_table(pa.table({"sample": [1]}).replace_schema_metadata(about), path)
        with pytest.raises(UserError, match="holds no scores of omnisrc"):
            read_scores(path)
