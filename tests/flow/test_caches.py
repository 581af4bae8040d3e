"""Caches of flow as others meet them: doctor, gc, an export, an object store."""

from __future__ import annotations

import json
import shutil
import tarfile

import numpy as np
import pytest
from sqlalchemy import delete, update

from db.models import Shard, TargetItem
from omnisrc.carry.arrive import import_workspace
from omnisrc.cli.main import run
from omnisrc.data.flow_cache import cache_names, read_cache
from omnisrc.data.flow_inventory import inspect_flow
from omnisrc.data.flow_reader import reader_of
from omnisrc.errors import UserError
from omnisrc.flow.run import Wish, extract_flow
from omnisrc.shards.read import ShardReader
from omnisrc.shards.store import store_of
from omnisrc.shards.turns import using_shards
from omnisrc.shards.verify import file_sha256
from omnisrc.study import Study
from tests.flow.moving_world import moving, write_moving_world
from tests.media_files import video_bytes
from tests.object_store import Bucket, Fault


def omnisrc(capsys: pytest.CaptureFixture[str], study: Study, *arguments: object, sets: list[str] | None = None):
    """Exit code, the object of --json, and what was said."""
    line = [*map(str, arguments), "--workspace", str(study.root), "--json"]
    for setting in sets or []:
        line += ["--set", setting]
    capsys.readouterr()
    code = run(line)
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    return code, json.loads(said.out), " ".join(said.err.split())


def sound(study: Study) -> None:
    """The rows of the target's shards say what their files are, so that `doctor` finds no damage in them."""

    def write(session):
        for row in session.query(Shard):
            path = study.root / row.path
            row.bytes, row.sha256, row.count = path.stat().st_size, file_sha256(path), len(ShardReader(path))

    study.database().write(write)


def fields_of(study: Study, manifest) -> list[np.ndarray]:
    reader = reader_of(manifest, store_of(study), "flow")
    return [reader.clip(row, lambda count, fps: np.arange(count)) for row in range(len(manifest))]


def test_doctor_names_caches_and_what_is_broken_in_them(study, capsys):
    write_moving_world(study, {"train": 3, "val": 2}, count=3, broken=("val",))
    sound(study)
    cache, _ = extract_flow(study, Wish())
    code, said, shown = omnisrc(capsys, study, "doctor", "--deep")
    [found] = said["flow"]
    assert code == 0 and (found["clips"], found["unreadable"], found["shards"], found["damage"]) == (5, 1, 2, [])
    size = sum(path.stat().st_size for path in cache.folder.rglob("*.tar"))
    assert found["bytes"] == size and found["facts"]["bound"] == 20
    assert (
        "flow dis-b20" in shown and "dis, bound 20, OpenCV" in shown and "5 clips (1 unreadable) in 2 shards" in shown
    )

    tar, other = (cache.folder / "target" / f"target-{split}-0.tar" for split in ("train", "val"))
    data = bytearray(tar.read_bytes())
    middle = data.index(b"\xff\xd8\xff") + 200
    data[middle] ^= 0xFF
    tar.write_bytes(bytes(data))
    assert omnisrc(capsys, study, "doctor")[0] == 0  # it has as many bytes as before
    code, said, shown = omnisrc(capsys, study, "doctor", "--deep")
    assert code == 1 and "x_00001.jpg of t0001" in said["damage"][0] and "omnisrc flow --cache dis-b20" in shown
    other.write_bytes(other.read_bytes()[:-600])
    code, said, _ = omnisrc(capsys, study, "doctor")
    assert code == 1 and "bytes, " in said["damage"][0] and "in the cache dis-b20" in said["error"]
    tar.with_suffix(".idx").unlink()
    (cache.folder / "flow.json").write_text("{")
    damage = omnisrc(capsys, study, "doctor")[1]["damage"]
    assert len(damage) == 3 and any("index cannot be read" in line for line in damage)
    assert any("flow.json is damaged" in line for line in damage)
    shutil.rmtree(cache.folder)
    assert omnisrc(capsys, study, "doctor")[1]["flow"] == []


