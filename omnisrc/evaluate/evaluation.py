"""Score one checkpoint on one split of the target."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from omnisrc.data.flow_reader import reader_of
from omnisrc.data.manifest import Manifest
from omnisrc.errors import UserError, WorldError
from omnisrc.evaluate.device import choose_device, loader_workers
from omnisrc.evaluate.protocols import Sampling, evaluation_protocol
from omnisrc.evaluate.results import write_results
from omnisrc.evaluate.scoring import Scorer, merge
from omnisrc.evaluate.settings import EvalSettings
from omnisrc.models import Recogniser, load_model
from omnisrc.shards.store import ShardStore
from omnisrc.tasks.recognition import Recognition

CROP, SHORT_SIDE = 224, 256  # of checkpoints that do not say what they were trained on


def sampling_of(model: Recogniser, meta: dict[str, Any]) -> Sampling:
    """What the student was trained on: its input as loaded, and crops as its metadata has them."""
    said = meta.get("sampling") or {}
    crop = int(said.get("crop_size", CROP))
    return Sampling(
        dims=model.input.dims,
        clip_len=model.input.clip_len,
        frame_interval=model.input.frame_interval,
        num_segments=model.input.num_segments,
        crop_size=crop,
        short_side=int(said.get("short_side", round(crop * SHORT_SIDE / CROP))),
        target_fps=float(said.get("target_fps", 0.0)),
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
    report: Callable[[int, int], None] = lambda done, count: None,
) -> dict[str, Any]:
    """Scores `checkpoint` on the rows of a manifest, writes the results into `folder` and gives the figures.

    Args:
        root: the manifest's relative paths count from here; or the study's store.
        report: told of (samples done, samples in all).

    Raises:
        UserError: the checkpoint is damaged or of other classes.
        WorldError: no sample can be decoded.
    """
    if settings.threads:
        torch.set_num_threads(settings.threads)
    device = choose_device(settings.device)
    model, loaded = load_model(checkpoint)
    check_classes(checkpoint, dict(loaded.meta), model, rows)
    protocol = evaluation_protocol(sampling_of(model, dict(loaded.meta)), settings)
    amp = settings.amp == "bf16" or (settings.amp == "auto" and device.type == "cuda")
    model.to(device).to(memory_format=model.memory_format)
    scorer = Scorer(
        reader_of(
            rows, root, model.input.modality, flow_of(settings, dict(loaded.meta)), short_side=protocol.short_side
        ),
        protocol,
        batch=settings.batch_size,
        views=settings.views,
        workers=loader_workers(settings.workers, device, 1),
        amp=amp,
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
    task = Recognition(rows.classes)
    about = {
        "checkpoint": str(checkpoint),
        "checkpoint_sha256": loaded.sha256,
        "model": model.name,
        "protocol": asdict(protocol),
        "expected": len(rows),
        "manifest_sha256": rows.sha256,
    }
    write_results(folder, scored, task, rows, about)
    return {**about, **task.metrics(scored.scores, scored.labels), "unreadable": len(scored.unreadable)}


def check_classes(checkpoint: Path, meta: dict[str, Any], model: Recogniser, rows: Manifest) -> None:
    """Refuses a checkpoint whose classes are not those of the rows, by hash where the file has one."""
    sha256 = meta.get("class_list_sha256")
    if sha256 and sha256 != rows.class_list_sha256:
        raise UserError(
            f"The checkpoint {checkpoint} was trained on the class list {meta.get('class_list', 'of another hash')},"
            f" but the target's is {rows.class_list}; their names or their order differ."
        )
    if model.num_classes != len(rows.classes):
        raise UserError(
            f"The checkpoint {checkpoint} knows {model.num_classes} classes, but the target's class list"
            f" {rows.class_list} has {len(rows.classes)}."
        )
