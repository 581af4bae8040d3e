from pathlib import Path

import pytest

from omnisrc.classes import class_list_of
from omnisrc.data.importers.formats import read_target
from omnisrc.data.importers.splits import split_by_group
from omnisrc.errors import UserError

HEADER = "id,subject,scene,quality,relevance,verified,script,objects,descriptions,actions,length"
TRAIN = [
    'AAAAA,S1,Kitchen,6,7,Yes,"Cooks, then eats.",food;stove,"Cooks, ""well"".",c001 1 8.1;c000 0.0 4.0;c001 9 9.5,30',
    "BBBBB,S2,Bedroom,5,6,Yes,Nothing.,,Sleeps.,,31.0",
    "GONE0,S1,Kitchen,6,7,Yes,x,y,z,c002 0.0 1.0,12.0",
]
TEST = ["CCCCC,S3,Garage,5,7,Yes,x,y,z,c002 0.0 11.3,12.0"]
NAMES = "c000 Holding some clothes\nc001 Putting clothes somewhere\nc002 Taking some clothes/towels\n"


@pytest.fixture
def charades(tmp_path: Path) -> Path:
    lists = tmp_path / "Charades"
    lists.mkdir()
    (lists / "Charades_v1_train.csv").write_text("\r\n".join([HEADER, *TRAIN, ""]))
    (lists / "Charades_v1_test.csv").write_text("\n".join([HEADER, *TEST, ""]))
    media = tmp_path / "Charades_v1_480"
    media.mkdir()
    for video in ("AAAAA", "BBBBB", "CCCCC"):
        (media / f"{video}.mp4").write_bytes(b"video")
    return media


def test_videos_come_with_all_their_actions_by_code(charades: Path) -> None:
    found = read_target("charades", charades)
    rows = [(row.path.stem, row.split, row.group, row.indices, row.start) for row in found.items]
    assert rows == [("CCCCC", "test", "S3", (2,), None), ("AAAAA", "train", "S1", (0, 1), None)]
    assert found.class_list.names == ("c000", "c001", "c002")
    assert found.counts() == {"no-label": 1, "missing-file": 1}


def test_actions_have_their_names_where_the_file_of_names_lies_beside_the_lists(charades: Path) -> None:
    (charades.parent / "Charades" / "Charades_v1_classes.txt").write_text(NAMES)
    names = [line.partition(" ")[2] for line in NAMES.splitlines()]
    found = read_target("charades", charades, class_list=class_list_of(names[::-1], "mine"))
    assert [row.indices for row in found.items] == [(0,), (1, 2)] and not found.counts().get("unknown-label")


def test_a_validation_part_is_taken_by_all_the_classes_of_a_clip(charades: Path) -> None:
    rows = read_target("charades", charades).items
    many = [row.__class__(**{**vars(row), "group": f"g{n}", "split": "train"}) for n in range(10) for row in rows]
    val = [row for row in split_by_group(many, 0.2, 0) if row.split == "val"]
    assert {index for row in val for index in row.indices} == {0, 1, 2}


def test_lists_that_lack_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"train\.csv.*--annotations"):
        read_target("charades", tmp_path)
