"""Pairs that were found alike: web samples with each other, and web samples with val or test items of the target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import case, func, select
from sqlalchemy.orm import Session

from db.models import DuplicatePair, Selection, SelectionMember, Shard, TargetItem
from omnisrc.report.examples import Place, Shown, class_names, describe, evenly_ranked


@dataclass(frozen=True)
class Item:
    """A target item that a web sample resembles."""

    name: str
    split: str
    label: str
    places: list[Place]


@dataclass(frozen=True)
class Pair:
    method: str
    distance: float
    sample: Shown
    other: Shown | None
    item: Item | None


@dataclass
class Pairs:
    """How many pairs there are by (method, split or "web"), and some of them, from the nearest to the farthest."""

    counts: dict[tuple[str, str], int] = field(default_factory=dict)
    contaminated: list[Pair] = field(default_factory=list)
    duplicates: list[Pair] = field(default_factory=list)


def read_pairs(session: Session, selection: Selection, limit: int) -> Pairs:
    """Pairs of one selection, `limit` of each kind."""
    split = func.coalesce(TargetItem.split, "web")
    counts = session.execute(
        select(DuplicatePair.method, split, func.count())
        .outerjoin(TargetItem, TargetItem.id == DuplicatePair.target_item_id)
        .where(DuplicatePair.selection_id == selection.id)
        .group_by(DuplicatePair.method, split)
        .order_by(DuplicatePair.method, split)
    )
    pairs = Pairs({(method, where): count for method, where, count in counts})
    chosen = list(session.scalars(_spread_pairs(selection.id, limit)))
    names = class_names(session, selection.class_list_id)
    samples = _samples(session, selection, chosen, names)
    items = _items(session, [pair.target_item_id for pair in chosen if pair.target_item_id is not None], names)
    for pair in chosen:
        if pair.sample_id not in samples:
            continue
        other = samples.get(pair.other_sample_id) if pair.other_sample_id is not None else None
        item = items.get(pair.target_item_id) if pair.target_item_id is not None else None
        found = Pair(pair.method, pair.distance, samples[pair.sample_id], other, item)
        (pairs.contaminated if item else pairs.duplicates).append(found)
    return pairs


def _spread_pairs(selection_id: int, limit: int) -> Any:
    contaminated = case((DuplicatePair.target_item_id.is_not(None), 1), else_=0)
    nearest_first = (DuplicatePair.distance, DuplicatePair.id)
    ranked = (
        select(
            DuplicatePair.id,
            contaminated.label("contaminated"),
            func.row_number().over(partition_by=contaminated, order_by=nearest_first).label("rank"),
            func.count().over(partition_by=contaminated).label("total"),
        )
        .where(DuplicatePair.selection_id == selection_id)
        .subquery()
    )
    return (
        select(DuplicatePair)
        .join(ranked, ranked.c.id == DuplicatePair.id)
        .where(evenly_ranked(ranked.c.rank, ranked.c.total, limit))
        .order_by(ranked.c.contaminated.desc(), ranked.c.rank)
    )


def _samples(
    session: Session, selection: Selection, pairs: Sequence[DuplicatePair], names: dict[int, str]
) -> dict[int, Shown]:
    """What the page says of the pairs' samples, by sample id."""
    ids = {sample for pair in pairs for sample in (pair.sample_id, pair.other_sample_id) if sample is not None}
    members = session.execute(
        select(SelectionMember.id, SelectionMember.sample_id).where(
            SelectionMember.selection_id == selection.id, SelectionMember.sample_id.in_(ids)
        )
    ).all()
    shown = describe(session, selection, [member_id for member_id, _ in members], names)
    return {sample_id: shown[member_id] for member_id, sample_id in members}


def _items(session: Session, ids: Sequence[int], names: dict[int, str]) -> dict[int, Item]:
    rows = session.execute(
        select(TargetItem, Shard.path)
        .outerjoin(Shard, (Shard.id == TargetItem.shard_id) & Shard.freed.is_(False))
        .where(TargetItem.id.in_(ids))
    )
    found = {}
    for item, shard in rows:
        packed = shard is not None
        place = Place(
            shard if packed else item.path,
            item.offset if packed else 0,
            item.length if packed else -1,
            item.medium,
            *((0.0, 0.0) if packed else (item.start, item.end)),
        )
        name = item.path.replace("\\", "/").rpartition("/")[2]
        found[item.id] = Item(name, item.split, names.get(item.label, str(item.label)), [place])
    return found
