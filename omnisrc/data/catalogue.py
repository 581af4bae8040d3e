"""Class lists and target data in the catalogue."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from db import models
from db.insert import insert_missing
from db.ledger import now
from omnisrc.classes import ActionClass, ClassList, names_sha256
from omnisrc.data.labels import MULTI_LABEL

SCORED = ("val", "test")
"""The splits whose items are scored, and which no web sample may show."""
CHUNK = 1000  # ids in one query


def record_class_list(session: Session, class_list: ClassList) -> int:
    """The id of a class list; the first time, its classes and their parents are written down.

    Lists of the same names in the same order are one list, whatever they are called.
    """
    insert_missing(
        session, models.ClassList,
        [{"name": class_list.name, "sha256": class_list.sha256, "created": now(session)}],
    )  # fmt: skip
    row = session.scalars(select(models.ClassList).where(models.ClassList.sha256 == class_list.sha256)).one()
    if session.scalar(select(models.ActionClass.id).where(models.ActionClass.class_list_id == row.id).limit(1)):
        return row.id
    for action in class_list:
        written = models.ActionClass(
            class_list_id=row.id, position=action.index, name=action.name, query=action.query, tags=list(action.tags)
        )
        session.add(written)
        if action.parents:
            session.flush()
            session.add_all(
                models.ClassEdge(class_id=written.id, level=parent.level, parent=parent.name)
                for parent in action.parents
            )
    session.flush()
    return row.id


def find_class_list(session: Session, sha256: str) -> models.ClassList | None:
    """The class list of these names, if it was recorded."""
    return session.scalar(select(models.ClassList).where(models.ClassList.sha256 == sha256))


def study_class_list(session: Session) -> models.ClassList | None:
    """The study's class list: that of the newest query, else of the newest target item, else the newest."""
    asked = (
        select(models.ActionClass.class_list_id)
        .join(models.Query, models.Query.class_id == models.ActionClass.id)
        .order_by(models.Query.id.desc())
        .limit(1)
    )
    imported = select(models.TargetItem.class_list_id).order_by(models.TargetItem.id.desc()).limit(1)
    newest = select(func.max(models.ClassList.id))
    for query in (asked, imported, newest):
        found = session.scalar(query)
        if found is not None:
            return session.get(models.ClassList, found)
    return None


def class_names(session: Session, class_list_id: int) -> list[str]:
    """The names of a recorded class list, in order."""
    rows = session.scalars(
        select(models.ActionClass.name)
        .where(models.ActionClass.class_list_id == class_list_id)
        .order_by(models.ActionClass.position)
    )
    return list(rows)


def recorded_class_list(session: Session, row: models.ClassList) -> ClassList:
    """A recorded class list as a ClassList: names, queries and tags."""
    classes = session.scalars(
        select(models.ActionClass)
        .where(models.ActionClass.class_list_id == row.id)
        .order_by(models.ActionClass.position)
    ).all()
    made = tuple(ActionClass(c.position, c.name, c.query, tuple(c.tags), id=c.position) for c in classes)
    return ClassList(row.name, made, names_sha256(c.name for c in classes), row.name)


def several_labels(session: Session, items: Sequence[int]) -> dict[int, tuple[int, ...]]:
    """The classes of those of these target items that were added as having several."""
    table, found = models.Annotation, dict[int, tuple[int, ...]]()
    for at in range(0, len(items), CHUNK):
        rows = session.execute(
            select(table.target_item_id, table.payload).where(
                table.task == MULTI_LABEL, table.target_item_id.in_(items[at : at + CHUNK])
            )
        )
        found.update((item, tuple(payload["labels"])) for item, payload in rows if item is not None)
    return found


def target_state(session: Session) -> str:
    """SHA-256 of what val and test hold and what web samples are compared with: it changes when they do."""
    item = models.TargetItem
    rows = session.execute(
        select(item.id, item.split, item.state, item.sha256, func.coalesce(func.length(item.hashes), 0))
        .where(item.split.in_(SCORED))
        .order_by(item.id)
    )
    return hashlib.sha256(repr([tuple(row) for row in rows]).encode()).hexdigest()
