"""What there is to say of a model by its name, or of a file of weights."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from omnisrc.errors import UserError
from omnisrc.models.checkpoints.fit import differences
from omnisrc.models.checkpoints.read import Checkpoint, read_checkpoint
from omnisrc.models.checkpoints.recognise import also_fits, nearest
from omnisrc.models.create import create_model
from omnisrc.models.facts import facts_of, gflops, on_meta
from omnisrc.models.figures import CLASSES
from omnisrc.models.released import RELEASED, Released


def about_model(name: str) -> dict[str, Any]:
    """Raises UserError for an unknown name, and where an optional package that the model needs is not there."""
    model = on_meta(name, CLASSES)
    if model is None:
        create_model(name, CLASSES)  # says what lacks
        raise UserError(f"the model {name} cannot be built here")
    facts = facts_of(name, CLASSES)
    assert facts is not None, f"{name} was built before"
    files = [about_released(file) for file in RELEASED if file.model == name]
    stages = [asdict(stage) for stage in model.trunk.stages]
    costs = {"gflops": round(gflops(model, *facts.view[:2]), 2)}
    if facts.input.dims == "3d":  # three crops along the long side are as large as the short one
        costs["gflops_of_three_crops"] = round(gflops(model, facts.view[0], facts.input.short_side), 2)
    return {
        "model": name,
        "num_classes": CLASSES,
        "parameters": facts.parameters,
        "view": list(facts.view),
        **costs,
        "input": asdict(facts.input),
        "stages": stages,
        "released": files,
    }


def about_released(file: Released) -> dict[str, Any]:
    said = {key: value for key, value in asdict(file).items() if key not in ("generation", "stem", "sampling")}
    return {**said, "sampling": file.sampling._asdict(), "file": file.file, "url": file.url}


def about_file(path: Path, against: str = "", averaged: bool = True) -> dict[str, Any]:
    """What a file holds, without loading it into anything; compared with `against` or with the nearest model.

    Raises:
        UserError: the file is not sound, or of no format known here; `against` is no model.
    """
    found = read_checkpoint(path, averaged)
    said: dict[str, Any] = {
        "file": str(path),
        "format": found.format,
        "sha256": found.sha256,
        "tensors": len(found.state),
        "notes": list(found.notes),
        **found.meta,
    }
    name = against or (found.match.name if found.match else nearest(found.state))
    classes = found.num_classes
    args = found.match.args if found.match and found.match.name == name else {}
    model = on_meta(name, classes or CLASSES, args)
    if model is None:
        return said
    missing, unexpected, unlike = differences(model.state_dict(), found.state)
    said |= {"compared_with": name, "missing": missing, "unexpected": unexpected, "other_shape": unlike}
    if found.match is not None:
        said |= _fitting(found, path)
    return said


def _fitting(found: Checkpoint, path: Path) -> dict[str, Any]:
    """What the file's own model costs, as the file is sampled."""
    match = found.match
    assert match is not None
    model = on_meta(match.name, found.num_classes or CLASSES, match.args)
    if model is None:
        return {}
    spec, sampling = model.input, found.said.get("sampling") or {}
    frames = int(sampling.get("clip_len") or spec.clip_len)
    side = int(sampling.get("crop_size") or spec.crop_size)
    said = {
        "parameters": sum(weight.numel() for weight in model.parameters()),
        "gflops": round(gflops(model, frames, side), 2),
        "view": [frames, side, side],
        "also_fits": also_fits(found.state, match),
    }
    return {**said, "mean": list(found.said.get("mean", spec.mean)), "std": list(found.said.get("std", spec.std))}
