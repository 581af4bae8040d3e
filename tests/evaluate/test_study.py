import json
import shutil

import numpy as np
import pytest
import torch
from sqlalchemy import update
from torch._dynamo.utils import counters

from db import models
from omnisrc.cli.main import run
from omnisrc.evaluate.scores import read_scores
from omnisrc.models import create_model, save_weights
from tests.mixed_world import CLASSES, record_world, write_world

QUICK = ["eval.device=cpu", "eval.crop_size=32", "eval.short_side=32", "eval.threads=1"]


@pytest.fixture
def world(study):
    """A study whose test split has five clips, four of them cuts of two videos, and one that could not be taken in."""
    record_world(study, write_world(study.root, {("target", "train"): 2, ("target", "test"): 5}))
    item = models.TargetItem

    def group(session):
        ids = [row.id for row in session.query(item).filter_by(split="test").order_by(item.id)]
        for video, cuts in (("video a", ids[:2]), ("video b", ids[2:4])):
            session.execute(update(item).where(item.id.in_(cuts)).values(group=video))
        lost = item(class_list_id=session.get(item, ids[0]).class_list_id, path="/original/lost.mp4", label=0,
                    split="test", state="failed", error="decode")  # fmt: skip
        session.add(lost)

    study.database().write(group)
    save_weights(
        create_model("slowonly_r18", len(CLASSES), width=8), study.root / "w.safetensors", {"classes": CLASSES}
    )
    study.database().dispose()
    return study


def folder_of(study):
    """Of the one checkpoint that was scored by file."""
    (folder,) = study.reports.glob("eval-w-????????")
    return folder


def scored(capsys, study, *arguments):
    line = ["eval", "--checkpoint", str(study.root / "w.safetensors"), "--workspace", str(study.root), "--json"]
    for setting in QUICK:
        line += ["--set", setting]
    code = run([*line, *arguments])
    said = capsys.readouterr()
    return code, json.loads(said.out), " ".join(said.err.split())


def test_a_score_says_over_which_clips_it_is_and_how_far_it_can_be_trusted(world, capsys):
    code, figures, said = scored(capsys, world, "--protocol", "1x1")
    assert code == 0 and (figures["samples"], figures["expected"], figures["groups"]) == (5, 6, 3)
    views = f"1 clip x 1 crop, mean of probabilities, {figures['protocol']['precision']}"
    assert f"over 5 of 6 samples of the data set {figures['data_sha256'][:12]} ({views})" in said
    low, high = figures["top1_interval"]
    assert low <= figures["top1"] <= high and f"95 % interval {100 * low:.2f} to {100 * high:.2f}" in said
    folder = folder_of(world) / "test"
    assert json.loads((folder / "metrics.json").read_text())["top1_interval"] == figures["top1_interval"]
    dump = read_scores(folder)
    assert sorted(dump.groups) == ["", "video a", "video a", "video b", "video b"]
    assert dump.clips == [f"original/{sample}" for sample in dump.samples]
    assert dump.about["split"] == "test" and dump.about["checkpoint_sha256"] == figures["checkpoint_sha256"]
    booked = world.database().read(lambda session: session.query(models.Run).filter_by(kind="eval").one().metrics)
    assert booked["expected"] == 6 and booked["data_sha256"] == figures["data_sha256"]


@pytest.mark.parametrize(("amp", "precision"), [("off", "float32"), ("bf16", "bf16")])
def test_a_score_says_in_which_precision_it_was_made(world, capsys, amp, precision):
    code, figures, said = scored(capsys, world, "--protocol", "1x1", "--set", f"eval.amp={amp}")
    assert code == 0 and figures["protocol"]["precision"] == precision and f", {precision})." in said
    assert read_scores(folder_of(world) / "test").about["protocol"]["precision"] == precision
    booked = world.database().read(lambda session: session.query(models.Run).filter_by(kind="eval").one().config)
    assert booked["protocol"]["precision"] == precision


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile calls g++")
def test_a_compiled_network_gives_the_same_scores_and_one_graph_does_for_the_smaller_last_batch(world, capsys):
    found = []
    for compiled in ("false", "true"):
        before = counters["stats"]["unique_graphs"]
        code, _, _ = scored(capsys, world, "--protocol", "1x1", "--set", "eval.amp=off", "--set", "eval.batch_size=2",
                            "--set", f"eval.compile={compiled}")  # fmt: skip
        assert code == 0 and counters["stats"]["unique_graphs"] == before + (compiled == "true")
        found.append(read_scores(folder_of(world) / "test").probabilities)
    assert len(found[0]) == 5 and np.allclose(*found, atol=1e-5)


def test_protocols_that_do_not_fit_are_refused_before_anything_is_decoded(world, capsys):
    code, answer, _ = scored(capsys, world, "--protocol", "tsn-25x10")
    assert code == 2 and "tsn-25x10 is not for a 3d student" in answer["error"]
    code, answer, _ = scored(capsys, world, "--protocol", "30-view")
    assert code == 2 and "eval.protocol" in answer["error"] and "tsn-25x3" in answer["error"]


def test_another_protocol_can_go_to_a_folder_of_its_own(world, capsys, tmp_path):
    code, first, _ = scored(capsys, world, "--protocol", "1x1")
    more = ("--protocol", "1x1", "--set", "eval.sampling=0.x", "--set", "eval.clips=2", "-o", str(tmp_path / "old"))
    code, second, said = scored(capsys, world, *more)
    assert code == 0 and second["folder"] == str(tmp_path / "old") and second["protocol"]["rule"] == "0.x"
    assert "(2 clips x 1 crop, mean of probabilities, places of MMAction2 0.x, " in said
    assert read_scores(tmp_path / "old").about["protocol"] == second["protocol"]
    assert read_scores(folder_of(world) / "test").about["protocol"] == first["protocol"]


def test_two_files_of_one_name_keep_their_scores_and_fusing_them_keeps_what_their_protocols_share(world, capsys):
    (world.root / "other").mkdir()
    other = world.root / "other" / "w.safetensors"
    save_weights(create_model("slowonly_r18", len(CLASSES), width=16), other, {"classes": CLASSES})
    code, first, _ = scored(capsys, world, "--protocol", "1x1")
    again, second, _ = scored(
        capsys, world, "--set", "eval.clips=2", "--set", "eval.crops=1", "--checkpoint", str(other)
    )
    assert (code, again) == (0, 0) and first["folder"] != second["folder"]
    assert run(["scores", "fuse", first["folder"], second["folder"], "-o", str(world.root / "f")]) == 0
    capsys.readouterr()
    fused = read_scores(world.root / "f").about["protocol"]
    assert fused == {key: value for key, value in first["protocol"].items() if second["protocol"][key] == value}
    assert "precision" in fused and "clips" not in fused


def test_answers_that_are_no_numbers_are_refused(world, capsys):
    model = create_model("slowonly_r18", len(CLASSES), width=8)
    torch.nn.init.constant_(model.head.fc.bias, float("nan"))
    save_weights(model, world.root / "w.safetensors", {"classes": CLASSES})
    code, _, said = scored(capsys, world, "--protocol", "1x1")
    assert code == 2 and "w.safetensors are not numbers" in said
    assert not list(world.reports.glob("eval-*"))
