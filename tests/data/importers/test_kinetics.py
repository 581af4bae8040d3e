import pytest

from omnisrc.classes import load_class_list
from omnisrc.data.importers.formats import read_target
from omnisrc.errors import UserError
from tests.data.importers import mini

K400 = load_class_list("kinetics400")


def test_lists_are_read_by_their_headers_and_clips_found_by_name(tmp_path):
    listing = read_target("kinetics", mini.kinetics(tmp_path), class_list=K400)
    assert [(r.path.name, r.label, r.group, r.split, r.start, r.end) for r in listing.items] == [
        ("-AbCdEfGhIj_000004_000014.mp4", "bee keeping", "-AbCdEfGhIj", "train", None, None),
        ("-aBcDeFgHiJ_000004_000014.webm", "bee keeping", "-aBcDeFgHiJ", "train", None, None),
        ("0123456789_.mkv", "massaging person's head", "0123456789_", "train", 33.0, 43.0),
        ("zzzzzzzzzzz_000100_000110.mp4", "bee keeping", "zzzzzzzzzzz", "val", None, None),
    ]  # fmt: skip
    assert listing.counts() == {"no-label": 1, "missing-file": 1}
    missing = next(problem for problem in listing.problems if problem.what == "missing-file")
    assert missing.row == "kinetics_train.csv:5"
    assert missing.detail.endswith("gone________000000_000010.mp4")


def test_the_order_of_columns_does_not_matter_and_bad_rows_are_counted(tmp_path):
    mini.kinetics(tmp_path)
    path = mini.touch(
        tmp_path / "mine.csv",
        "split,time_end,time_start,youtube_id,label\n"
        "train,14,4,-AbCdEfGhIj,bee_keeping\n"
        "train,14,soon,-AbCdEfGhIj,bee keeping\n"
        "train,4,14,-AbCdEfGhIj,bee keeping\n"
        "train,14,4,-AbCdEfGhIj,bee kipping\n"
        "\n",
    )
    listing = read_target("kinetics", tmp_path, class_list=K400, lists={"train": path})
    assert len(listing.items) == 1
    assert listing.counts() == {"bad-time": 2, "unknown-label": 1, "empty-row": 1}


def test_two_lists_for_one_split_and_none_at_all_are_the_users_mistake(tmp_path):
    with pytest.raises(UserError, match=r"kinetics_train\.csv in .*--train"):
        read_target("kinetics", tmp_path)
    mini.kinetics(tmp_path)
    mini.touch(tmp_path / "annotations" / "k400_train.csv", mini.KINETICS_HEADER)
    with pytest.raises(UserError, match=r"k400_train\.csv and .*kinetics_train\.csv both look like the train list"):
        read_target("kinetics", tmp_path)


def test_a_list_without_ids_is_the_users_mistake(tmp_path):
    path = mini.touch(tmp_path / "train.csv", "path,label\na.mp4,jump\n")
    with pytest.raises(UserError, match="no columns id, start, end"):
        read_target("kinetics", tmp_path, lists={"train": path})
