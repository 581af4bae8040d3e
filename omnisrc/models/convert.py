"""Writes a file of weights in another layout: ours, MMAction2's, PySlowFast's or PyTorchVideo's."""

from __future__ import annotations

import hashlib
import inspect
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import yaml

from omnisrc.errors import UserError, WorldError
from omnisrc.models.adding import part_of
from omnisrc.models.checkpoints.formats import Restoring, format_of, writable
from omnisrc.models.checkpoints.load import CheckpointReport, load_model
from omnisrc.models.checkpoints.ours import save_weights
from omnisrc.models.checkpoints.read import read_checkpoint
from omnisrc.models.create import MODELS
from omnisrc.models.families.mvit import POOL_EPS
from omnisrc.models.fetch import publish
from omnisrc.models.recogniser import Recogniser
from omnisrc.models.trunks.slowfast import SlowFast
from omnisrc.models.trunks.torchvision_video import MViT

FOREIGN = {"mmaction2": "MMAction2", "pyslowfast": "PySlowFast", "pytorchvideo": "PyTorchVideo"}
LAYOUTS = ("safetensors", *FOREIGN)
UNSEEN = {"dropout", "zero_init_gamma", "norm_momentum"}
"""Arguments of a model that are for training alone, which no layout keeps."""


def convert(path: Path, layout: str, output: Path | None = None, averaged: bool = True) -> tuple[Path, str]:
    """The file written and its SHA-256. It is read back before it gets its name: every tensor must be the same.

    Args:
        output: a file; None: beside `path`, in another layout with the first 8 digits of the hash in its name.

    Raises:
        UserError: `path` is no recogniser's, the layout is unknown or has no names for this model, or `output` exists.
        WorldError: the disk fails.
    """
    if layout not in LAYOUTS:
        raise UserError(f"there is no layout {layout!r}: choose one of {', '.join(LAYOUTS)}")
    model, report = load_model(path, averaged=averaged, blobs=True)
    if layout == "safetensors":
        goal = _free(output or path.with_suffix(".safetensors"))
        with part_of(goal) as part:
            sha256 = save_weights(model, part, travelling(report))
            _check(model, part)
            return publish(part, goal), sha256
    data = _foreign(layout, model, report)
    sha256 = hashlib.sha256(data).hexdigest()
    suffix = "pth" if layout == "mmaction2" else "pyth"
    goal = _free(output or path.with_name(f"{path.stem}_{layout}-{sha256[:8]}.{suffix}"))
    with part_of(goal) as part:
        try:
            part.write_bytes(data)
        except OSError as error:
            raise WorldError(f"The weights file {goal} could not be written: {error.strerror or error}.") from error
        _check(model, part)
        return publish(part, goal), sha256


def travelling(report: CheckpointReport) -> dict[str, Any]:
    """What goes with the weights into another file: all that was said of them, and where they come from."""
    return {**report.meta, "converted_from": {"format": report.format, "sha256": report.sha256}}


def _free(goal: Path) -> Path:
    if goal.exists():
        raise UserError(f"there is {goal} already: remove it, or name another file with --output")
    return goal


def _foreign(layout: str, model: Recogniser, report: CheckpointReport) -> bytes:
    """A file as the other project's loader takes it."""
    names, form = names_in(layout, model.name, list(model.state_dict())), writable(layout, model.name)
    state = {key: value.detach().cpu().contiguous() for key, value in model.state_dict().items()}
    restored = form.unadapt(state) if isinstance(form, Restoring) else state
    renamed = {names[key]: value for key, value in restored.items()}
    stream = io.BytesIO()
    torch.save(_mmaction2(renamed, report) if layout == "mmaction2" else _pyslowfast(renamed, model), stream)
    return stream.getvalue()


def _mmaction2(state: Mapping[str, torch.Tensor], report: CheckpointReport) -> dict[str, Any]:
    meta: dict[str, Any] = {"omnisrc": {key: report.meta[key] for key in ("licence", "source") if key in report.meta}}
    if report.meta.get("classes"):
        meta |= {"CLASSES": report.meta["classes"], "dataset_meta": {"classes": report.meta["classes"]}}
    return {"meta": meta, "state_dict": dict(state)}


def _pyslowfast(state: Mapping[str, torch.Tensor], model: Recogniser) -> dict[str, Any]:
    """PyTorchVideo's loader takes the weights alone, PySlowFast's the config's text too."""
    spec = model.input
    config: dict[str, Any] = {
        "DATA": {
            "NUM_FRAMES": spec.clip_len,
            "SAMPLING_RATE": spec.frame_interval,
            "MEAN": [value / 255 for value in spec.mean],
            "STD": [value / 255 for value in spec.std],
        },
        "MODEL": {"NUM_CLASSES": model.num_classes, "ARCH": _arch(model)},
    }
    if isinstance(model.trunk, SlowFast):
        config["SLOWFAST"] = {"ALPHA": model.trunk.alpha}
    if isinstance(model.trunk, MViT) and model.args.get("pool_eps", POOL_EPS) == POOL_EPS:
        config["MVIT"] = {"SEPARATE_QKV": False}
    return {"model_state": dict(state), "epoch": 0, "cfg": yaml.safe_dump(config)}


def _arch(model: Recogniser) -> str:
    """PySlowFast's word for a network."""
    family = model.name.split("_")[0].replace("slowonly", "slow")
    return family if model.args.get("halve", True) else f"{family}_nopool"


def names_in(layout: str, model: str, keys: Sequence[str]) -> dict[str, str]:
    """The layout's name of each of our keys. Raises UserError where it has none for this model."""
    form = writable(layout, model)
    names = {} if form is None else {key: form.their_key(key) for key in keys}
    read = format_of(list(names.values()))
    if form is None or read is not form or any(form.our_key(name) != key for key, name in names.items()):
        raise UserError(
            f"{model} has no names in {FOREIGN[layout]}'s layout: keep the file as it is, or use --to safetensors"
        )
    return names


def _check(model: Recogniser, part: Path) -> None:
    """Raises UserError where what was written does not read back as the same network."""
    found, wanted = read_checkpoint(part), model.state_dict()
    same = found.state.keys() == wanted.keys() and all(torch.equal(found.state[key], wanted[key]) for key in wanted)
    if not same or found.match is None or _told(found.match.name, found.match.args) != _told(model.name, model.args):
        raise UserError(f"{model.name} does not come back from the layout of {found.format}: keep the file as it is")


def _told(name: str, args: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """A model with all its arguments, those that it was made with by default too."""
    known = inspect.signature(MODELS[name]).parameters.values()
    default = {given.name: given.default for given in known if given.kind is given.KEYWORD_ONLY}
    return name, {key: value for key, value in {**default, **args}.items() if key not in UNSEEN}
