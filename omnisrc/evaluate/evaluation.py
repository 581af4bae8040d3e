"""Score one checkpoint on one split of the target."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from omnisrc.classes.compare import difference
from omnisrc.data.flow_reader import reader_of
from omnisrc.data.manifest import Manifest
from omnisrc.errors import UserError, WorldError
from omnisrc.evaluate.device import choose_device, loader_workers
from omnisrc.evaluate.protocols import Sampling, evaluation_protocol
from omnisrc.evaluate.results import figures_of, write_results
from omnisrc.evaluate.scores import ScoreTable
from omnisrc.evaluate.scoring import Scored, Scorer, merge
from omnisrc.evaluate.settings import EvalSettings
from omnisrc.models import Recogniser, load_model
from omnisrc.models.choose_head import choose_head, head_meta, head_names
from omnisrc.models.compiling import compile_trunk
from omnisrc.models.precision import precision_of
from omnisrc.shards.store import ShardStore
from omnisrc.tasks.create import create_task

CROP, SHORT_SIDE = 224, 256  # of checkpoints that do not say what they were trained on


class Origin(NamedTuple):
    """What a clip is called in any study, and the group (video, actor) that it is one of."""

    clip: str
    group: str


def sampling_of(model: Recogniser, meta: dict[str, Any]) -> Sampling:
    """What the student was trained on: its input as loaded, and crops as its metadata has them."""
    said = meta.get("sampling") or {}
    crop = int(said.get("crop_size", getattr(model.input, "crop_size", CROP)))
    return Sampling(
        dims=model.input.dims,
        clip_len=model.input.clip_len,
        frame_interval=model.input.frame_interval,
        num_segments=model.input.num_segments,
        crop_size=crop,
        short_side=int(said.get("short_side", round(crop * SHORT_SIDE / CROP))),
        target_fps=float(said.get("target_fps", 0.0)),
        fixed=bool(getattr(model.input, "fixed", False)),
        sampler=said.get("sampler", "clips"),
        sample_range=int(said.get("sample_range", 64)),
    )


def flow_of(settings: EvalSettings, meta: dict[str, Any]) -> str:
    """The cache of flow that a student of flow is scored on: as asked for, else the one that it was trained on."""
    return settings.flow or str((meta.get("flow") or {}).get("cache", ""))


def evaluate(
    checkpoint: Path,
    rows: Manifest,
    root: Path | ShardStore,
    settings: EvalSettings,
    folder: Path,
    *,
    origins: Mapping[int, Origin] | None = None,
    expected: int | None = None,
    about: Mapping[str, Any] | None = None,
    report: Callable[[int, int], None] = lambda done, count: None,
) -> dict[str, Any]:
    """Scores `checkpoint` on the rows of a manifest, writes the results into `folder` and gives the figures.

    Args:
        root: the manifest's relative paths count from here; or the study's store.
        origins: of samples, by id; one that has none is named by where it lies and stands alone.
        expected: samples that the split should have; None: those of the manifest.
        about: what metrics.json and the dump say besides.
        report: told of (samples done, samples in all).

    Raises:
        UserError: the checkpoint is damaged, of other classes, or its answers are no numbers.
        WorldError: no sample can be decoded.
    """
    if settings.threads:
        torch.set_num_threads(settings.threads)
    device = choose_device(settings.device)
    model, loaded = load_model(checkpoint)
    meta, head = dict(loaded.meta), head_for(checkpoint, model, dict(loaded.meta), rows, settings.head)
    if head:
        choose_head(model, head, checkpoint)
        meta = head_meta(meta, head)
    check_classes(checkpoint, meta, model, rows)
    protocol = evaluation_protocol(sampling_of(model, meta), settings)
    precision = precision_of(settings.amp, device)
    model.to(device).to(memory_format=model.memory_format)
    task = create_task(rows.task, rows.classes)
    if settings.compile:
        compile_trunk(model)
    scorer = Scorer(
        reader_of(rows, root, model.input.modality, flow_of(settings, meta), short_side=protocol.short_side),
        protocol,
        task,
        batch=settings.batch_size,
        views=settings.views,
        workers=loader_workers(settings.workers, device, 1),
        precision=precision,
    )
    parts, done = [], 0
    for part in scorer(model, device):
        parts.append(part)
        done += len(part.ids) + len(part.unreadable)
        report(done, len(rows))
    scored = merge(parts)
    if not len(scored.ids):
        first = scored.unreadable[0]
        raise WorldError(f"None of {len(rows)} samples can be decoded, the first {first.path} ({first.error}).")
    refuse_nan(checkpoint, scored.scores)
    facts = {
        **(about or {}),
        "checkpoint": str(checkpoint),
        "checkpoint_sha256": loaded.sha256,
        "model": model.name,
        "task": task.name,
        **({"head": head} if head else {}),
        "protocol": {**asdict(protocol), "precision": precision},
        "class_accuracy": settings.class_accuracy,
        "expected": len(rows) if expected is None else expected,
        "class_list": rows.class_list,
        "class_list_sha256": rows.class_list_sha256,
        "manifest_sha256": rows.sha256,
    }
    table = score_table(scored, rows, origins or {}, facts)
    figures = figures_of(table, settings.class_accuracy)
    lost = [{"sample": s.sample, "path": s.path, "error": s.error} for s in scored.unreadable]
    write_results(folder, table, figures, lost)
    return {**facts, **figures, "unreadable": len(lost)}


def refuse_nan(checkpoint: Path, scores: NDArray[np.floating]) -> None:
    """Raises UserError where scores are no numbers: ranked all the same, they would be the first class's."""
    if not np.isfinite(scores).all():
        raise UserError(f"The answers of {checkpoint} are not numbers, so its training failed; choose another file.")


