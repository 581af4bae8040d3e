"""The target in the catalogue: adding what a data set lists, and the jobs that take it in."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from db import ledger, models
from db.insert import insert_missing
from omnisrc.classes import ClassList
from omnisrc.data.catalogue import record_class_list, several_labels
from omnisrc.data.importers.listing import TargetRow
from omnisrc.data.importers.splits import split_by_group
from omnisrc.data.labels import MULTI_LABEL
from omnisrc.data.settings import TargetSettings
from omnisrc.errors import UserError

STAGE = "import"
SPREAD = 2654435761  # Knuth's multiplier: neighbours in a list (mostly one class) go to different shards
CHUNK = 1000
SHARED, LEAST = 8, 20


@dataclass
class Added:
    """What adding a data set did. `changed` items stand in the study with another label or split, and keep it."""

    new: int = 0
    known: int = 0
    changed: list[str] = field(default_factory=list)
    jobs: int = 0
    splits: Counter[str] = field(default_factory=Counter)


def add_rows(
    session: Session,
    rows: Sequence[TargetRow],
    class_list: ClassList,
    settings: TargetSettings,
    *,
    absent: Sequence[TargetRow] = (),
    reference: bool = False,
    overrides: Sequence[str] = (),
) -> Added:
    """Writes down what is new of a data set and adds the jobs that take it in. Adding it twice changes nothing, but for
    items that failed: they are tried again.

    Where neither the rows nor the study have a val split, one is taken out of train by whole groups.

    Args:
        absent: rows without a file. They are written down to fail, for a score is of so many clips that are expected.

    Raises:
        UserError: the study's target has another class list.
    """
    list_id = record_class_list(session, class_list)
    _refuse_other_list(session, list_id, class_list)
    there = _known(session, [*rows, *absent])
    several = several_labels(session, [item.id for item in there.values()])
    placed = _with_splits(session, rows, there, settings)
    added = Added(splits=Counter(row.split or "train" for row in placed))
    fresh: list[dict[str, Any]] = []
    for row in placed:
        known = there.get(_place(row))
        if known is None:
            fresh.append(_columns(row, list_id))
        elif (known.label, known.split, several.get(known.id, ())) != (row.index, row.split, row.indices):
            added.changed.append(str(row.path))
    added.new, added.known = len(fresh), len(placed) - len(fresh)
    fresh += [_columns(row, list_id) for row in absent if _place(row) not in there]
    for at in range(0, len(fresh), CHUNK):
        insert_missing(session, models.TargetItem, fresh[at : at + CHUNK])
    _annotate(session, [row for row in (*placed, *absent) if row.indices and _place(row) not in there], class_list)
    added.jobs = enqueue_imports(session, settings, reference=reference, overrides=overrides)
    return added


def _refuse_other_list(session: Session, list_id: int, class_list: ClassList) -> None:
    other = session.scalar(
        select(models.ClassList)
        .join(models.TargetItem, models.TargetItem.class_list_id == models.ClassList.id)
        .where(models.ClassList.id != list_id)
        .limit(1)
    )
    if other is not None:
        raise UserError(
            f"The target of this study has the class list {other.name}, not {class_list.name}; use it with --classes,"
            " or add this data set to a --workspace of its own."
        )


Place = tuple[str, float, float]


def _place(row: TargetRow) -> Place:
    return str(row.path), row.start or 0.0, row.end or 0.0


def _known(session: Session, rows: Sequence[TargetRow]) -> dict[Place, models.TargetItem]:
    """The items that the study has of these files."""
    found: dict[Place, models.TargetItem] = {}
    paths = sorted({str(row.path) for row in rows})
    for at in range(0, len(paths), CHUNK):
        chunk = paths[at : at + CHUNK]
        for item in session.scalars(select(models.TargetItem).where(models.TargetItem.path.in_(chunk))):
            found[item.path, item.start, item.end] = item
    return found


def _annotate(session: Session, rows: Sequence[TargetRow], class_list: ClassList) -> None:
    """Writes down all the classes of new clips that may have several."""
    there, names = _known(session, rows), class_list.names
    for row in rows:
        payload = {"labels": list(row.indices), "classes": [names[index] for index in row.indices]}
        session.add(models.Annotation(target_item_id=there[_place(row)].id, task=MULTI_LABEL, payload=payload))
    session.flush()


def _with_splits(
    session: Session, rows: Sequence[TargetRow], there: dict[Place, models.TargetItem], settings: TargetSettings
) -> list[TargetRow]:
    """Every row with a split. What the study has keeps its own where the data set gives none, and where it is the val
    that was taken out of train before."""

    def settled(row: TargetRow) -> TargetRow:
        known = there.get(_place(row))
        if known is not None and (row.split is None or (row.split == "train" and known.split == "val")):
            return replace(row, split=known.split)
        return row

    placed = [settled(row) for row in rows]
    has_val = session.scalar(select(models.TargetItem.id).where(models.TargetItem.split == "val").limit(1)) is not None
    return split_by_group(placed, 0.0 if has_val else settings.val_share, settings.val_seed)


def _columns(row: TargetRow, list_id: int) -> dict[str, Any]:
    path, start, end = _place(row)
    return {
        "class_list_id": list_id, "path": path, "label": row.index, "group": row.group, "split": row.split or "train",
        "start": start, "end": end, "state": "waiting", "offset": 0, "length": -1, "medium": "video",
    }  # fmt: skip


def enqueue_imports(
    session: Session, settings: TargetSettings, *, reference: bool = False, overrides: Sequence[str] = ()
) -> int:
    """Adds jobs for the items that are not stored and in no open job; how many. Items of a part share a split."""
    open_jobs = session.scalars(
        select(models.Job).where(models.Job.stage == STAGE, models.Job.state.in_(ledger.OPEN))
    ).all()
    busy = {item for job in open_jobs for item in job.params["items"]}
    rows = session.execute(
        select(models.TargetItem.id, models.TargetItem.split).where(models.TargetItem.state != "stored")
    ).all()
    round_number = session.scalar(select(func.count()).select_from(models.Job).where(models.Job.stage == STAGE)) or 0
    jobs = 0
    for split in sorted({row.split for row in rows}):
        ids = sorted((row.id for row in rows if row.split == split and row.id not in busy), key=_mixed)
        for number, part in enumerate(even_parts(ids, settings.clips_per_shard)):
            params = {"items": sorted(part), "reference": reference, "round": round_number}
            ledger.enqueue(session, STAGE, f"{split} part {number}", params, overrides=overrides)
            jobs += 1
    return jobs


def even_parts(ids: Sequence[int], most: int) -> list[list[int]]:
    """About equal parts of at most `most`; SHARED parts where each then has LEAST, so that all cores have work."""
    if not ids:
        return []
    count = max(math.ceil(len(ids) / most), min(SHARED, len(ids) // LEAST), 1)
    return [part.tolist() for part in np.array_split(np.array(ids, np.int64), count)]


def _mixed(item: int) -> int:
    return item * SPREAD % (1 << 32)


def target_rows(session: Session) -> tuple[list[TargetRow], list[models.TargetItem]]:
    """The study's target as rows of an importer, and as items, in the same order."""
    items = list(session.scalars(select(models.TargetItem).order_by(models.TargetItem.id)))
    names = {
        (row.class_list_id, row.position): row.name
        for row in session.execute(
            select(models.ActionClass.class_list_id, models.ActionClass.position, models.ActionClass.name)
        )
    }
    rows = [
        TargetRow(
            Path(item.path), names[item.class_list_id, item.label], item.group, item.split,
            item.start if item.end > item.start else None, item.end if item.end > item.start else None, item.label,
        )
        for item in items
    ]  # fmt: skip
    return rows, items
