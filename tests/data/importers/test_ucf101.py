import pytest

from omnisrc.classes import load_class_list
from omnisrc.data.importers.formats import read_target
from omnisrc.data.importers.splits import leaks_between, split_by_group
from omnisrc.errors import UserError
from tests.data.importers import mini

UCF101 = load_class_list("ucf101")


@pytest.mark.parametrize("folders", [True, False])
def test_an_official_split_is_read_whatever_the_folders(tmp_path, folders):
    listing = read_target("ucf101", mini.ucf101(tmp_path, folders=folders), class_list=UCF101)
    assert listing.problems == []
    assert listing.by_split == {"train": 18, "test": 42}
    assert {(row.label, row.index) for row in listing.items} == {
        ("ApplyEyeMakeup", 0), ("HandstandPushups", 36), ("YoYo", 100),
    }  # fmt: skip
    assert {row.split for row in listing.items if row.group == "YoYo/g07"} == {"test"}


def test_handstand_pushups_is_found_in_either_spelling(tmp_path):
    videos = mini.ucf101(tmp_path)
    (videos / "HandstandPushups").rename(videos / "HandStandPushups")
    for path in (videos / "HandStandPushups").iterdir():
        path.rename(path.with_name(path.name.replace("HandStand", "Handstand")))
    listing = read_target("ucf101", videos, class_list=UCF101)
    assert listing.problems == []
    assert sum(row.label == "HandstandPushups" for row in listing.items) == 20


def test_no_group_is_in_two_splits_and_val_is_taken_by_group(tmp_path):
    listing = read_target("ucf101", mini.ucf101(tmp_path), class_list=UCF101)
    rows = split_by_group(listing.items, val_share=0.3, seed=1)
    assert leaks_between(rows).groups == []
    assert sum(row.split == "val" for row in rows) == 6  # one of three groups in each of three classes


def test_re_encoded_videos_are_found_and_missing_ones_counted(tmp_path):
    videos = mini.ucf101(tmp_path)
    clip = videos / "YoYo" / "v_YoYo_g01_c01.avi"
    clip.rename(clip.with_suffix(".mp4"))
    (videos / "YoYo" / "v_YoYo_g01_c02.avi").unlink()
    listing = read_target("ucf101", videos, class_list=UCF101)
    assert listing.counts() == {"missing-file": 1}
    assert any(row.path.name == "v_YoYo_g01_c01.mp4" for row in listing.items)


def test_bad_lines_are_counted(tmp_path):
    videos = mini.ucf101(tmp_path)
    lists = tmp_path / "ucfTrainTestlist"
    train = lists / "trainlist01.txt"
    train.write_text(
        train.read_text() + "\nYoYo/v_YoYo_g09_c01.avi 1\nv_YoYo_g09_c01.avi 101\nNoClass/v_X_g01_c01.avi 5\n"
    )
    assert read_target("ucf101", videos, class_list=UCF101, annotations=lists).counts() == {
        "empty-row": 1, "label-mismatch": 1, "bad-row": 1, "unknown-label": 1,
    }  # fmt: skip


def test_a_missing_list_is_named(tmp_path):
    videos = mini.ucf101(tmp_path)
    with pytest.raises(UserError, match=r"trainlist02\.txt .*--annotations"):
        read_target("ucf101", videos, class_list=UCF101, split_number=2)
    with pytest.raises(UserError, match="no split 4"):
        read_target("ucf101", videos, class_list=UCF101, split_number=4)
