"""`load_checkpoint`: the weights of any known format into a recogniser, or one sentence that says why not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from omnisrc.classes.compare import difference
from omnisrc.errors import UserError
from omnisrc.models.checkpoints.container import fingerprint, own_metadata
from omnisrc.models.checkpoints.fit import fit
from omnisrc.models.checkpoints.norms import read_eps, set_eps
from omnisrc.models.checkpoints.read import Checkpoint, read_checkpoint, some
from omnisrc.models.create import create_model
from omnisrc.models.inputs import InputSpec
from omnisrc.models.recogniser import Recogniser

__all__ = ["CheckpointReport", "fingerprint", "load_checkpoint", "load_model", "read_meta"]


@dataclass(frozen=True)
class CheckpointReport:
    """What became of a file's tensors, under our names, and what the file says of itself.

    `missing` kept the model's own values; `unexpected` had no place; `left_out` is a head for other classes; `notes`
    say what else was chosen or changed. `meta` has, where known: model, model_args, num_classes, classes, class_list,
    class_list_sha256, mean, std, bn_eps, sampling (clip_len, frame_interval, num_segments), licence, source.
    """

    path: Path
    format: str
    sha256: str
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    left_out: tuple[str, ...]
    inflated: bool
    meta: Mapping[str, Any]
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        parts = [f"{self.path.name} ({self.format})"]
        parts += ["2-D kernels inflated"] if self.inflated else []
        for word, keys in (("left out", self.left_out), ("missing", self.missing), ("unexpected", self.unexpected)):
            parts += [f"{word}: {some(keys)}"] if keys else []
        parts += self.notes
        return "; ".join(parts)


def load_checkpoint(
    model: Recogniser,
    path: Path | str,
    strict: bool = True,
    *,
    classes: Sequence[str] | None = None,
    averaged: bool = True,
) -> CheckpointReport:
    """Fills `model` from a file of any known format (see `formats`).

    Strict, every tensor must have its place and its shape, and the model takes over the file's input scaling and
    sampling. Otherwise the file initialises: the trunk must be whole, 2-D kernels are inflated for a 3-D trunk, a head
    for another number of classes is left out, and only the input scaling is taken over.

    Args:
        classes: what the model answers for, in order; a file that names other classes, or these in another order, is
            refused, or gives its trunk alone where it initialises.
        averaged: of a file with weights and their moving average, the average.

    Raises:
        UserError: no such file, damage, pickled code, a hash that the name contradicts, another architecture, another
            number of classes, other classes, tensors without a place. Nothing is changed then.
    """
    return _fill(model, read_checkpoint(Path(path), averaged), strict, classes)


def load_model(path: Path | str, *, averaged: bool = True, blobs: bool = False) -> tuple[Recogniser, CheckpointReport]:
    """The recogniser that a file holds: built by its metadata or else by its shapes, and strictly filled.

    `blobs`: of Caffe2's pickles too, which are refused otherwise.
    """
    found = read_checkpoint(Path(path), averaged, blobs)
    if found.match is None or found.num_classes is None:
        raise UserError(
            f"{path} fits no model known here, or has no head: name the model that it is for, and `omnisrc models show "
            f"{path} --model NAME` says what it lacks"
        )
    try:
        model = create_model(found.match.name, found.num_classes, **found.match.args)
    except UserError as error:
        raise UserError(f"{path} holds a network that cannot be built: {error}") from error
    return model, _fill(model, found, strict=True)


def read_meta(path: Path | str) -> dict[str, Any]:
    """The metadata as in CheckpointReport; for our own files from the header alone."""
    own = own_metadata(Path(path))
    return read_checkpoint(Path(path)).meta if own is None else dict(own)


def _fill(model: Recogniser, found: Checkpoint, strict: bool, classes: Sequence[str] | None = None) -> CheckpointReport:
    named = found.said.get("classes")
    unlike = difference(list(map(str, named)), classes) if isinstance(named, list) and classes is not None else ""
    if unlike and strict:
        raise UserError(
            f"{found.path} was trained on other classes than those in use: {unlike}; use its class list, or --init, "
            "which takes its trunk alone"
        )
    fitting = fit(model, found, strict, with_head=not unlike)
    spec, eps = _input_of(model.input, found, strict)
    notes = found.notes + ((f"its classes are others ({unlike})",) if unlike else ())
    model.load_state_dict(fitting.state, strict=False)
    model.input = spec
    notes += set_eps(model, eps)
    return CheckpointReport(
        path=found.path,
        format=found.format,
        sha256=found.sha256,
        missing=fitting.missing,
        unexpected=fitting.unexpected,
        left_out=fitting.left_out,
        inflated=fitting.inflated,
        meta=found.meta,
        notes=notes,
    )


def _input_of(spec: InputSpec, found: Checkpoint, strict: bool) -> tuple[InputSpec, float | None]:
    """The model's input as the file has it, and the norms' eps.

    Scaling is taken always, sampling only with the head that was trained on it. A file of another modality, known by
    the channels that it scales, changes neither.
    """
    said = found.said
    try:
        eps = read_eps(said.get("bn_eps"))
        mean, std = (tuple(float(value) for value in said.get(key, getattr(spec, key))) for key in ("mean", "std"))
        if len(mean) == len(std) == len(spec.mean):
            spec = replace(spec, mean=mean, std=std)
        elif sorted({len(mean), len(std)}) not in ([2], [3]):
            raise ValueError(f"{len(mean)} means and {len(std)} deviations")
        if not strict or "sampling" not in said:
            return spec, eps
        sampling = said["sampling"]
        clip_len, interval, segments = (int(sampling[key]) for key in ("clip_len", "frame_interval", "num_segments"))
        crop, short = (int(sampling.get(key) or getattr(spec, key)) for key in ("crop_size", "short_side"))
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise UserError(f"{found.path} has damaged metadata ({error}): write or fetch it again") from error
    if spec.modality == "flow" and spec.dims == "2d":
        clip_len = spec.clip_len  # the fields that make up its channels; MMAction2's file names count stacks
    view = replace(spec, clip_len=clip_len, frame_interval=interval, num_segments=segments)
    return replace(view, crop_size=crop, short_side=short), eps
