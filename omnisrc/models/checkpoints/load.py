"""`load_checkpoint`: the weights of any known format into a recogniser, or one sentence that says why not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from omnisrc.errors import UserError
from omnisrc.models.checkpoints.container import fingerprint, own_metadata
from omnisrc.models.checkpoints.fit import fit
from omnisrc.models.checkpoints.read import Checkpoint, read_checkpoint, some
from omnisrc.models.create import create_model
from omnisrc.models.inputs import InputSpec
from omnisrc.models.recogniser import Recogniser

__all__ = ["CheckpointReport", "fingerprint", "load_checkpoint", "load_model", "read_meta"]


@dataclass(frozen=True)
class CheckpointReport:
    """What became of a file's tensors, under our names, and what the file says of itself.

    `missing` kept the model's own values; `unexpected` had no place; `left_out` is a head for other classes.
    `meta` has, where known: model, model_args, num_classes, classes, class_list, class_list_sha256, mean, std,
    sampling (clip_len, frame_interval, num_segments), licence, source.
    """

    path: Path
    format: str
    sha256: str
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    left_out: tuple[str, ...]
    inflated: bool
    meta: Mapping[str, Any]

    def __str__(self) -> str:
        parts = [f"{self.path.name} ({self.format})"]
        parts += ["2-D kernels inflated"] if self.inflated else []
        for word, keys in (("left out", self.left_out), ("missing", self.missing), ("unexpected", self.unexpected)):
            parts += [f"{word}: {some(keys)}"] if keys else []
        return "; ".join(parts)


def load_checkpoint(model: Recogniser, path: Path | str, strict: bool = True) -> CheckpointReport:
    """Fills `model` from a file of ours, torchvision's, MMAction2's, MMAction's or PyTorchVideo's.

    Strict, every tensor must have its place and its shape, and the model takes over the file's input scaling and
    sampling. Otherwise the file initialises: the trunk must be whole, 2-D kernels are inflated for a 3-D trunk, a head
    for another number of classes is left out, and only the input scaling is taken over. Nothing is changed when a
    UserError is raised: no such file, damage, pickled code, a hash that the name contradicts, another architecture,
    another number of classes, tensors without a place.
    """
    return _fill(model, read_checkpoint(Path(path)), strict)


def load_model(path: Path | str) -> tuple[Recogniser, CheckpointReport]:
    """The recogniser that a file holds: built by its metadata or else by its shapes, and strictly filled."""
    found = read_checkpoint(Path(path))
    name, classes, args = (found.meta.get(key) for key in ("model", "num_classes", "model_args"))
    if not isinstance(name, str) or not isinstance(classes, int):
        raise UserError(f"{path} fits no model known here, or has no head: name the model that it is for")
    model = create_model(name, classes, **(args or {}))
    return model, _fill(model, found, strict=True)


def read_meta(path: Path | str) -> dict[str, Any]:
    """The metadata as in CheckpointReport; for our own files from the header alone."""
    own = own_metadata(Path(path))
    return read_checkpoint(Path(path)).meta if own is None else dict(own)


def _fill(model: Recogniser, found: Checkpoint, strict: bool) -> CheckpointReport:
    fitting = fit(model, found, strict)
    spec = _input_of(model.input, found, strict)
    model.load_state_dict(fitting.state, strict=False)
    model.input = spec
    return CheckpointReport(
        path=found.path,
        format=found.format,
        sha256=found.sha256,
        missing=fitting.missing,
        unexpected=fitting.unexpected,
        left_out=fitting.left_out,
        inflated=fitting.inflated,
        meta=found.meta,
    )


def _input_of(spec: InputSpec, found: Checkpoint, strict: bool) -> InputSpec:
    """The model's input as the file has it: scaling always, sampling only with the head that was trained on it.

    A file of another modality, known by the channels that it scales, changes neither.
    """
    meta = found.meta
    try:
        mean, std = (tuple(float(value) for value in meta.get(key, getattr(spec, key))) for key in ("mean", "std"))
        if len(mean) == len(std) == len(spec.mean):
            spec = replace(spec, mean=mean, std=std)
        elif sorted({len(mean), len(std)}) not in ([2], [3]):
            raise ValueError(f"{len(mean)} means and {len(std)} deviations")
        if not strict or "sampling" not in meta:
            return spec
        clip_len, interval, segments = (
            int(meta["sampling"][key]) for key in ("clip_len", "frame_interval", "num_segments")
        )
    except (TypeError, ValueError, KeyError) as error:
        raise UserError(f"{found.path} has damaged metadata ({error}): write or fetch it again") from error
    if spec.modality == "flow" and spec.dims == "2d":
        clip_len = spec.clip_len  # the fields that make up its channels; MMAction2's file names count stacks
    return replace(spec, clip_len=clip_len, frame_interval=interval, num_segments=segments)
