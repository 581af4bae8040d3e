"""Students of other kinds train and are scored as SlowOnly and TSN are."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch

from omnisrc.errors import UserError
from omnisrc.evaluate.evaluation import evaluate
from omnisrc.evaluate.settings import EvalSettings
from omnisrc.models import load_model, read_meta
from omnisrc.train.distribution import Place
from omnisrc.train.run_folder import RunFolder
from omnisrc.train.trainer import Trainer
from tests.mixed_world import write_world
from tests.train.train_once import recipe_of

COUNTS = {
    ("target", "train"): 16, ("target", "val"): 8, ("web-image", "train"): 16, ("web-clip", "train"): 8,
}  # fmt: skip
OWN = {"clip_len": 0, "frame_interval": 0}  # the model's
STUDENTS: list[tuple[str, int, dict[str, int], tuple[int, int]]] = [
    ("i3d_r50", 8, {"clip_len": 8, "frame_interval": 1}, (8, 1)),
    ("tsm_r18", 8, OWN, (8, 0)),
    ("slowfast_r18", 16, {"clip_len": 8, "frame_interval": 1}, (8, 1)),
    ("omni_r18", 8, {"clip_len": 4, "frame_interval": 2}, (4, 2)),
]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    root = tmp_path_factory.mktemp("world")
    return root, write_world(root, COUNTS)


@pytest.mark.parametrize(("name", "width", "settings", "seen"), STUDENTS)
def test_it_trains_on_clips_and_stills_and_is_scored(
    world: Any, tmp_path: Any, name: str, width: int, settings: dict[str, int], seen: tuple[int, int]
) -> None:
    root, manifest = world
    recipe = recipe_of(manifest, "web,target", model=name, model_args={"width": width}, steps=2, **settings)
    trainer = Trainer(RunFolder(tmp_path), manifest, root, recipe, Place(0, 1, torch.device("cpu")))
    shapes: list[tuple[int, ...]] = []
    trainer.model.trunk.register_forward_pre_hook(lambda _module, given: shapes.append(tuple(given[0].shape[2:])))
    outcome = trainer.run()
    assert math.isfinite(outcome.val["loss"]) and outcome.val["samples"] == 8
    stills = {(1, 32, 32)} if name == "omni_r18" else set()
    assert set(shapes) == {(seen[0], 32, 32)} | stills
    sampling = read_meta(tmp_path / "last.safetensors")["sampling"]
    assert (sampling["clip_len"], sampling["frame_interval"], sampling["num_segments"]) == (*seen, 1)


@pytest.mark.parametrize(
    ("name", "width", "settings", "seen"), [row for row in STUDENTS if row[0] in ("tsm_r18", "i3d_r50")]
)
def test_its_checkpoint_is_evaluated_as_it_was_trained(
    world: Any, tmp_path: Any, name: str, width: int, settings: dict[str, int], seen: tuple[int, int]
) -> None:
    root, manifest = world
    recipe = recipe_of(manifest, "target", model=name, model_args={"width": width}, steps=1, **settings)
    Trainer(RunFolder(tmp_path), manifest, root, recipe, Place(0, 1, torch.device("cpu"))).run()
    model, _ = load_model(tmp_path / "last.safetensors")
    assert (model.name, model.input.clip_len, model.input.frame_interval) == (name, *seen)
    rows = manifest.rows(source="target", split="val")
    figures = evaluate(
        tmp_path / "last.safetensors", rows, root, EvalSettings(clips=2, crops=3, device="cpu"), tmp_path / "scores"
    )
    assert figures["protocol"]["clips"] == 2 and figures["protocol"]["frame_interval"] == seen[1]
    assert 0 <= figures["top1"] <= 1 and figures["unreadable"] == 0


@pytest.mark.parametrize(
    ("sampler", "model", "seen"),
    [("uniform", "slowonly_r18", (8, 0)), ("dense", "slowonly_r18", (8, 1)), ("dense", "tsn_r18", (1, 1))],
)
def test_the_sampler_of_training_travels_with_the_checkpoint(
    world: Any, tmp_path: Any, sampler: str, model: str, seen: tuple[int, int]
) -> None:
    root, manifest = world
    flat = model.startswith("tsn")
    own = {"clip_len": 1 if flat else 8, "num_segments": 3 if flat else 1, "frame_interval": 0 if flat else seen[1]}
    recipe = recipe_of(
        manifest, "target", model=model, model_args={"width": 8}, steps=1, sampler=sampler, sample_range=8, **own
    )
    Trainer(RunFolder(tmp_path), manifest, root, recipe, Place(0, 1, torch.device("cpu"))).run()
    sampling = read_meta(tmp_path / "last.safetensors")["sampling"]
    assert (sampling["sampler"], sampling["sample_range"]) == (sampler, 8)
    assert (sampling["clip_len"], sampling["frame_interval"]) == seen
    rows = manifest.rows(source="target", split="val")
    settings = EvalSettings(clips=3, crops=1, device="cpu", average="prob")
    said = evaluate(tmp_path / "last.safetensors", rows, root, settings, tmp_path / "scores")["protocol"]
    assert (said["kind"], said["sample_range"]) == (sampler, 8)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"sampler": "uniform", "frame_interval": 2}, "spreads the frames over the whole video"),
        ({"sampler": "dense", "model": "tsm_r18", "frame_interval": 0, "num_segments": 2}, "asks for several"),
    ],
)
def test_a_sampler_that_makes_no_sense_is_refused(world: Any, settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        recipe_of(world[1], "target", **{"model": "slowonly_r18", "clip_len": 8, "steps": 1, **settings})


def test_a_web_sample_says_nothing_of_the_classes_that_it_was_not_found_for(world: Any, tmp_path: Any) -> None:
    root, manifest = world
    several = replace(manifest, facts={"task": "multi-label"})
    recipe = recipe_of(several, "web,target", model="slowonly_r18", model_args={"width": 8}, steps=1)
    trainer = Trainer(RunFolder(tmp_path), several, root, recipe, Place(0, 1, torch.device("cpu")))
    batches = trainer.mix[0]
    assert isinstance(batches, list)
    for batch in batches:
        labels = batch.labels["multi-label"]
        assert labels.shape == (len(batch), 4) and (labels.nan_to_num().sum(1) == 1).all()
        assert labels.isnan().sum().item() == (0 if batch.source == "target" else 3 * len(batch))
    val = trainer.run().val
    assert math.isfinite(val["loss"]) and 0 <= val["map"] <= 1 and "top1" not in val
    assert read_meta(tmp_path / "last.safetensors")["task"] == "multi-label"
