import dataclasses
import json
import math

import pytest
import torch
from safetensors import safe_open

from omnisrc.data.manifest import manifest_of
from omnisrc.errors import UserError
from omnisrc.models import create_model, load_model, read_meta, save_weights
from omnisrc.train.distribution import Place
from omnisrc.train.log import read_log
from omnisrc.train.run_folder import RunFolder
from omnisrc.train.trainer import Trainer
from tests.mixed_world import CLASSES, write_world
from tests.train.train_once import recipe_of

CPU = Place(0, 1, torch.device("cpu"))
COUNTS = {
    ("target", "train"): 24, ("target", "val"): 8, ("web-image", "train"): 16, ("web-clip", "train"): 8,
}  # fmt: skip


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    root = tmp_path_factory.mktemp("world")
    return root, write_world(root, COUNTS)


def train(world, folder, mix="target", init=None, **settings):
    root, manifest = world
    recipe = dataclasses.replace(recipe_of(manifest, mix, **settings), init=init or {})
    folder.mkdir(exist_ok=True)
    trainer = Trainer(RunFolder(folder), manifest, root, recipe, CPU)
    return trainer, trainer.run()


@pytest.mark.parametrize("student", [{"model": "slowonly_r18"}, {"model": "tsn_r18", "clip_len": 0}])
def test_a_student_learns_from_every_source(world, tmp_path, student):
    _, outcome = train(
        world, tmp_path, "web,target", steps=80, eval_every=20, lr=0.01, crop_area=(0.6, 1.0), log_every=10,
        model_args={"width": 8, "dropout": 0.0}, **student,
    )  # fmt: skip
    lines = [line for line in read_log(tmp_path / "log.jsonl") if line["kind"] == "train"]
    for source in ("target", "web-image", "web-clip"):
        assert lines[-1][source]["loss"] < 0.8 < lines[0][source]["loss"], source
        assert lines[-1][source]["top1"] > 0.6
        assert 0 <= lines[-1][source]["wait"] < 1 and lines[-1][source]["skips"] == 0
    assert abs(lines[0]["loss"] - sum(lines[0][s]["loss"] for s in ("target", "web-image", "web-clip"))) < 1e-5
    assert outcome.standing.best_score >= 0.75 and outcome.val["samples"] == 8
    vals = [line for line in read_log(tmp_path / "log.jsonl") if line["kind"] == "val"]
    assert [line["step"] for line in vals] == [20, 40, 60, 80]
    assert outcome.standing.best_score == max(line["top1"] for line in vals)


def test_the_weights_say_what_they_are(world, tmp_path):
    trainer, outcome = train(world, tmp_path, steps=2)
    meta = read_meta(tmp_path / "last.safetensors")
    assert meta["classes"] == list(CLASSES) and meta["class_list_sha256"] == "0" * 64
    assert meta["sampling"] == {
        "dims": "3d", "clip_len": 4, "frame_interval": 2, "num_segments": 1, "crop_size": 32, "short_side": 37,
        "target_fps": 0.0, "fixed": False, "sampler": "clips", "sample_range": 64,
    }  # fmt: skip
    assert meta["step"] == 2 and meta["mix"] == {"target": 2.0} and meta["seed"] == 0
    model, report = load_model(tmp_path / "last.safetensors")
    assert not report.missing and not report.unexpected
    for ours, theirs in zip(trainer.model.state_dict().values(), model.state_dict().values(), strict=True):
        assert torch.equal(ours, theirs)
    with safe_open(tmp_path / "best.safetensors", "pt") as file:
        assert json.loads(next(iter(file.metadata().values())))["step"] == outcome.standing.best_step


def test_an_initial_checkpoint_fills_the_trunk_and_leaves_another_head(world, tmp_path):
    donor = create_model("slowonly_r18", 9, width=8)
    path = tmp_path / "donor.safetensors"
    save_weights(donor, path, {})
    root, manifest = world
    recipe = dataclasses.replace(recipe_of(manifest), init={"path": str(path), "sha256": "x"})
    model = Trainer(RunFolder(tmp_path), manifest, root, recipe, CPU).model
    assert torch.equal(model.trunk.state_dict()["conv1.weight"], donor.trunk.state_dict()["conv1.weight"])
    assert model.num_classes == 4


def test_without_val_the_last_weights_are_kept(world, tmp_path):
    root, manifest = world
    recipe = recipe_of(manifest, steps=3)
    Trainer(RunFolder(tmp_path), manifest.rows(split="train"), root, recipe, CPU).run()
    assert (tmp_path / "last.safetensors").exists() and not (tmp_path / "best.safetensors").exists()


def test_epochs_count_passes_over_the_target(world):
    _, manifest = world
    assert recipe_of(manifest, "web,target", steps=0, epochs=5).settings.steps == 15  # 24 samples, 8 a step
    assert recipe_of(manifest, "web-image", steps=0, epochs=5).settings.steps == 10


def test_a_loss_that_explodes_is_named(world, tmp_path):
    with pytest.raises(UserError, match=r"not a finite number at step \d+; lower train.lr"):
        train(world, tmp_path, steps=12, lr=1e18, clip_grad=0.0, warmup=0.0)


def test_a_source_without_samples_is_refused(world, tmp_path):
    root, manifest = world
    with pytest.raises(UserError, match="no sample of the source web-clip"):
        recipe = recipe_of(manifest, "web,target")
        rows = manifest.table.filter([s != "web-clip" for s in manifest.table["source"].to_pylist()])
        Trainer(RunFolder(tmp_path), dataclasses.replace(manifest, table=rows), root, recipe, CPU)


def test_the_gradient_is_clipped_at_its_norm(world, tmp_path):
    trainer, _ = train(world, tmp_path, steps=1, clip_grad=1e-3, warmup=0.0, weight_decay=0.0, momentum=0.0, lr=1.0)
    fresh = Trainer(RunFolder(tmp_path / "fresh"), world[1], world[0], recipe_of(world[1]), CPU).model
    moved = [(a - b).flatten() for a, b in zip(trainer.model.parameters(), fresh.parameters(), strict=True)]
    assert math.isclose(torch.cat(moved).norm().item(), 1e-3, rel_tol=1e-2)


def test_half_precision_and_plain_layout_train_too(world, tmp_path):
    for place, settings in enumerate(({"amp": "bf16"}, {"channels_last": False}, {"deterministic": True})):
        _, outcome = train(world, tmp_path / str(place), "web,target", steps=2, **settings)
        assert math.isfinite(outcome.val["loss"])
    torch.use_deterministic_algorithms(False)


def test_a_manifest_without_rows_for_the_mix_has_no_steps():
    empty = manifest_of({"sample": [], "source": [], "split": [], "label": [], "path": []}, CLASSES, "toy", "0" * 64)
    assert recipe_of(empty, steps=0, epochs=3).settings.steps == 1
