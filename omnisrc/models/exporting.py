"""Exports a recogniser as one program, and proves at once that it gives the same logits."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from omnisrc.errors import UserError
from omnisrc.models.adding import part_of
from omnisrc.models.checkpoints.load import CheckpointReport, load_model
from omnisrc.models.fetch import publish
from omnisrc.models.inputs import InputSpec
from omnisrc.models.recogniser import Recogniser

KINDS = {"onnx": ".onnx", "torch-export": ".pt2"}
TOLERANCE = 1e-4
"""Largest difference of a logit, for logits up to 1 in size; beyond that relative to the largest."""


@dataclass(frozen=True)
class Exported:
    """`difference` is the largest of any logit, relative where logits are over 1; None: nothing here can run it."""

    path: Path
    kind: str
    shape: tuple[int, ...]
    difference: float | None


def export(
    path: Path, kind: str, output: Path | None = None, side: int = 0, segments: int = 0, averaged: bool = True
) -> Exported:
    """Writes the program of a checkpoint: (batch, V, 3, T, side, side), scaled frames, to logits; the batch is free.

    Args:
        kind: `onnx`, or `torch-export` (torch.export's archive).
        side: of a view; 0: as trained.
        segments: views; 0: the frames of a 2-D network in training, 1 of a 3-D one.

    Raises:
        UserError: no such kind, no recogniser, the package that writes it is not there, or the logits are others.
    """
    if kind not in KINDS:
        raise UserError(f"there is no kind of export {kind!r}: choose one of {', '.join(KINDS)}")
    if kind == "onnx" and not (find_spec("onnx") and find_spec("onnxscript")):
        raise UserError("ONNX needs the packages onnx and onnxscript: pip install 'omnisrc[onnx]'")
    goal = output or path.with_suffix(KINDS[kind])
    if goal.exists():
        raise UserError(f"there is {goal} already: remove it, or name another file with --output")
    model, report = load_model(path, averaged=averaged)
    model.eval()
    shape = (2, *_view(model.input, segments), *[side or model.input.crop_size] * 2)
    views = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    write, run = (_write_onnx, _run_onnx) if kind == "onnx" else (_write_torch, _run_torch)
    with part_of(goal) as part, torch.no_grad():
        with _quietly():
            write(model, views, part, _described(model, report))
        difference = _difference(model, views, part, run)
        if difference is not None and difference > TOLERANCE:
            raise UserError(f"{goal} would give other logits than {path} (by {difference:.2g}): nothing was written")
        return Exported(publish(part, goal), kind, shape, difference)


def _view(spec: InputSpec, segments: int) -> tuple[int, int, int]:
    return segments or (spec.num_segments if spec.dims == "2d" else 1), 3, spec.clip_len


def _quietly() -> Any:
    """Exporters speak of their own passes at length."""
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    return warnings.catch_warnings(action="ignore")


def _described(model: Recogniser, report: CheckpointReport) -> dict[str, str]:
    """What a user of the program must know of its input and its output, as texts."""
    kept = ("model", "classes", "class_list", "class_list_sha256", "licence", "source", "sampling")
    said = {key: report.meta[key] for key in kept if key in report.meta}
    said |= {"mean": list(model.input.mean), "std": list(model.input.std), "channel_order": "rgb", "range": "0..255"}
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in said.items()}


def _program(model: Recogniser, views: torch.Tensor) -> torch.export.ExportedProgram:
    batch = torch.export.Dim("batch", min=1, max=4096)
    return torch.export.export(model, (views,), dynamic_shapes=({0: batch},))


def _write_torch(model: Recogniser, views: torch.Tensor, part: Path, said: dict[str, str]) -> None:
    torch.export.save(_program(model, views), part, extra_files={"omnisrc.json": json.dumps(said)})


def _write_onnx(model: Recogniser, views: torch.Tensor, part: Path, said: dict[str, str]) -> None:
    program = torch.onnx.export(
        _program(model, views), (), input_names=["views"], output_names=["logits"], dynamo=True, verbose=False
    )
    assert program is not None
    program.model.metadata_props.update(said)
    program.save(str(part))


def _run_torch(part: Path, views: torch.Tensor) -> torch.Tensor:
    logits: torch.Tensor = torch.export.load(part).module()(views)
    return logits


def _run_onnx(part: Path, views: torch.Tensor) -> torch.Tensor | None:
    if not find_spec("onnxruntime"):
        return None
    session = import_module("onnxruntime").InferenceSession(str(part), providers=["CPUExecutionProvider"])
    return torch.from_numpy(session.run(None, {"views": views.numpy()})[0])


Run = Callable[[Path, torch.Tensor], torch.Tensor | None]


def _difference(model: Recogniser, views: torch.Tensor, part: Path, run: Run) -> float | None:
    """Of two samples and of one: the batch is free."""
    worst = 0.0
    for batch in (views, views[:1]):
        theirs, own = run(part, batch), model(batch)
        if theirs is None:
            return None
        worst = max(worst, float((theirs - own).abs().max() / own.abs().max().clamp(min=1)))
    return worst
