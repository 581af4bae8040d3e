"""Targets from lists to target shards, with the stage run in this process."""

import json
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import select

from db.models import Job, Shard, TargetItem
from omnisrc.classes import class_list_of
from omnisrc.data.catalogue import target_state
from omnisrc.data.freeze import target_manifest
from omnisrc.data.hashes import PER_FRAME
from omnisrc.data.importers.formats import read_target
from omnisrc.data.settings import TargetSettings
from omnisrc.data.target import add_rows, even_parts, target_rows
from omnisrc.data.target_check import check_target
from omnisrc.data.target_view import summary
from omnisrc.engine.work import work_once
from omnisrc.errors import UserError
from omnisrc.media.video import open_video
from omnisrc.shards.read import ShardReader, read_bytes
from omnisrc.shards.verify import verify_shard
from omnisrc.study import Study
from tests.media_files import headless_mp4, image_bytes, moving_frames, sound_bytes, video_bytes

CLASSES = class_list_of(["golf", "pour"], "mine")


def data_set(folder: Path, files: dict[str, bytes], lines: list[str]) -> Path:
    """Media and a list `path,label,group,split`."""
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    (folder / "list.csv").write_text("path,label,group,split\n" + "".join(f"{line}\n" for line in lines))
    return folder / "list.csv"


def add(study: Study, path: Path, settings: TargetSettings = TargetSettings(), **given):
    listing = read_target("csv", path, class_list=given.pop("class_list", CLASSES))
    added = study.database().write(
        lambda s: add_rows(s, listing.items, listing.class_list, settings, absent=listing.absent, **given)
    )
    while work_once(study, ["import"]):
        pass
    return listing, added


def items(study: Study) -> dict[str, TargetItem]:
    rows = study.database().read(lambda s: list(s.scalars(select(TargetItem).order_by(TargetItem.id))))
    return {Path(item.path).name: item for item in rows}


@pytest.fixture
def small(tmp_path: Path) -> Path:
    files = {f"{n}.mp4": video_bytes(24, width=340, height=300, seed=n) for n in range(4)}
    lines = ["0.mp4,golf,a,train", "1.mp4,pour,b,train", "2.mp4,golf,c,val", "3.mp4,pour,d,test"]
    return data_set(tmp_path / "set", files, lines)


def test_clips_are_cut_encoded_hashed_and_readable(study: Study, small: Path) -> None:
    add(study, small)
    found = items(study)
    assert {name: (item.split, item.state, item.label) for name, item in found.items()} == {
        "0.mp4": ("train", "stored", 0), "1.mp4": ("train", "stored", 1), "2.mp4": ("val", "stored", 0),
        "3.mp4": ("test", "stored", 1),
    }  # fmt: skip
    shards = {s.id: s for s in study.database().read(lambda s: list(s.scalars(select(Shard))))}
    for shard in shards.values():
        assert verify_shard(study.root / shard.path, count=shard.count, bytes=shard.bytes, sha256=shard.sha256) == []
    for item in found.values():
        path = study.root / shards[item.shard_id].path
        with open_video(read_bytes(path, item.offset, item.length)) as video:
            assert (video.info.width, video.info.height, len(video)) == (item.width, item.height, item.frames)
            assert (item.width, item.height, item.frames) == (290, 256, 24)
        about = json.loads(ShardReader(path).get(item.key)["json"])
        assert about["labels"]["recognition"] == {"label": item.label, "class": CLASSES.names[item.label]}
        assert (about["source"], about["split"], about["group"]) == ("target", item.split, item.group)
        block = 32 * (PER_FRAME if item.split != "train" else 1)
        assert item.hashes and len(item.hashes) % block == 0
    assert len(target_manifest(study, "test")) == 1


def test_adding_twice_changes_nothing(study: Study, small: Path) -> None:
    add(study, small)
    jobs = study.database().read(lambda s: len(s.scalars(select(Job)).all()))
    before, state = items(study), study.database().read(target_state)
    _, added = add(study, small)
    assert (added.new, added.known, added.jobs, added.changed) == (0, 4, 0, [])
    after = items(study)
    assert {n: (i.id, i.shard_id, i.split) for n, i in after.items()} == {
        n: (i.id, i.shard_id, i.split) for n, i in before.items()
    }
    assert study.database().read(target_state) == state
    assert study.database().read(lambda s: len(s.scalars(select(Job)).all())) == jobs


