"""Shards move between disk and stores, are freed, and are taken down: files and rows agree whatever stops it."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, select

from db.ledger import claim, enqueue, finish
from db.models import Asset, PredictionSet, Shard
from omnisrc.cli.main import run
from omnisrc.data.freeze import build_manifest
from omnisrc.data.manifest import read_manifest
from omnisrc.engine.owner import this_process
from omnisrc.errors import UserError
from omnisrc.shards import moving
from omnisrc.shards.freeing import free_landing
from omnisrc.shards.inventory import remove_litter, take_inventory
from omnisrc.shards.moving import HERE, move_shards
from omnisrc.shards.places import open_storage
from omnisrc.shards.store import ShardStore, is_remote
from omnisrc.shards.turns import training_on_shards, using_shards
from omnisrc.study import Study
from tests.filter.stages import tiny_teacher
from tests.filter.web import Item, land
from tests.local_web import LocalWeb
from tests.media_files import image_bytes
from tests.object_store import Bucket, Fault
from tests.services import until
from tests.stored_study import (
    CLASSES,
    SMALL,
    accounted,
    add_target,
    crawl_it,
    filter_it,
    line,
    open_study,
    rows_of,
    selected,
    serve,
)  # fmt: skip

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Study]:
    """A small study on disk, crawled, filtered and packed."""
    folder = tmp_path_factory.mktemp("made")
    with LocalWeb() as web, pytest.MonkeyPatch.context() as patch:
        study = open_study(folder / "study", serve(web, folder / "media", images=6, videos=1))
        add_target(study, folder / "media")
        crawl_it(study, folder / "media")
        filter_it(study, patch)
        study.database().dispose()
        yield study


@pytest.fixture
def study(made: Study, bucket: Bucket, tmp_path: Path) -> Iterator[Study]:
    """A copy of it, with its new shards going to the bucket."""
    shutil.copytree(made.root, tmp_path / "study")
    copy = Study.open(tmp_path / "study", [*made.overrides, *bucket.settings()])
    yield copy
    copy.database().dispose()


def places(study: Study) -> set[bool]:
    """Whether shards and prediction sets lie in a store."""
    sets = study.database().read(lambda s: list(s.scalars(select(PredictionSet.path))))
    return {is_remote(path) for path in [*sets, *(row.path for row in rows_of(study))]}


def test_all_move_to_a_store_to_another_folder_and_back(study: Study, bucket: Bucket) -> None:
    before, chosen = {row.sha256 for row in rows_of(study)}, selected(study)
    manifest = build_manifest(study, ("target", "web-image")).sha256
    for destination in (bucket.url, f"s3://{bucket.name}/elsewhere", HERE):
        moved = move_shards(study, destination)
        assert moved.files == len(rows_of(study)) + 2 and moved.damaged == [] and moved.there == 0
        assert places(study) == {destination != HERE}
        assert {row.sha256 for row in rows_of(study)} == before and selected(study) == chosen
        assert accounted(study, bucket) == {"stored": 7}
        assert build_manifest(study, ("target", "web-image")).sha256 == manifest, "a run goes on wherever they lie"
        assert move_shards(study, destination).there == moved.files
    assert bucket.shards() == set()


def test_one_kind_moves_alone_and_both_places_work_at_once(
    study: Study, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert move_shards(study, bucket.url, ["landing"]).files == 4
    assert {row.kind: is_remote(row.path) for row in rows_of(study)} == {
        "landing": True, "curated": False, "target": False,
    }  # fmt: skip
    assert accounted(study, bucket) == {"stored": 7}
    outcome = filter_it(study, monkeypatch, name="again")
    assert outcome.lost == {} and outcome.selection.packed and outcome.members["clip"]["kept"] > 0
    assert accounted(study, bucket) == {"stored": 7}


@pytest.mark.parametrize(
    ("step", "after", "destination"),
    [("_copy", 3, "store"), ("_rename", 2, "store"), ("delete", 1, "store"), ("_copy", 0, HERE), ("delete", 4, HERE)],
)
def test_a_move_that_is_stopped_anywhere_goes_on(
    study: Study, bucket: Bucket, monkeypatch: pytest.MonkeyPatch, step: str, after: int, destination: str
) -> None:
    if destination == HERE:
        move_shards(study, bucket.url)
    destination = bucket.url if destination == "store" else HERE
    whose = ShardStore if step == "delete" else moving
    real, calls = getattr(whose, step), [0]

    def stopping(*arguments):
        calls[0] += 1
        if calls[0] > after:
            raise KeyboardInterrupt
        return real(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(whose, step, stopping)
        with pytest.raises(KeyboardInterrupt):
            move_shards(study, destination)
    assert take_inventory(study, deep=True).damage == [], "every row names a whole file"
    moved = move_shards(study, destination)
    assert moved.damaged == [] and places(study) == {destination != HERE}
    assert accounted(study, bucket) == {"stored": 7}


def test_a_move_that_is_killed_goes_on(study: Study, bucket: Bucket) -> None:
    command = [sys.executable, "-m", "omnisrc", "shards", "move", bucket.url, *line(study, *bucket.reading())]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL) as moving_there:
        until(lambda: bucket.count("PUT", "tar") >= 2)
        moving_there.kill()
    assert moving_there.returncode == -signal.SIGKILL
    assert take_inventory(study, deep=True).damage == [] and False in places(study)
    assert move_shards(study, bucket.url).damaged == [] and places(study) == {True}
    assert accounted(study, bucket) == {"stored": 7}


@pytest.mark.parametrize("what", ["503", "lost"])
def test_a_move_through_a_store_that_fails(study: Study, bucket: Bucket, what: str) -> None:
    bucket.faults = [Fault("PUT", what, 3, "landing"), Fault("GET", "503", 3, "landing"), Fault("DELETE", "500", 2)]
    move_shards(study, bucket.url)
    move_shards(study, HERE)
    assert [fault.times for fault in bucket.faults] == [0, 0, 0]
    assert accounted(study, bucket) == {"stored": 7} and bucket.shards() == set()


def test_a_damaged_shard_stays_and_is_named(study: Study, bucket: Bucket, capsys: pytest.CaptureFixture[str]) -> None:
    victim = rows_of(study, "curated")[0]
    with (study.root / victim.path).open("r+b") as file:
        file.seek(600)
        file.write(b"?")
    code = run(["shards", "move", bucket.url, "--kind", "curated", "--json", *line(study, *bucket.reading())])
    answer = json.loads(capsys.readouterr().out.splitlines()[0])
    assert code == 1 and answer["moved"] == 1 and victim.path in answer["damaged"][0]
    assert (study.root / victim.path).exists() and victim.path in {row.path for row in rows_of(study)}


def test_nothing_moves_or_is_freed_while_somebody_reads(study: Study, bucket: Bucket) -> None:
    for reading in (using_shards, training_on_shards):
        with reading(study), pytest.raises(UserError, match=r"at work|being trained"):
            move_shards(study, bucket.url)
    with using_shards(study), pytest.raises(UserError, match="Another command is at work"):
        free_landing(study)
    study.database().write(lambda session: enqueue(session, "predict", "x"))
    with pytest.raises(UserError, match=r"waiting or at work \(predict\)"):
        free_landing(study)
    assert claim(study.database(), ["predict"], this_process(), 600.0) is not None
    with pytest.raises(UserError, match=r"Jobs that read shards are at work \(predict\)"):
        move_shards(study, bucket.url)
    assert places(study) == {False} and len(rows_of(study, "landing")) == 2


def test_they_move_on_postgresql_too(postgresql_url: str, bucket: Bucket, tmp_path: Path) -> None:
    study = open_study(tmp_path / "study", [f"database.url={postgresql_url}", *bucket.settings()])
    land(study, [Item("a", {"golf": 0}, image_bytes())])
    assert move_shards(study, bucket.url).files == 1 and places(study) == {True}
    study.database().write(lambda session: enqueue(session, "predict", "x"))
    lease = claim(study.database(), ["predict"], this_process(), 600.0)
    with pytest.raises(UserError, match="Jobs that read shards are at work"):
        move_shards(study, HERE)
    with pytest.raises(UserError, match="waiting or at work"):
        free_landing(study)
    assert lease is not None
    study.database().write(lambda session: finish(session, lease))
    assert move_shards(study, HERE).files == 1 and bucket.shards() == set() and free_landing(study) == []
    assert take_inventory(study, deep=True).damage == []
    study.database().dispose()


@pytest.mark.parametrize("remote", [False, True])
def test_what_no_selection_needs_is_freed_and_the_rest_stays(
    study: Study, bucket: Bucket, monkeypatch: pytest.MonkeyPatch, remote: bool
) -> None:
    if remote:
        move_shards(study, bucket.url)
    assert len(free_landing(study, dry_run=True)) == 2 and len(rows_of(study, "landing")) == 2
    with monkeypatch.context() as patch:  # killed after the rows, before the files
        patch.setattr(ShardStore, "delete", _dies)
        with pytest.raises(KeyboardInterrupt):
            free_landing(study)
    assert rows_of(study, "landing") == []
    found = take_inventory(study, deep=True)
    assert found.damage == [] and len(found.litter) == 4, "two tars and their indices"
    remove_litter(study, found)
    assert accounted(study, bucket) == {"stored": 7}
    assert {row.kind for row in rows_of(study)} == {"curated", "target"}
    outcome = filter_it(study, monkeypatch, rule="all", name="later")
    assert outcome.selection.packed and outcome.lost == {} and outcome.members["image"]["kept"] == 6
    assert accounted(study, bucket) == {"stored": 7}


def _dies(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_run_goes_on_after_its_shards_were_moved(
    study: Study, bucket: Bucket, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["--name", "mine", "--json"]
    assert run(["train", "--mix", "web,target", *command, *line(study, *SMALL)]) == 0
    (study.runs / "mine" / "last.pt").unlink()
    move_shards(study, bucket.url)
    capsys.readouterr()
    assert run(["train", "--resume", *command, *line(study, "train.device=cpu", *bucket.reading())]) == 0
    told = set(read_manifest(study.runs / "mine" / "manifest.parquet").table["path"].to_pylist())
    assert {is_remote(path) for path in told} == {True}
    assert run(["eval", "--run", "mine", "--split", "val", *line(study, "eval.device=cpu", *bucket.reading())]) == 0


def test_a_training_stops_where_the_store_stays_away_and_goes_on_after(
    study: Study, bucket: Bucket, capsys: pytest.CaptureFixture[str]
) -> None:
    move_shards(study, bucket.url)
    bucket.faults = [Fault("GET", "503", 10_000, "curated|target")]
    command = ["train", "--mix", "web,target", "--name", "mine", *line(study, *SMALL, *bucket.reading())]
    assert run([*command, "--set", "train.workers=1"]) == 1
    said = " ".join(capsys.readouterr().err.split())
    assert "A shard cannot be had (storage: s3://" in said and "run the same command again" in said
    assert "Traceback" not in said
    bucket.faults.clear()
    assert run(command) == 0


def test_an_object_that_is_gone_is_counted_as_a_missing_file_is(
    study: Study, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    move_shards(study, bucket.url, ["landing"])
    [gone] = [row.path for row in rows_of(study, "landing") if row.medium == "image"]
    bucket.client().delete_object(Bucket=bucket.name, Key=gone.removeprefix(f"s3://{bucket.name}/"))
    tiny_teacher(study.models / "other.safetensors", classes=CLASSES, width=4)
    outcome = filter_it(study, monkeypatch, teacher="other", name="other")
    assert outcome.lost == {gone: 6} and outcome.members["clip"]["kept"] > 0
    [line] = take_inventory(study).damage
    assert line == f"{gone}: the file of a shard is missing"


def test_embeddings_are_compared_from_a_store_as_from_a_disk(
    study: Study, bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(study.root, tmp_path / "disk")
    sets = [each for each in study.overrides if not each.startswith("storage.shards")]
    disk = Study.open(tmp_path / "disk", [*sets, "filter.trunk=tiny"])
    move_shards(study, bucket.url)
    shutil.rmtree(study.root / "cache")
    store = Study.open(study.root, [*study.overrides, "filter.trunk=tiny"])
    for each in (disk, store):
        outcome = filter_it(each, monkeypatch, name="trunk")
        assert outcome.selection.counts["inputs"] and outcome.lost == {}
        each.database().dispose()
    assert selected(disk) == selected(store)
    assert any("/cache/embedding-" in f"/{key}" for key in bucket.objects())
    assert accounted(store, bucket) == {"stored": 7}
    move_shards(store, HERE)
    assert not filter_it(store, monkeypatch, name="trunk").made, "the same data is the same wherever it lies"


def test_a_takedown_leaves_no_byte_in_the_store(
    study: Study, bucket: Bucket, capsys: pytest.CaptureFixture[str]
) -> None:
    move_shards(study, bucket.url)
    asset = study.database().read(lambda s: s.scalars(select(Asset).where(Asset.kind == "image")).first())
    needle = asset.url.encode()
    assert any(needle in data for data in bucket.objects().values())
    old = {row.path for row in rows_of(study)}
    assert run(["takedown", asset.url, "--yes", *line(study, *bucket.settings())]) == 0, capsys.readouterr().err
    assert not any(needle in data for data in bucket.objects().values())
    new = {row.path for row in rows_of(study)}
    assert len(new) == len(old) and len(new - old) == 2, "the landing shard and the curated one"
    cached = [path.read_bytes() for path in (study.root / "cache").rglob("*") if path.is_file()]
    assert not any(needle in data for data in cached)
    assert accounted(study, bucket) == {"stored": 6, "refused": 1}


def test_a_folder_belongs_to_one_study(study: Study, bucket: Bucket, tmp_path: Path) -> None:
    open_storage(study)
    open_storage(study)
    other = open_study(tmp_path / "other", bucket.settings())
    with pytest.raises(UserError, match="belongs to another study"):
        open_storage(other)
    bucket.client().put_object(Bucket=bucket.name, Key="study/landing/left.tar", Body=b"x")
    assert list(take_inventory(study).litter) == [f"{bucket.url}/landing/left.tar"]
    assert take_inventory(other).litter == {}
    remove_litter(study, take_inventory(study))
    assert bucket.shards() == set()


def test_doctor_names_what_is_missing_cut_or_changed_in_the_store(study: Study, bucket: Bucket) -> None:
    move_shards(study, bucket.url)
    gone, cut, changed = (row.path.removeprefix(f"s3://{bucket.name}/") for row in rows_of(study)[:3])
    client, held = bucket.client(), bucket.objects()
    client.delete_object(Bucket=bucket.name, Key=gone)
    client.put_object(Bucket=bucket.name, Key=cut, Body=held[cut][:-512])
    client.put_object(Bucket=bucket.name, Key=changed, Body=held[changed][:700] + b"?" + held[changed][701:])
    shallow, deep = take_inventory(study).damage, take_inventory(study, deep=True).damage
    assert [gone in shallow[0], cut in shallow[1]] == [True, True] and len(shallow) == 2
    assert {path for path in (gone, cut, changed) if any(path in line for line in deep)} == {gone, cut, changed}


COMMANDS: list[tuple[Callable[[Bucket], list[str]], int, str]] = [
    (lambda b: ["s3://nobody-has-this/x", *b.reading()], 2, "There is no bucket nobody-has-this"),
    (lambda b: ["s3://key:hunter2@bucket", *b.reading()], 2, "neither `local` nor an object store"),
    (lambda b: [b.url, "storage.endpoint_url=http://127.0.0.1:9", "storage.attempts=1"], 1, "does not answer"),
    (lambda b: [b.url, "storage.shards=s3://a:hunter2@b"], 2, "The settings storage do not fit"),
]


@pytest.mark.parametrize(("given", "code", "said"), COMMANDS)
def test_the_command_says_in_one_sentence_what_is_wrong(
    study: Study, bucket: Bucket, capsys: pytest.CaptureFixture[str], given, code: int, said: str
) -> None:
    destination, *sets = given(bucket)
    assert run(["shards", "move", destination, *line(study, *sets)]) == code
    told = capsys.readouterr().err
    assert said in " ".join(told.split()) and "hunter2" not in told and "Traceback" not in told
    assert run(["shards", "list", "--json", "--kind", "landing", *line(study)]) == 0
    assert len(json.loads(capsys.readouterr().out)["shards"]) == 2
    assert study.database().read(lambda s: s.scalar(select(func.count(Shard.id)))) == 6
