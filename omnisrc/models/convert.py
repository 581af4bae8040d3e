"""Writes a file of weights in another layout: ours, or MMAction2's."""

from __future__ import annotations

import hashlib
import inspect
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from omnisrc.errors import UserError, WorldError
from omnisrc.models.adding import part_of
from omnisrc.models.checkpoints.formats import FORMATS, format_of
from omnisrc.models.checkpoints.load import CheckpointReport, load_model
from omnisrc.models.checkpoints.ours import save_weights
from omnisrc.models.checkpoints.read import read_checkpoint
from omnisrc.models.create import MODELS
from omnisrc.models.fetch import publish
from omnisrc.models.recogniser import Recogniser

LAYOUTS = ("safetensors", "mmaction2")

MARKS = {
    "tsm": ".conv1.conv.net.",
    "slowfast": "slow_path.",
    "ipcsn": ".conv2.1.conv.",
    "ircsn": ".conv2.0.conv.",
    "r2plus1d": ".conv_s.",
    "i3d_nl": ".non_local_block.",
    "omni": "cls_head.fc3d.6.",
    "trn": "cls_head.consensus.",
    "c3d": "backbone.conv1a.conv.",
}
"""What MMAction2's names of a family have and those of plain ResNets have not. ipCSN's have irCSN's too."""
PLAIN = ("tsn_r", "slowonly_r", "i3d_r")
UNSEEN = {"dropout", "zero_init_gamma"}
"""Arguments of a model that are for training alone, which no layout keeps."""


def convert(path: Path, layout: str, output: Path | None = None, averaged: bool = True) -> tuple[Path, str]:
    """The file written and its SHA-256. It is read back before it gets its name: every tensor must be the same.

    Args:
        output: a file; None: beside `path`, for MMAction2 with the first 8 digits of the hash in its name, as it does.

    Raises:
        UserError: `path` is no recogniser's, the layout is unknown or has no names for this model, or `output` exists.
        WorldError: the disk fails.
    """
    if layout not in LAYOUTS:
        raise UserError(f"there is no layout {layout!r}: choose one of {', '.join(LAYOUTS)}")
    model, report = load_model(path, averaged=averaged)
    if layout == "safetensors":
        goal = _free(output or path.with_suffix(".safetensors"))
        with part_of(goal) as part:
            sha256 = save_weights(model, part, travelling(report))
            _check(model, part)
            return publish(part, goal), sha256
    data = _mmaction2(model, report)
    sha256 = hashlib.sha256(data).hexdigest()
    goal = _free(output or path.with_name(f"{path.stem}_mmaction2-{sha256[:8]}.pth"))
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


def _mmaction2(model: Recogniser, report: CheckpointReport) -> bytes:
    names = mmaction2_names(model.name, list(model.state_dict()))
    state = {names[key]: value.detach().cpu().contiguous() for key, value in model.state_dict().items()}
    meta: dict[str, Any] = {"omnisrc": {key: report.meta[key] for key in ("licence", "source") if key in report.meta}}
    if report.meta.get("classes"):
        meta |= {"CLASSES": report.meta["classes"], "dataset_meta": {"classes": report.meta["classes"]}}
    stream = io.BytesIO()
    torch.save({"meta": meta, "state_dict": state}, stream)
    return stream.getvalue()


def mmaction2_names(model: str, keys: list[str]) -> dict[str, str]:
    """MMAction2's name of each of our keys, by the layout that has the family's mark and no other's.

    Raises UserError where there is none.
    """
    family = next((family for family in MARKS if model.startswith(family)), "")
    wanted = {family} - {""} | ({"ircsn"} if family == "ipcsn" else set())
    for form in FORMATS if family or model.startswith(PLAIN) else ():
        rename = getattr(form, "their_key", None)
        if form.NAME != "mmaction2" or rename is None:
            continue
        names = {key: rename(key) for key in keys}
        marked = {family for family, mark in MARKS.items() if any(mark in name for name in names.values())}
        whole = all(form.our_key(name) == key for key, name in names.items())
        if marked == wanted and whole and format_of(names.values()) is form:
            return names
    raise UserError(f"{model} has no names in MMAction2's layout: keep the file as it is, or use --to safetensors")


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