def test_a_shard_that_is_cut_or_has_lost_its_index_is_made_again(study):
    manifest = write_moving_world(study, {"train": 2, "val": 2}, count=3)
    cache, _ = extract_flow(study, Wish())
    before = fields_of(study, manifest)
    one, two = sorted(cache.folder.rglob("*.tar"))
    one.write_bytes(one.read_bytes()[:-100])
    two.with_suffix(".idx").unlink()
    assert extract_flow(study, Wish())[1].made == 4
    assert all(np.array_equal(new, old) for new, old in zip(fields_of(study, manifest), before, strict=True))
    assert not inspect_flow(store_of(study), deep=True)[0].damage


def test_gc_frees_flow_whose_clips_are_gone_and_no_other(study, capsys, tmp_path):
    write_moving_world(study, {"train": 2, "val": 2}, count=3)
    extract_flow(study, Wish())
    videos = [tmp_path / "gone.mp4", tmp_path / "stays.mp4", tmp_path / "named.mp4"]
    for path in videos:
        path.write_bytes(video_bytes(moving((2, 0), 1, 3)))
        extract_flow(study, Wish(path))
    files = sorted(path.relative_to(study.root).as_posix() for path in study.root.glob("flow/*/*/*"))
    assert len(files) == 4 + 6 and omnisrc(capsys, study, "gc")[1]["flow"] == []

    def remove(session):
        lost = session.query(Shard).filter(Shard.path.like("%train%")).one().id
        session.execute(delete(TargetItem).where(TargetItem.shard_id == lost))
        session.execute(delete(Shard).where(Shard.id == lost))
        some = session.query(TargetItem).first()
        session.execute(
            update(TargetItem).where(TargetItem.id == some.id).values(path=str(videos[2].resolve()), shard_id=None)
        )

    study.database().write(remove)
    videos[0].unlink()
    videos[2].unlink()
    gone = {name for name in files if "train" in name or "/gone-" in name}
    assert set(omnisrc(capsys, study, "gc", "--dry-run")[1]["flow"]) == gone and len(gone) == 4
    assert len(list(study.root.glob("flow/*/*/*"))) == len(files)
    with using_shards(study):
        code, said, _ = omnisrc(capsys, study, "gc")
        assert code == 2 and "Another command is at work" in said["error"]
    code, said, shown = omnisrc(capsys, study, "gc")
    assert code == 0 and set(said["flow"]) == gone and said["flow_bytes"] > 0 and "4 files of flow" in shown
    left = {path.relative_to(study.root).as_posix() for path in study.root.glob("flow/*/*/*")}
    assert left == set(files) - gone


def test_an_export_carries_flow_unless_it_is_left_behind(study, capsys, tmp_path):
    manifest = write_moving_world(study, {"train": 2}, count=3)
    cache, _ = extract_flow(study, Wish())
    begun = cache.folder / "target" / "other.work"
    begun.mkdir()
    (begun / "t1.zip").write_bytes(b"half")
    code, said, _ = omnisrc(capsys, study, "export", "workspace", tmp_path / "study.tar")
    assert code == 0
    with tarfile.open(tmp_path / "study.tar") as tar:
        carried = {name for name in tar.getnames() if name.startswith("flow/")}
    shard = "flow/dis-b20/target/target-train-0"
    assert carried == {"flow/dis-b20/flow.json", f"{shard}.tar", f"{shard}.idx"}
    import_workspace(tmp_path / "study.tar", tmp_path / "new")
    arrived, before = Study.open(tmp_path / "new"), fields_of(study, manifest)
    assert all(np.array_equal(*pair) for pair in zip(fields_of(arrived, manifest), before, strict=True))
    assert extract_flow(arrived, Wish())[1].there == 2

    code, said, shown = omnisrc(capsys, study, "export", "workspace", tmp_path / "bare.tar", "--without", "flow")
    assert code == 0 and said["without"] == ["flow"] and "Left behind: flow" in shown
    import_workspace(tmp_path / "bare.tar", tmp_path / "bare")
    assert cache_names(tmp_path / "bare") == []


