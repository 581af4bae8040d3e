import pytest

from omnisrc.classes import load_class_list
from omnisrc.data.importers.formats import read_target
from omnisrc.errors import UserError
from tests.data.importers import mini

HMDB51 = load_class_list("hmdb51")


def test_tags_give_the_splits_and_0_is_left_out(tmp_path):
    listing = read_target("hmdb51", mini.hmdb51(tmp_path), class_list=HMDB51)
    assert listing.problems == []
    assert listing.by_split == {"train": 8, "test": 4}
    assert {row.label for row in listing.items} == {"brush_hair", "ride_bike"}
    assert not any("Trumanshow" in row.path.name for row in listing.items)


def test_the_group_is_the_source_within_the_class(tmp_path):
    listing = read_target("hmdb51", mini.hmdb51(tmp_path), class_list=HMDB51)
    groups = {row.path.name: row.group for row in listing.items}
    assert groups["April_09_brush_hair_u_cm_np1_ba_goo_0.avi"] == groups["April_09_brush_hair_u_cm_np12_ba_goo_1.avi"]
    assert groups["April_09_brush_hair_u_cm_np1_ba_goo_0.avi"] != groups["April_09_ride_bike_u_cm_np1_ba_goo_0.avi"]
    assert len(set(groups.values())) == 6


def test_bad_tags_and_missing_files_are_counted(tmp_path):
    videos = mini.hmdb51(tmp_path)
    path = tmp_path / "testTrainMulti_7030_splits" / "brush_hair_test_split1.txt"
    path.write_text(path.read_text() + "\nx_brush_hair_u_cm_np1_ba_goo_0.avi 3 \ngone.avi 1 \n")
    listing = read_target("hmdb51", videos, class_list=HMDB51)
    assert listing.counts() == {"empty-row": 1, "bad-row": 1, "missing-file": 1}
    with pytest.raises(UserError, match=r"\*_test_split3\.txt"):
        read_target("hmdb51", videos, class_list=HMDB51, split_number=3)