def score_table(scored: Scored, rows: Manifest, origins: Mapping[int, Origin], about: Mapping[str, Any]) -> ScoreTable:
    """What was scored, with the names and places of the manifest's rows."""
    place = {int(sample): at for at, sample in enumerate(rows.column("sample"))}
    at = pa.array([place[int(sample)] for sample in scored.ids], pa.int64())
    paths, keys = (rows.table[name].take(at).to_pylist() for name in ("path", "key"))
    found = [
        origins.get(int(sample)) or Origin(f"{path}#{key}", "")
        for sample, path, key in zip(scored.ids, paths, keys, strict=True)
    ]
    clips, groups = ([each.clip for each in found], [each.group for each in found])
    return ScoreTable(
        scored.ids,
        clips,
        groups,
        paths,
        keys,
        scored.labels.astype(np.int64),
        scored.scores,
        scored.logits,
        rows.classes,
        about,
    )


def head_for(checkpoint: Path, model: Recogniser, meta: Mapping[str, Any], rows: Manifest, asked: str) -> str:
    """The head that is scored on the rows: as asked for, else the one whose metadata name the rows' class list; empty
    where there is one alone.

    Raises:
        UserError: no head, or more than one, answers for that list.
    """
    if asked or not head_names(model):
        return asked
    by_head = {name: head_meta(meta, name) for name in head_names(model)}
    fits = [
        name
        for name, said in by_head.items()
        if said.get("class_list_sha256") == rows.class_list_sha256 or said.get("classes") == list(rows.classes)
    ]
    if len(fits) != 1:
        raise UserError(
            f"The checkpoint {checkpoint} has several heads ({', '.join(by_head)}), and of them"
            f" {' and '.join(fits) or 'none'} answer{'' if fits else 's'} for the target's class list"
            f" {rows.class_list}; choose one with --head NAME."
        )
    return fits[0]


def check_classes(checkpoint: Path, meta: dict[str, Any], model: Recogniser, rows: Manifest) -> None:
    """Refuses a checkpoint whose classes are not those of the rows, by hash where the file has one."""
    named = meta.get("classes") or []
    unlike = difference([str(name) for name in named], rows.classes) if named else ""
    if unlike:
        raise UserError(
            f"The checkpoint {checkpoint} was trained on other classes than the target's {rows.class_list}: {unlike};"
            " `omnisrc models show FILE` names them, and `omnisrc train --init FILE` takes its trunk alone."
        )
    sha256 = meta.get("class_list_sha256")
    if sha256 and sha256 != rows.class_list_sha256:
        raise UserError(
            f"The checkpoint {checkpoint} was trained on the class list {meta.get('class_list', 'of another hash')},"
            f" but the target's is {rows.class_list}; their names or their order differ: `omnisrc models show"
            f" {checkpoint}` names it, and `omnisrc train --init {checkpoint}` takes its trunk alone."
        )
    if model.num_classes != len(rows.classes):
        raise UserError(
            f"The checkpoint {checkpoint} knows {model.num_classes} classes, but the target's class list"
            f" {rows.class_list} has {len(rows.classes)}; `omnisrc train --init {checkpoint}` takes its trunk alone."
        )
