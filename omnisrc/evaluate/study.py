"""`omnisrc eval`: score what a study has trained, and write it down."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from db import models
from db.ledger import now
from omnisrc.data.catalogue import find_class_list
from omnisrc.data.freeze import target_manifest
from omnisrc.data.labels import MULTI_LABEL, RECOGNITION
from omnisrc.data.manifest import Manifest
from omnisrc.errors import UserError
from omnisrc.evaluate.evaluation import Origin, evaluate
from omnisrc.evaluate.scores import clip_name
from omnisrc.evaluate.settings import EvalSettings
from omnisrc.models import read_meta
from omnisrc.models.choose_head import head_meta
from omnisrc.models.pretrained.folder import is_pretrained
from omnisrc.shards.store import store_of
from omnisrc.study import Study

KEPT = {
    RECOGNITION: ("top1", "top1_interval", "top5", "mean_class_accuracy", "ece"),
    MULTI_LABEL: ("map", "map_interval", "without_positives"),
}
"""Task -> the figures that the catalogue keeps."""


def evaluate_checkpoint(
    study: Study,
    checkpoint: Path,
    split: str,
    folder: Path,
    name: str,
    *,
    report: Callable[[int, int], None] = lambda done, count: None,
) -> dict[str, Any]:
    """Scores a checkpoint on a split of the target into `folder`, and keeps the figures in the table `run`.

    Args:
        name: under which the catalogue keeps it.

    Raises:
        UserError: no such file or split, or another class list.
    """
    if not checkpoint.is_file() and not is_pretrained(checkpoint):
        raise UserError(f"There is no checkpoint {checkpoint}; name a file, or a run with --run.")
    settings, meta = study.section(EvalSettings), read_meta(checkpoint)
    of_head = head_meta(meta, settings.head) if settings.head else meta
    task = MULTI_LABEL if meta.get("task") == MULTI_LABEL else "auto"
    rows = target_manifest(study, split, of_head.get("class_list_sha256"), task)
    started = study.database().read(now)
    origins, expected = study.database().read(lambda session: _origins(session, rows, split))
    figures = evaluate(
        checkpoint, rows, store_of(study), settings, folder,
        origins=origins, expected=expected, about={"split": split}, report=report,
    )  # fmt: skip
    figures = {**figures, "folder": str(folder)}
    study.database().write(lambda session: _book(session, name, started, rows, figures))
    return figures


def _origins(session: Session, rows: Manifest, split: str) -> tuple[dict[int, Origin], int]:
    """The clips' names and groups, and how many the split was given, those included that could not be taken in."""
    item = models.TargetItem
    class_list = find_class_list(session, rows.class_list_sha256)
    wanted = select(item.id, item.path, item.start, item.end, item.group).where(item.split == split)
    if class_list is not None:
        wanted = wanted.where(item.class_list_id == class_list.id)
    found = session.execute(wanted).all()
    return {row.id: Origin(clip_name(row.path, row.start, row.end), row.group) for row in found}, len(found)


def _book(session: Session, name: str, started: float, rows: Manifest, figures: dict[str, Any]) -> None:
    class_list = find_class_list(session, rows.class_list_sha256)
    said = ("split", "checkpoint", "checkpoint_sha256", "model", "protocol", "folder")
    kept = ("samples", "unreadable", "expected", "data_sha256", *KEPT[figures["task"]])
    row = models.Run(
        kind="eval",
        name=name,
        state="done",
        class_list_id=class_list.id if class_list else None,
        manifest_sha256=figures["manifest_sha256"],
        config={key: figures[key] for key in said},
        metrics={key: figures[key] for key in kept},
        started=started,
        finished=now(session),
    )
    session.add(row)