def test_flow_lies_where_new_shards_lie(study, bucket: Bucket, capsys, tmp_path):
    manifest = write_moving_world(study, {"train": 2, "val": 2}, count=3)
    sound(study)
    extract_flow(study, Wish(split="train"))
    here = fields_of(study, manifest.rows(split="train"))
    stored = Study.open(study.root, tuple(bucket.settings()))
    bucket.faults = [Fault("PUT", "503", times=3, match=r"flow/"), Fault("PUT", "lost", times=1, match=r"flow/.*tar")]
    cache, done = extract_flow(stored, Wish())
    assert (done.made, done.there, done.failed) == (2, 2, {})  # what lay here goes there too
    place = "study/flow/dis-b20"
    names = [f"{place}/target/target-{split}-0.{ext}" for split in ("train", "val") for ext in ("tar", "idx")]
    assert bucket.shards() == {f"{place}/flow.json", *names}
    assert not list(cache.folder.rglob("*.tar")) and not list(cache.folder.rglob("*.work"))
    there = fields_of(stored, manifest)
    assert all(np.array_equal(*pair) for pair in zip(there[:2], here, strict=True)) and there[3].shape[0] == 2

    elsewhere = Study.open(tmp_path / "elsewhere", tuple(bucket.settings()))  # a machine that has built nothing
    assert read_cache(store_of(elsewhere)).facts == cache.facts
    bucket.requests.clear()
    assert all(np.array_equal(*pair) for pair in zip(fields_of(elsewhere, manifest), there, strict=True))
    assert {name: bucket.count("GET", name) for name in names} == dict.fromkeys(names, 1)
    again = extract_flow(stored, Wish())[1]
    assert (again.made, again.there) == (0, 4)
    with pytest.raises(UserError, match="The flow of 4 of 4 samples is not in the cache"):
        reader_of(manifest, study.root, "flow")

    sets = bucket.settings()
    code, said, _ = omnisrc(capsys, stored, "doctor", "--deep", sets=sets)
    assert code == 0 and said["flow"][0]["clips"] == 4 and said["flow"][0]["shards"] == 2
    bucket.client().put_object(Bucket=bucket.name, Key=names[0], Body=b"x" * 2000)
    code, said, _ = omnisrc(capsys, stored, "doctor", sets=sets)
    assert code == 1 and "2000 bytes" in said["damage"][0]
    shutil.rmtree(study.root / "cache")
    assert extract_flow(stored, Wish())[1].made == 2

    code, _, _ = omnisrc(capsys, stored, "export", "workspace", tmp_path / "study.tar", sets=sets)
    import_workspace(tmp_path / "study.tar", tmp_path / "new")
    assert code == 0 and all(
        np.array_equal(*pair) for pair in zip(fields_of(Study.open(tmp_path / "new"), manifest), there, strict=True)
    )

    def remove(session):
        lost = session.query(Shard).filter(Shard.path.like("%train%")).one().id
        session.execute(delete(TargetItem).where(TargetItem.shard_id == lost))
        session.execute(delete(Shard).where(Shard.id == lost))

    stored.database().write(remove)
    code, said, _ = omnisrc(capsys, stored, "gc", sets=sets)
    assert code == 0 and len(said["flow"]) == 2
    assert bucket.shards() == {f"{place}/flow.json", *names[2:]}


def test_a_store_that_stays_away_fails_the_piece_and_the_next_run_goes_on(study, bucket: Bucket):
    write_moving_world(study, {"train": 2}, count=3)
    stored = Study.open(study.root, tuple(bucket.settings()))
    bucket.faults = [Fault("PUT", "503", times=99, match=r"flow/.*(tar|idx)")]
    _, done = extract_flow(stored, Wish())
    assert "503 SlowDown" in done.failed["target/target-train-0.tar"]
    bucket.faults = []
    done = extract_flow(stored, Wish())[1]
    assert (done.made, done.there) == (0, 2) and len([n for n in bucket.shards() if n.endswith(".tar")]) == 1
