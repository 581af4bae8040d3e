"""Clips with several classes each: added, trained on, scored, compared and fused, as a user does it."""

import csv
import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from db import models
from omnisrc.cli.main import run
from omnisrc.data.manifest import read_manifest
from omnisrc.evaluate.scores import read_scores
from omnisrc.study import Study
from omnisrc.tasks.average_precision import average_precision
from tests.media_files import video_bytes
from tests.mixed_world import CLASSES, clip_frames

LABELS = [(0,), (1,), (0, 1), (2,), (0, 2), (1, 2), (0, 1, 2), (1,)]
SMALL = [
    "train.model_args={width: 8, dropout: 0.0}", "train.crop_size=32", "train.batch_size=4", "train.clip_len=4",
    "train.frame_interval=2", "train.eval_every=2", "train.threads=1", "train.device=cpu", "eval.device=cpu",
    "eval.threads=1", "media.guard_processes=2",
]  # fmt: skip


def omnisrc(capsys, *arguments, sets=SMALL):
    """Exit code, the object of --json, and what was said."""
    line = [*map(str, arguments), "--json", *(part for setting in sets for part in ("--set", setting))]
    capsys.readouterr()
    code = run(line)
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    return code, json.loads(said.out), " ".join(said.err.split())


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    """Eight clips a split; half of them name all their classes in one cell, the others one on each row."""
    folder = tmp_path_factory.mktemp("several")
    rows = ["path,label,split"]
    for split in ("train", "val", "test"):
        for number, labels in enumerate(LABELS):
            name = f"{split}{number}.mp4"
            frames = [np.maximum.reduce(each) for each in zip(*(clip_frames(c, number) for c in labels), strict=True)]
            (folder / name).write_bytes(video_bytes(frames))
            names = [CLASSES[label] for label in labels]
            rows += [f"{name},{cell},{split}" for cell in (["|".join(names)] if number % 2 else names)]
    (folder / "list.csv").write_text("\n".join([*rows, f"{folder / 'test0.mp4'},dive;nothing,test"]) + "\n")
    (folder / "classes.txt").write_text("".join(f"{name}\n" for name in CLASSES))
    return folder


def added(capsys, target, root, *more):
    return omnisrc(capsys, "target", "add", target / "list.csv", "--format", "csv", "--classes",
                   target / "classes.txt", "--workspace", root, *more)  # fmt: skip


def test_clips_with_several_classes_go_all_the_way(tmp_path, target, capsys):
    root = tmp_path / "study"
    code, answer, _ = added(capsys, target, root, "--task", "multi-label")
    assert code == 0 and answer["new"] == 24 and answer["problems"] == {"unknown-label": 1}
    assert added(capsys, target, root, "--task", "multi-label")[1]["new"] == 0
    assert answer["splits"]["val"]["classes"] == 3
    study = Study.open(root)
    noted = study.database().read(lambda session: [row.payload for row in session.query(models.Annotation)])
    assert sorted(tuple(payload["labels"]) for payload in noted) == sorted(LABELS * 3)

    code, trained, said = omnisrc(
        capsys,
        "train",
        "--model",
        "slowonly_r18",
        "--mix",
        "target",
        "--steps",
        "2",
        "--name",
        "a",
        "--workspace",
        root,
    )
    assert code == 0 and "val mAP" in said and "top-1" not in said and 0 <= trained["best_map"] <= 1, said
    assert read_manifest(root / "runs/a/manifest.parquet").answers[:3].tolist() == [
        [int(c in labels) for c in range(4)] for labels in LABELS[:3]
    ]
    lines = [json.loads(line) for line in (root / "runs/a/log.jsonl").read_text().splitlines()]
    assert all("hit1" in line["target"] for line in lines if line["kind"] == "train")

    figures = {}
    for name, protocol in (("a", "1x1"), ("b", "3d-10x3")):
        code, figures[name], said = omnisrc(
            capsys, "eval", "--run", "a", "--split", "test" if name == "a" else "val", "--protocol", protocol,
            "--workspace", root,
        )  # fmt: skip
        assert (
            code == 0 and "mAP" in said and "top-1" not in said and "without 1 classes that no clip has (swing)" in said
        )
    folder = root / "runs/a/eval/test"
    dump = read_scores(folder)
    stored = pq.read_table(folder / "predictions.parquet")["labels"].to_pylist()
    order = [int(path.rpartition("test")[2]) for path in dump.clips]
    assert stored == [[int(c in LABELS[number]) for c in range(4)] for number in order] == dump.labels.tolist()
    each = [average_precision(dump.probabilities[:, c], dump.labels[:, c] > 0) for c in range(3)]
    assert figures["a"]["map"] == pytest.approx(np.mean(each)) and figures["a"]["without_positives"] == ["swing"]
    assert np.allclose(dump.probabilities, 1 / (1 + np.exp(-dump.logits)), atol=1e-5)  # one view: sigmoid of its logits
    rows = list(csv.DictReader((folder / "per_class.csv").open()))
    assert rows[0]["class"] == "dive" and rows[0]["clips"] == "4" and rows[3]["average_precision"] == ""
    assert not (folder / "confusion.csv").exists()
    booked = study.database().read(lambda s: [row.metrics for row in s.query(models.Run).filter_by(kind="eval")])
    assert booked[0]["map"] == figures["a"]["map"] and "top1" not in booked[0]

    code, shown, said = omnisrc(capsys, "scores", "show", folder, "--workspace", root)
    assert code == 0 and shown["map"] == figures["a"]["map"] and "average precision" in said and "top-" not in said
    code, fused, said = omnisrc(
        capsys, "scores", "fuse", folder, folder, "--softmax", "last", "--workspace", root, "-o", tmp_path / "fused"
    )
    assert code == 0 and fused["map"] == pytest.approx(figures["a"]["map"])
    assert np.allclose(read_scores(tmp_path / "fused").probabilities, 1 / (1 + np.exp(-2 * dump.logits)), atol=1e-5)
    code, compared, said = omnisrc(capsys, "scores", "compare", folder, tmp_path / "fused", "--workspace", root)
    assert code == 0 and compared["difference"] == 0 and "do not tell" in compared["answer"] and "mAP" in said
    assert "McNemar's test is not made" in said and "mcnemar_mid_p" not in compared
    study.database().dispose()


def test_one_class_a_clip_is_refused_of_such_a_target(tmp_path, target, capsys):
    root = tmp_path / "study"
    code, answer, said = added(capsys, target, root, "--task", "multi-label", "--reference")
    assert code == 0 and answer["splits"]["train"]["stored"] == 8, (answer, said)
    code, answer, _ = omnisrc(
        capsys, "train", "--mix", "target", "--workspace", root, sets=[*SMALL, "train.task=recognition"]
    )
    assert code == 2 and "train.task=recognition is for one" in answer["error"]
    code, answer, _ = added(capsys, target, root, "--task", "several")
    assert code == 2 and "no task 'several'" in answer["error"]


def test_without_the_task_a_second_class_is_a_problem(tmp_path, target, capsys):
    code, answer, _ = added(capsys, target, tmp_path / "study", "--reference")
    assert code == 0 and answer["problems"]["two-labels"] > 0 and answer["problems"]["unknown-label"] > 0
