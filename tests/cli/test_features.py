"""`omnisrc features` on real files: what is written, and that it goes on where it stopped."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from omnisrc.data.samples import SampleTable
from omnisrc.evaluate.features.folder import FeatureFolder
from omnisrc.models import load_model
from omnisrc.shards.read import read_bytes
from tests.cli.looking import inputs_by_hand, omnisrc, video, weights
from tests.mixed_world import CLASSES, record_world, write_world


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OMNISRC_HOME", raising=False)


def index(folder: Path) -> dict[str, dict]:
    return {row["name"]: row for row in map(json.loads, (folder / "index.jsonl").read_text().splitlines())}


@torch.no_grad()
def by_hand(net: Path, clip: Path, indices: list[int], stage: str = "") -> np.ndarray:
    model = load_model(net)[0].eval()
    maps = model.trunk.maps(inputs_by_hand(clip, indices).transpose(0, 1)[None])
    return maps[stage or "layer4"].mean((2, 3, 4))[0].numpy()


@pytest.mark.parametrize("stage", ["", "layer2"])
def test_features_are_the_pooled_maps_of_each_window(tmp_path, capsys, stage):
    net, clip = weights(tmp_path / "net.safetensors"), video(tmp_path / "in" / "a.mp4", count=30)
    video(tmp_path / "in" / "deep" / "a.mp4", 1, count=12)
    options = ["--stage", stage] if stage else []
    code, said, _ = omnisrc(
        capsys, "features", "in", "--model", net, "--window", 1, "--stride", 0.5, "-o", "out", *options
    )
    assert code == 0 and said["new"] == 2 and said["windows"] == 6 + 2
    rows = index(tmp_path / "out")
    found = np.load(tmp_path / "out" / rows["a"]["file"], allow_pickle=False)
    assert set(rows) == {"a", "deep/a"} and rows["a"]["shape"] == list(found.shape) == [6, 8 if stage else 32]
    assert found.dtype == np.float32 and rows["a"]["fps"] == 10 and rows["a"]["duration"] == pytest.approx(3)
    assert rows["a"]["starts"] == [0, 0.5, 1, 1.5, 2, 2.5] and (rows["a"]["window"], rows["a"]["stride"]) == (1, 0.5)
    for number in range(5):
        frames = [5 * number + 1 + 2 * t for t in range(4)]
        assert np.allclose(found[number], by_hand(net, clip, frames, stage), atol=1e-4), number
    about = json.loads((tmp_path / "out" / "features.json").read_text())
    assert about["weights_sha256"] == load_model(net)[1].sha256 and about["stage"] == (stage or "embedding")


def test_a_second_run_writes_what_is_new_or_changed_alone(tmp_path, capsys):
    net = weights(tmp_path / "net.safetensors")
    for number in range(3):
        video(tmp_path / "in" / f"{number}.mp4", number)
    (tmp_path / "in" / "bad.mp4").write_text("no video")
    run = ("features", "in", "--model", net, "-o", "out")
    code, said, shown = omnisrc(capsys, *run)
    assert (code, said["new"], list(said["failed"])) == (0, 3, ["bad"]) and "bad.mp4 gives nothing" in shown
    files = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()}
    code, said, _ = omnisrc(capsys, *run)
    assert (said["new"], said["there"]) == (0, 3)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()} == files
    video(tmp_path / "in" / "1.mp4", 1, count=11)
    video(tmp_path / "in" / "3.mp4", 3)
    code, said, _ = omnisrc(capsys, *run)
    assert (said["new"], said["there"]) == (2, 2) and index(tmp_path / "out")["1"]["shape"][0] == 1
    for more, words in ((["--stage", "layer3"], "another stage"), (["--window", 2], "another window")):
        code, said, _ = omnisrc(capsys, *run, *more)
        assert code == 2 and words in said["error"]


def test_a_run_that_stops_half_way_goes_on_and_leaves_no_half_file(tmp_path, capsys, monkeypatch):
    net = weights(tmp_path / "net.safetensors")
    for number in range(4):
        video(tmp_path / "in" / f"{number}.mp4", number)
    run = ("features", "in", "--model", net, "-o", "out")
    add = FeatureFolder.add

    def stop(self, name, features, row):
        if name == "2":
            raise KeyboardInterrupt
        add(self, name, features, row)

    monkeypatch.setattr(FeatureFolder, "add", stop)
    code, said, _ = omnisrc(capsys, *run)
    assert code == 130 and "Stopped" in said["error"] and "run the same command again" in said["error"]
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    out = tmp_path / "out"
    assert sorted(path.name for path in out.glob("*.npy")) == ["0.npy", "1.npy"]
    (out / ".2.npy.77.part").write_bytes(b"half")
    with (out / "index.jsonl").open("a") as file:
        file.write('{"name": "2", "file": "2.np')  # killed in the middle of a line
    (out / "1.npy").unlink()
    code, said, _ = omnisrc(capsys, *run)
    assert (code, said["new"], said["there"]) == (0, 3, 1)
    assert set(index(out)) == {"0", "1", "2", "3"} and not list(out.glob(".*"))
    assert all(np.load(out / row["file"]).shape == tuple(row["shape"]) for row in index(out).values())


def test_names_that_are_no_text_or_very_long_are_taken(tmp_path, capsys, monkeypatch):
    net = weights(tmp_path / "net.safetensors")
    names = ["\u2028 two lines.mp4", os.fsdecode(b"caf\xe9.mp4"), "\u00f1" * 125 + ".mp4"]
    for name in names:
        video(tmp_path / "in" / name)
    monkeypatch.chdir(tmp_path)
    for new, there in ((3, 0), (0, 3)):
        code, said, _ = omnisrc(capsys, "features", "in", "--model", net, "-o", "out")
        assert (code, said["new"], said["there"]) == (0, new, there)
    rows = [json.loads(line) for line in (tmp_path / "out" / "index.jsonl").read_bytes().split(b"\n")[:-1]]
    assert sorted(row["name"] + ".mp4" for row in rows) == sorted(names)
    assert all((tmp_path / "out" / row["file"]).is_file() for row in rows)


@pytest.mark.parametrize("damage", [b"[1]\n", b"\xff\n", b'{"name": "0"}\n', b"null\n"])
def test_a_damaged_folder_is_named(tmp_path, capsys, damage):
    net = weights(tmp_path / "net.safetensors")
    run = ("features", video(tmp_path / "0.mp4"), "--model", net, "-o", tmp_path / "out")
    omnisrc(capsys, *run)
    for name in ("index.jsonl", "features.json"):
        (tmp_path / "out" / name).write_bytes(damage)
        code, said, _ = omnisrc(capsys, *run)
        assert code == 2 and "out" in said["error"] and "--output" in said["error"]


def test_the_samples_of_a_split_come_from_their_shards(tmp_path, capsys, study):
    manifest = write_world(study.root, {("target", "val"): 4, ("target", "train"): 2})
    record_world(study, manifest)
    study.database().dispose()
    net = weights(tmp_path / "net.safetensors", count=len(CLASSES))
    run = ("features", "--split", "val", "--model", net, "-o", "out", "--workspace", study.root)
    code, said, _ = omnisrc(capsys, *run)
    assert (code, said["new"]) == (0, 4), said
    rows = index(tmp_path / "out")
    assert all(name.startswith("val/") for name in rows) and {row["label"] for row in rows.values()} <= set(CLASSES)
    table = SampleTable.of(manifest, study.root)
    for row in rows.values():
        at = table.ids.tolist().index(row["sample"])
        path = tmp_path / "member.mp4"
        path.write_bytes(read_bytes(table.path_of(at), int(table.offsets[at]), int(table.lengths[at])))
        found = np.load(tmp_path / "out" / row["file"])
        assert row["shape"] == [1, 32] and np.allclose(found[0], by_hand(net, path, [0, 2, 4, 6]), atol=1e-4)
    assert omnisrc(capsys, *run)[1]["new"] == 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "videos and folders, or a split"),
        (["a.mp4", "--split", "val"], "videos and folders, or a split"),
        (["http://example.org/a.mp4"], "is a URL; download it first"),
        (["a.mp4", "--stage", "layer7"], "its stages are layer1, layer2, layer3, layer4"),
        (["gone"], "There is no file gone"),
        (["--split", "val"], "There is no study"),
    ],
)
def test_mistakes_end_with_one_sentence(tmp_path, capsys, arguments, sentence):
    net = weights(tmp_path / "net.safetensors")
    video(tmp_path / "a.mp4")
    code, said, _ = omnisrc(capsys, "features", *arguments, "--model", net, "-o", "out")
    assert code == 2 and sentence in said["error"], said
    assert not (tmp_path / "out").exists()
