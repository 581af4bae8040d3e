"""Which samples are shown: some of each class that were kept and some that were dropped, evenly spaced over scores."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import case, func, or_, select
from sqlalchemy.orm import Session

from db import catalogue
from db.models import (
    ActionClass,
    Asset,
    Blob,
    Prediction,
    PredictionSet,
    Sample,
    Selection,
    SelectionMember,
    Shard,
)
from omnisrc.report.limits import Limits


@dataclass(frozen=True)
class Place:
    """Where a picture's bytes lie: as in the row of the shard, or absolute for a target that is used in place.

    start, end: seconds of the clip in them; both 0: all of it
    """

    path: str
    offset: int
    length: int  # -1: the whole file
    medium: str  # image | video
    start: float = 0.0
    end: float = 0.0


@dataclass
class Shown:
    """One web sample with what the page says of it. `places` are tried in turn for its picture."""

    sample: int
    kind: str
    places: list[Place]
    window: tuple[float, float] | None = None
    label: str = ""
    score: float = 0.0
    reason: str | None = None
    teacher: list[tuple[str, float]] = field(default_factory=list)  # best classes with their probabilities
    title: str | None = None
    author: str | None = None
    licence: str | None = None
    url: str | None = None
    page_url: str | None = None


@dataclass
class Gallery:
    """The examples of one class; `totals` are of all its samples."""

    name: str
    kept: list[Shown] = field(default_factory=list)
    dropped: list[Shown] = field(default_factory=list)
    totals: dict[str, int] = field(default_factory=lambda: {"kept": 0, "dropped": 0})


def read_examples(session: Session, selection: Selection, limits: Limits) -> list[Gallery]:
    """Galleries of up to `limits.example_classes` classes of a selection."""
    if limits.examples < 1:
        return []
    names = class_names(session, selection.class_list_id)
    labels = session.scalars(
        select(SelectionMember.label).where(SelectionMember.selection_id == selection.id).distinct()
    )
    chosen = spread(sorted(label for label in labels if label in names), limits.example_classes)
    members = session.execute(_spread_members(selection.id, chosen, limits.examples)).all()
    shown = describe(session, selection, [member.id for member in members], names)
    galleries = {label: Gallery(names[label]) for label in chosen}
    for member in members:
        gallery = galleries[member.label]
        (gallery.kept if member.kept else gallery.dropped).append(shown[member.id])
        gallery.totals["kept" if member.kept else "dropped"] = member.total
    return list(galleries.values())


def class_names(session: Session, class_list_id: int | None) -> dict[int, str]:
    """Label -> name."""
    rows = session.execute(
        select(ActionClass.position, ActionClass.name).where(ActionClass.class_list_id == class_list_id)
    )
    return {position: name for position, name in rows}


def spread(values: Sequence[Any], count: int) -> list[Any]:
    """Up to `count` of the values, evenly spaced, the first among them."""
    if len(values) <= count:
        return list(values)
    return [values[index * len(values) // count] for index in range(count)]


def evenly_ranked(rank: Any, total: Any, count: int) -> Any:
    """SQL: whether rank (1, 2, ...) is one of `count` that are evenly spaced over 1 .. total."""

    return or_(rank == 1, (rank - 1) * count // total != (rank - 2) * count // total)


def _spread_members(selection_id: int, labels: Sequence[int], count: int) -> Any:
    """(id, label, kept, total): best scores first, evenly spaced over the ranks of each class and outcome."""
    kept = case((SelectionMember.reason.is_(None), 1), else_=0)
    group = (SelectionMember.label, kept)
    best_first = (SelectionMember.score.desc(), SelectionMember.id)
    ranked = (
        select(
            SelectionMember.id,
            SelectionMember.label,
            kept.label("kept"),
            func.row_number().over(partition_by=group, order_by=best_first).label("rank"),
            func.count().over(partition_by=group).label("total"),
        )
        .where(SelectionMember.selection_id == selection_id, SelectionMember.label.in_(labels))
        .subquery()
    )
    return (
        select(ranked.c.id, ranked.c.label, ranked.c.kept, ranked.c.total)
        .where(evenly_ranked(ranked.c.rank, ranked.c.total, count))
        .order_by(ranked.c.label, ranked.c.kept.desc(), ranked.c.rank)
    )


def describe(
    session: Session, selection: Selection, member_ids: Iterable[int], names: dict[int, str]
) -> dict[int, Shown]:
    """What the page says of members of a selection, by their ids."""
    ids = list(member_ids)
    rows = session.execute(
        select(SelectionMember, Sample, Blob)
        .join(Sample, Sample.id == SelectionMember.sample_id)
        .join(Blob, Blob.id == Sample.blob_id)
        .where(SelectionMember.id.in_(ids))
    ).all()
    shards = _paths(session, [shard for member, _, blob in rows for shard in (member.shard_id, blob.shard_id)])
    assets = catalogue.blob_urls(session, [blob.id for _, _, blob in rows])
    said = _predictions(session, selection, [sample.id for _, sample, _ in rows], names)
    shown = {}
    for member, sample, blob in rows:
        first: Asset | None = next(iter(assets.get(blob.id, [])), None)
        clip = sample.kind == "clip"
        shown[member.id] = Shown(
            sample.id,
            sample.kind,
            [*_packed(member, clip, shards), *_landed(sample, blob, shards)],
            (sample.start, sample.end) if clip else None,
            names.get(member.label, str(member.label)),
            member.score,
            member.reason,
            said.get(sample.id, []),
            first.title if first else None,
            first.author if first else None,
            first.license if first else None,
            first.url if first else None,
            first.page_url if first else None,
        )
    return shown


def _paths(session: Session, shard_ids: Iterable[int | None]) -> dict[int | None, str]:
    """Paths of the shards whose files are there."""
    ids = {shard_id for shard_id in shard_ids if shard_id is not None}
    rows = session.execute(select(Shard.id, Shard.path).where(Shard.id.in_(ids), Shard.freed.is_(False)))
    return {shard_id: path for shard_id, path in rows}


def _packed(member: SelectionMember, clip: bool, shards: dict[int | None, str]) -> list[Place]:
    if member.shard_id not in shards or member.offset is None or member.length is None:
        return []
    return [Place(shards[member.shard_id], member.offset, member.length, "video" if clip else "image")]


def _landed(sample: Sample, blob: Blob, shards: dict[int | None, str]) -> list[Place]:
    if blob.shard_id not in shards:
        return []
    window = (sample.start, sample.end) if sample.kind == "clip" else (0.0, 0.0)
    return [Place(shards[blob.shard_id], blob.offset, blob.length, blob.medium, *window)]


def _predictions(
    session: Session, selection: Selection, sample_ids: Sequence[int], names: dict[int, str], best: int = 2
) -> dict[int, list[tuple[str, float]]]:
    """The `best` classes of each sample by the teachers of a selection, with their probabilities."""
    teachers = [teacher for teacher in selection.teachers.values() if isinstance(teacher, int)]
    rows = session.execute(
        select(Prediction.sample_id, Prediction.top, Prediction.logsumexp)
        .join(PredictionSet, PredictionSet.id == Prediction.prediction_set_id)
        .where(Prediction.sample_id.in_(sample_ids), PredictionSet.teacher_id.in_(teachers))
        .order_by(Prediction.id)
    )
    return {
        sample_id: [(names.get(label, str(label)), math.exp(logit - total)) for label, logit in top[:best]]
        for sample_id, top, total in rows
    }
