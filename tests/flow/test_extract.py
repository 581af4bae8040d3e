import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from db.models import TargetItem
from omnisrc.cli.main import run
from omnisrc.data.flow_cache import FlowFacts, begin_cache, read_cache, remove_flow, unclaimed
from omnisrc.data.flow_reader import reader_of
from omnisrc.data.freeze import target_manifest
from omnisrc.data.samples import FrameCache
from omnisrc.errors import ErrorClass, Interrupted, ItemError, UserError
from omnisrc.evaluate.protocols import Protocol
from omnisrc.flow.extract import Extraction
from omnisrc.flow.run import Wish, extract_flow
from omnisrc.flow.work import target_pieces
from omnisrc.media.flow import FlowChunk, PackedFlow, dequantise
from omnisrc.media.video import open_video
from omnisrc.shards.read import ShardReader, read_index
from omnisrc.shards.store import store_of
from omnisrc.shards.verify import verify_shard
from omnisrc.study import Study
from tests.flow.moving_world import CLASSES, STEPS, moving, write_moving_world
from tests.media_files import video_bytes

REPOSITORY = Path(__file__).parents[2]


def files_of(folder):
    return {path.relative_to(folder).as_posix(): path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_flow_lies_in_shards_with_the_keys_of_the_study_s_own(study):
    manifest = write_moving_world(study, {"train": 4, "val": 3}, broken=("val",))
    cache, done = extract_flow(study, Wish())
    assert (done.made, done.there, done.fields) == (6, 0, 54) and not done.failed
    [(name, error)] = done.unreadable.items()
    assert name == "t0005 of target/target-val-0.tar" and error.startswith("not-media")
    for own in sorted(study.target.glob("*.tar")):
        made = cache.shard_of(f"target/{own.name}")
        assert not verify_shard(made) and list(ShardReader(made).samples) == list(ShardReader(own).samples)
    about = json.loads(ShardReader(cache.shard_of("target/target-train-0.tar")).get("t0002")["json"])
    assert about["source"] == {"shard": "target/target-train-0.tar", "key": "t0002"}
    assert about["fields"] == 9 and about["error"] is None
    assert about["flow"]["method"] == "dis" and about["flow"]["bound"] == 20 and "OpenCV" in about["flow"]["version"]

    before = files_of(cache.folder)
    again = extract_flow(study, Wish())[1]
    assert (again.made, again.there, again.unreadable) == (0, 6, done.unreadable) and files_of(cache.folder) == before

    readers = [reader_of(manifest, study.root, "flow", cache=FrameCache(size)) for size in (0, 1 << 26)]
    assert readers[0].table.ids.tolist() == manifest.column("sample").tolist()
    for row in (0, 3, 5):
        step = STEPS[CLASSES[manifest.column("label")[row]]]
        for reader in (*readers, readers[1]):  # the second answers from memory at last
            fields = reader.clip(row, lambda count, fps: np.arange(count)[::-1][:5] * (count == 9) * (round(fps) == 25))
            assert fields.shape == (5, 64, 64, 2)
            assert dequantise(fields)[:, 16:-16, 16:-16].mean((0, 1, 2)) == pytest.approx(step, abs=0.3)
    with pytest.raises(ItemError, match="could not be extracted"):
        readers[0].clip(4, lambda count, fps: np.arange(count))


def test_what_is_missing_is_named_with_the_command_that_makes_it(study):
    manifest = write_moving_world(study, {"train": 2, "test": 2})
    with pytest.raises(UserError, match=r"There is no flow in .*; extract it with `omnisrc flow`"):
        reader_of(manifest, study.root, "flow")
    extract_flow(study, Wish(split="train"))
    with pytest.raises(UserError) as failed:
        reader_of(manifest, study.root, "flow")
    assert "flow of 2 of 4 samples is not in the cache dis-b20" in str(failed.value)
    assert "`omnisrc flow --split test --method dis --bound 20 --cache dis-b20`" in str(failed.value)
    assert len(reader_of(manifest.rows(split="train"), study.root, "flow").table) == 2
    with pytest.raises(UserError, match=r"no clips in val .its splits: train, test"):
        extract_flow(study, Wish(split="val"))
    extract_flow(study, Wish(split="train", cache="second"))
    with pytest.raises(UserError, match=r"several caches of flow .dis-b20, second.; name one"):
        read_cache(study.root)


def test_a_cache_is_made_in_one_way_only(tmp_path):
    facts = FlowFacts("dis", 20.0, 256, "jpeg", 95, "OpenCV 5.0.0")
    made, again = begin_cache(tmp_path, "dis-b20", facts), begin_cache(tmp_path, "dis-b20", facts)
    assert (made.folder, made.facts) == (again.folder, again.facts)
    with pytest.raises(UserError, match=r"made with another version .'OpenCV 5.0.0', now 'OpenCV 6.0.0'"):
        begin_cache(tmp_path, "dis-b20", FlowFacts("dis", 20.0, 256, "jpeg", 95, "OpenCV 6.0.0"))
    with pytest.raises(UserError, match="cannot name a cache"):
        begin_cache(tmp_path, "../out", facts)


def test_plain_files_are_extracted_again_when_they_change(study, tmp_path):
    folder = tmp_path / "videos"
    folder.mkdir()
    (folder / "One Dive.mp4").write_bytes(video_bytes(moving((2, 0), 1, 4)))
    (folder / "text.mp4").write_text("no video")
    (folder / "notes.txt").write_text("not looked at")
    cache, done = extract_flow(study, Wish(folder))
    assert done.made == 1 and list(done.unreadable) == [str(folder / "text.mp4")]
    [shard] = (cache.folder / "files").glob("one-dive-*.tar")
    first = PackedFlow(ShardReader(shard).get(shard.stem)["zip"])
    assert len(first) == 3 and first.about["width"] == 64
    (folder / "One Dive.mp4").write_bytes(video_bytes(moving((-2, 0), 1, 7)))
    assert extract_flow(study, Wish(folder))[1].made == 1
    assert len(PackedFlow(ShardReader(shard).get(shard.stem)["zip"])) == 6
    (folder / "One Dive.mp4").unlink()
    with pytest.raises(UserError, match="no file or folder"):
        extract_flow(study, Wish(folder / "One Dive.mp4"))
    long = Study.open(study.root, ("flow.most_frames=3",))
    (folder / "long.mp4").write_bytes(video_bytes(moving((2, 0), 1, 4)))
    assert "too-large: 4 frames" in extract_flow(long, Wish(folder))[1].unreadable[str(folder / "long.mp4")]


class Scripted:
    """An estimator that gives fixed fields, and does what it is told at the n-th call."""

    facts = FlowFacts("dis", 20.0, 256, "jpeg", 95, "scripted")

    def __init__(self, at, error=None):
        self.at, self.error, self.calls = at, error, 0

    def __call__(self, source, window, first, count):
        self.calls += 1
        if self.calls == self.at:
            raise self.error
        return FlowChunk([b"x", b"y"], 2, 8, 8, 25.0)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ItemError(ErrorClass.WORKER_LOST, "killed")])