def test_broken_files_are_counted_by_name_and_tried_again_when_added_again(study: Study, tmp_path: Path) -> None:
    files = {
        "good.mp4": video_bytes(12), "cut.mp4": headless_mp4(video_bytes(12)), "sound.mp4": sound_bytes(),
        "text.mp4": b"not a video at all",
    }  # fmt: skip
    lines = [f"{name},golf,{name},train" for name in (*files, "gone.mp4")]
    path = data_set(tmp_path / "set", files, lines)
    listing, _ = add(study, path)
    assert listing.counts() == {"missing-file": 1}
    assert {name: (item.state, item.error) for name, item in items(study).items()} == {
        "good.mp4": ("stored", None), "cut.mp4": ("failed", "decode"), "sound.mp4": ("failed", "not-media"),
        "text.mp4": ("failed", "not-media"), "gone.mp4": ("failed", "storage"),
    }  # fmt: skip
    counted = study.database().read(summary)
    assert counted.errors == {"decode": 1, "not-media": 2, "storage": 1}
    assert sum(split["failed"] for split in counted.splits.values()) == 4
    assert [Path(name).name for name, _ in counted.failed] == ["cut.mp4", "sound.mp4", "text.mp4", "gone.mp4"]
    (tmp_path / "set" / "cut.mp4").write_bytes(video_bytes(12))
    (tmp_path / "set" / "gone.mp4").write_bytes(video_bytes(12))
    add(study, path)
    after = items(study)
    assert after["cut.mp4"].state == after["gone.mp4"].state == "stored" and after["sound.mp4"].state == "failed"
    assert len(after) == len(lines)


def test_files_can_be_used_in_place(study: Study, small: Path) -> None:
    add(study, small, reference=True)
    found = items(study)
    assert all(item.state == "stored" and item.shard_id is None and item.length == -1 for item in found.values())
    assert study.database().read(lambda s: s.scalars(select(Shard)).all()) == []
    assert found["3.mp4"].hashes and found["3.mp4"].frames == 24
    row = target_manifest(study, "test").table.to_pylist()[0]
    assert row["path"] == str(small.parent / "3.mp4") and row["length"] == -1


def test_pictures_can_be_a_target_too(study: Study, tmp_path: Path) -> None:
    path = data_set(tmp_path / "set", {"a.jpg": image_bytes(640, 480)}, ["a.jpg,golf,a,test"])
    add(study, path)
    [item] = items(study).values()
    assert (item.medium, item.width, item.height, item.frames) == ("image", 427, 320, 1)


def test_val_is_taken_out_of_train_once_and_stays(study: Study, tmp_path: Path) -> None:
    clip = video_bytes(6, width=64, height=48)
    files = {f"{n}.mp4": clip + bytes([n]) for n in range(12)}
    lines = [f"{n}.mp4,{CLASSES.names[n % 2]},g{n // 2},train" for n in range(12)]
    path = data_set(tmp_path / "set", files, lines)
    settings = TargetSettings(val_share=0.34)
    _, first = add(study, path, settings)
    splits = {name: item.split for name, item in items(study).items()}
    groups = {(item.group, item.split) for item in items(study).values()}
    assert first.splits["val"] == list(splits.values()).count("val") > 0
    assert len(groups) == 6
    _, second = add(study, path, settings)
    assert second.changed == [] and {name: item.split for name, item in items(study).items()} == splits


def test_another_class_list_is_refused_in_a_sentence(study: Study, small: Path) -> None:
    add(study, small)
    with pytest.raises(UserError, match="class list mine"):
        add(study, small, class_list=class_list_of(["pour", "golf"], "other"))


def test_a_changed_label_is_told_and_not_taken(study: Study, small: Path) -> None:
    add(study, small)
    small.write_text(small.read_text().replace("0.mp4,golf", "0.mp4,pour"))
    _, added = add(study, small)
    assert [Path(name).name for name in added.changed] == ["0.mp4"] and items(study)["0.mp4"].label == 0


def test_check_finds_groups_equal_files_and_frames_in_two_splits(study: Study, tmp_path: Path) -> None:
    frames = moving_frames(24, 160, 120, seed=3)
    files = {
        "a.mp4": video_bytes(24, seed=1), "b.mp4": video_bytes(24, seed=2), "same.mp4": video_bytes(24, seed=1),
        "long.mp4": video_bytes(frames), "part.mp4": video_bytes(frames[6:18], options={"crf": "32"}),
    }  # fmt: skip
    lines = ["a.mp4,golf,g1,train", "b.mp4,golf,g1,test", "same.mp4,golf,g2,test", "long.mp4,pour,g3,train",
             "part.mp4,pour,g4,val"]  # fmt: skip
    add(study, data_set(tmp_path / "set", files, lines))
    rows, stored = study.database().read(target_rows)
    found = check_target(rows, stored)
    assert [(leak.group, leak.splits) for leak in found.leaks.groups] == [("g1", {"train": 1, "test": 1})]
    assert [{Path(path).name for _, path in leak.files} for leak in found.leaks.files] == [{"a.mp4", "same.mp4"}]
    alike = {(Path(a.item.path).name, Path(a.other.path).name) for a in found.alike}
    assert alike == {("a.mp4", "same.mp4"), ("long.mp4", "part.mp4")}
    assert not found.clean and found.uncompared == 0


def test_parts_are_even_and_no_larger_than_allowed() -> None:
    assert even_parts([], 10) == []
    assert [len(part) for part in even_parts(list(range(45)), 20)] == [15, 15, 15]
    assert [len(part) for part in even_parts(list(range(160)), 200)] == [20] * 8
    assert sorted(np.concatenate(even_parts(list(range(1001)), 100)).tolist()) == list(range(1001))
