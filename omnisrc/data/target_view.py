"""What the study's target holds, counted."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import case, func, select
from sqlalchemy.orm import Session

from db.models import Annotation, TargetItem
from omnisrc.data.labels import MULTI_LABEL

ORDER = {"train": 0, "val": 1, "test": 2}


@dataclass
class TargetSummary:
    """By split: items, stored, failed, waiting, classes, groups, hours. `failed`: (path, error class and detail)."""

    splits: dict[str, dict[str, Any]] = field(default_factory=dict)
    errors: dict[str, int] = field(default_factory=dict)
    failed: list[tuple[str, str]] = field(default_factory=list)


def summary(session: Session) -> TargetSummary:
    """Counts the target items."""

    def number(state: str) -> Any:
        return func.sum(case((TargetItem.state == state, 1), else_=0))

    rows = session.execute(
        select(
            TargetItem.split, func.count(), number("stored"), number("failed"), number("waiting"),
            func.count(TargetItem.label.distinct()), func.count(TargetItem.group.distinct()),
            func.coalesce(func.sum(TargetItem.duration), 0.0),
        ).group_by(TargetItem.split)
    ).all()  # fmt: skip
    found = TargetSummary()
    for split, items, stored, failed, waiting, classes, groups, seconds in sorted(rows, key=lambda r: ORDER[r[0]]):
        found.splits[split] = {
            "items": items, "stored": stored, "failed": failed, "waiting": waiting, "classes": classes,
            "groups": groups, "hours": round(float(seconds) / 3600, 2),
        }  # fmt: skip
    for split, labels in _several(session).items():
        found.splits[split]["classes"] = len(labels)
    broken = session.execute(
        select(TargetItem.path, TargetItem.error, TargetItem.error_detail)
        .where(TargetItem.state == "failed")
        .order_by(TargetItem.id)
    ).all()
    for path, error, detail in broken:
        found.errors[error or ""] = found.errors.get(error or "", 0) + 1
        found.failed.append((path, f"{error} {detail or ''}".strip()))
    return found


def _several(session: Session) -> dict[str, set[int]]:
    """The classes of each split in which clips have several."""
    noted = session.execute(
        select(TargetItem.split, Annotation.payload)
        .join(Annotation, Annotation.target_item_id == TargetItem.id)
        .where(Annotation.task == MULTI_LABEL)
    )
    found: dict[str, set[int]] = {}
    for split, payload in noted:
        found.setdefault(split, set()).update(payload["labels"])
    return found