def test_what_was_finished_before_a_stop_is_not_done_again(study, error):
    write_moving_world(study, {"train": 5}, count=2)
    cache = begin_cache(study.root, "scripted", Scripted.facts)
    pieces = target_pieces(study, cache, ("train",))

    def extract(estimate):
        return Extraction(cache, store_of(study), estimate, threads=1, most_frames=99).run(pieces)

    stopping = Scripted(4, error)
    if isinstance(error, KeyboardInterrupt):
        with pytest.raises(Interrupted):
            extract(stopping)
    else:
        assert list(extract(stopping).failed) == ["target/target-train-0.tar"]
    assert not list(cache.folder.rglob("*.tar"))  # a shard is whole or not there
    second = Scripted(0)
    done = extract(second)
    assert second.calls == done.made == 5 - done.there and done.there in (3, 4)  # the fifth may have been begun
    assert len(read_index(pieces[0].out)) == 10 and not list(cache.folder.rglob("*.work"))


def command(study, *arguments):
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}
    line = [sys.executable, "-m", "omnisrc.cli.main", "flow", "--workspace", str(study.root), "--json", *arguments]
    return subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def test_two_at_once_share_the_work_and_a_killed_one_leaves_nothing_half(study):
    write_moving_world(study, {"train": 12}, per_shard=2, count=6)
    study.database().dispose()
    killed = command(study)
    folder = study.root / "flow"
    deadline = time.monotonic() + 60
    while not list(folder.rglob("*.tar")):
        assert killed.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    whole = {path for path in folder.rglob("*.tar")}
    assert whole and not any(verify_shard(path) for path in whole)
    both = [command(study), command(study)]
    answers = [json.loads(process.communicate(timeout=120)[0]) for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert all(answer["there"] + answer["made"] == 12 and not answer["failed"] for answer in answers)
    shards = list(folder.rglob("*.tar"))
    assert len(shards) == 6 and not any(verify_shard(path, count=2) for path in shards)
    assert sum(answer["made"] for answer in answers) <= 12 - 2 * len(whole)  # nothing was made twice
    assert not list(folder.rglob("*.work")) and not list(folder.rglob("*.part"))


def test_a_method_that_is_not_there_is_named_with_what_helps(study, capsys):
    write_moving_world(study, {"train": 1}, count=2)

    def said(*arguments):
        code = run(["flow", "--workspace", str(study.root), *arguments])
        return code, " ".join(capsys.readouterr().err.split())

    code, error = said("--method", "raft")
    assert code == 2 and "RAFT needs weights" in error and "--weights" in error and "--method dis" in error
    code, error = said("--method", "raft", "--weights", "nothing.pth")
    assert code == 2 and "There is no file nothing.pth" in error
    code, error = said("--method", "lucas")
    assert code == 2 and "dis" in error
    code, error = said("--split", "tset")
    assert code == 2 and "train, val, test, all" in error
    assert not (study.root / "flow").exists()


def test_raft_runs_from_local_weights_and_equals_torchvision_s(study, tmp_path):
    from torchvision.models.optical_flow import raft_small

    write_moving_world(study, {"train": 1}, count=2)
    torch.manual_seed(0)
    network = raft_small(weights=None).eval()
    save_file(network.state_dict(), tmp_path / "raft_small.safetensors")
    sets = ("flow.method=raft", f"flow.weights={tmp_path / 'raft_small.safetensors'}", "flow.format=png")
    cache, done = extract_flow(Study.open(study.root, (*sets, "flow.device=cpu")), Wish())
    assert (done.made, done.fields, cache.name) == (1, 1, "raft-b20") and len(cache.facts.weights_sha256) == 64
    packed = PackedFlow(ShardReader(cache.shard_of("target/target-train-0.tar")).get("t0001")["zip"])
    found = dequantise(next(packed.fields([0])))

    with open_video(ShardReader(study.target / "target-train-0.tar").get("t0001")["mp4"]) as video:
        frames = torch.from_numpy(video.frames([0, 1])).permute(0, 3, 1, 2).float() / 127.5 - 1
    padded = torch.nn.functional.pad(frames, (0, 64, 0, 64), mode="replicate")
    with torch.inference_mode():
        expected = network(padded[:1], padded[1:])[-1][0, :, :64, :64].permute(1, 2, 0).numpy()
    assert np.abs(found - np.clip(expected, -20, 20)).max() < 40 / 255


def test_flow_of_shards_that_are_no_more_is_removed_and_other_flow_stays(study):
    write_moving_world(study, {"train": 2, "val": 1}, count=2)
    extract_flow(study, Wish())
    cache, _ = extract_flow(study, Wish(cache="other"))
    (cache.folder / "target" / "target-train-1.work").mkdir()
    (cache.folder / "target" / "target-train-1.work" / "t1.zip").write_bytes(b"half")
    file = cache.shard_of_file("/somewhere/video.mp4", 0.0, 0.0)
    file.parent.mkdir()
    file.write_bytes(b"flow of a file")
    store = store_of(study)
    remove_flow(store, unclaimed(store, ["s3://b/study/target/target-val-0.tar", "landing/target-train-0.tar"]))
    assert {path.relative_to(study.root / "flow").as_posix() for path in study.root.glob("flow/*/*/*")} == {
        "dis-b20/target/target-val-0.tar", "dis-b20/target/target-val-0.idx", "other/target/target-val-0.tar",
        "other/target/target-val-0.idx", f"other/files/{file.name}",
    }  # fmt: skip


def test_files_used_in_place_have_flow_of_their_labelled_part(study, tmp_path):
    write_moving_world(study, {"train": 1}, count=2)  # makes the class list
    path = tmp_path / "long.mp4"
    path.write_bytes(video_bytes(moving((2, 0), 1, 8) + moving((0, -2), 1, 8)))
    windows = {901: (0.0, 8 / 25), 902: (8 / 25, 16 / 25), 903: (0.0, 0.0)}

    def add(session):
        for number, (start, end) in windows.items():
            session.add(
                TargetItem(
                    id=number, class_list_id=1, path=str(path), label=0, split="val", state="stored", medium="video",
                    start=start, end=end, frames=16, duration=0.64,
                )
            )  # fmt: skip

    study.database().write(add)
    rows = target_manifest(study, "val")
    with pytest.raises(UserError, match="There is no flow"):
        reader_of(rows, study.root, "flow")
    assert extract_flow(study, Wish(split="val"))[1].made == 3
    reader = reader_of(rows, study.root, "flow")
    moves = []
    for row in range(3):
        fields = dequantise(reader.clip(row, lambda count, fps: np.arange(count)))[:, 16:-16, 16:-16]
        moves.append((len(fields), *fields.mean((0, 1, 2)).round(1).tolist()))
    assert [move[0] for move in moves] == [7, 7, 15]
    assert moves[0][1:] == pytest.approx((2, 0), abs=0.3) and moves[1][1:] == pytest.approx((0, -2), abs=0.3)


class Fixed:
    """A reader of one clip of flow: everything moves right by `level`."""

    channels = 2

    def clip(self, row, choose):
        frames = np.full((9, 40, 60, 2), 127, np.uint8)
        frames[:, :, :30, 0] = 200
        return frames[choose(9, 25.0)]


def test_mirrored_crops_of_the_test_protocol_move_the_other_way():
    protocol = Protocol(clips=2, crops=10, average="score", clip_len=5, frame_interval=1, size=32, short_side=40)
    out = np.empty((protocol.views, 5, 32, 32, 2), np.uint8)
    protocol.render(Fixed(), 0, out)
    plain, mirrored = out[0], out[2]  # both clips of a crop, then both of its mirror
    assert np.array_equal(mirrored[..., 0], 255 - plain[:, :, ::-1, 0])
    assert (plain[0, 0, 0, 0], mirrored[0, 0, -1, 0]) == (200, 55)
    assert np.array_equal(mirrored[..., 1], plain[:, :, ::-1, 1])
