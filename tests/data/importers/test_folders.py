import os

import pytest

from omnisrc.classes import class_list_of
from omnisrc.data.importers.formats import read_target
from omnisrc.errors import UserError
from tests.data.importers.mini import touch

CLASSES = class_list_of(["brush hair", "jump"], "mine")


def test_a_folder_for_each_class(tmp_path):
    for name in ("brush_hair/a 1.mp4", "brush_hair/deep/b.AVI", "jump/a 1.mp4", "jump/.hidden.mp4", "walk/c.mp4"):
        touch(tmp_path / name)
    touch(tmp_path / "jump" / "notes.txt")
    touch(tmp_path / "readme.txt")
    (tmp_path / "jump" / "none.mp4").touch()
    (tmp_path / "jump" / "broken.mp4").symlink_to(tmp_path / "nowhere.mp4")
    (tmp_path / "empty").mkdir()
    listing = read_target("folder", tmp_path, class_list=CLASSES)
    assert [(r.path.name, r.label, r.group, r.split) for r in listing.items] == [
        ("a 1.mp4", "brush hair", "brush hair/a 1", None),
        ("b.AVI", "brush hair", "brush hair/b", None),
        ("a 1.mp4", "jump", "jump/a 1", None),
    ]
    assert listing.counts() == {
        "empty-folder": 1, "not-a-video": 1, "empty-file": 1, "missing-file": 1, "unknown-label": 1,
    }  # fmt: skip


def test_folders_named_for_splits_hold_the_classes(tmp_path):
    for name in ("train/jump/a.mp4", "validation/jump/b.mp4", "test/brush hair/c.mp4"):
        touch(tmp_path / name)
    listing = read_target("folder", tmp_path, class_list=CLASSES)
    assert listing.by_split == {"train": 1, "val": 1, "test": 1}


def test_a_class_called_test_is_no_split_beside_other_classes(tmp_path):
    for name in ("test/a.mp4", "jump/b.mp4"):
        touch(tmp_path / name)
    listing = read_target("folder", tmp_path)
    assert listing.class_list.names == ("jump", "test")
    assert listing.by_split == {"none": 2}


def test_links_to_folders_are_followed_and_do_not_go_round(tmp_path):
    touch(tmp_path / "store" / "a.mp4")
    (tmp_path / "target").mkdir()
    (tmp_path / "target" / "jump").symlink_to(tmp_path / "store")
    (tmp_path / "store" / "loop").symlink_to(tmp_path / "store")
    listing = read_target("folder", tmp_path / "target", class_list=CLASSES)
    assert [row.path.name for row in listing.items] == ["a.mp4"]


def test_a_file_whose_name_is_no_utf8_is_counted(tmp_path):
    touch(tmp_path / "jump" / "a.mp4")
    touch(tmp_path / "jump" / os.fsdecode(b"\xe4.mp4"))
    listing = read_target("folder", tmp_path, class_list=CLASSES)
    assert (len(listing.items), listing.counts()) == (1, {"bad-row": 1})


def test_a_folder_without_folders_is_the_users_mistake(tmp_path):
    with pytest.raises(UserError, match="holds no folders"):
        read_target("folder", tmp_path)
    with pytest.raises(UserError, match="is not a folder"):
        read_target("folder", touch(tmp_path / "a.mp4"))
