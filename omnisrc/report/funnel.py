"""The funnel: what was found, stored, cut into samples, kept and packed; by medium, provider and class."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import case, func, select
from sqlalchemy.orm import Session

from db import catalogue
from db.models import ActionClass, Asset, Find, Query, Sample, SelectionMember
from omnisrc.report.origins import origins

STATES = ("stored", "duplicate", "refused", "failed", "waiting")
MEDIA = {"image": "images", "clip": "videos", "video": "videos"}


@dataclass
class Row:
    """One line of the funnel. `kept`, `dropped` and `packed` count samples of the newest selection."""

    name: str
    found: int = 0
    states: Counter[str] = field(default_factory=Counter)  # of assets
    errors: Counter[str] = field(default_factory=Counter)  # of refused and failed assets, by error class
    samples: int = 0
    set_aside: int = 0
    kept: int = 0
    reasons: Counter[str] = field(default_factory=Counter)  # of dropped samples
    packed: int = 0

    @property
    def dropped(self) -> int:
        return self.reasons.total()

    def add_assets(self, state: str, error: str | None, count: int) -> None:
        self.found += count
        self.states[state] += count
        if state in ("refused", "failed"):
            self.errors[error or "unknown"] += count

    def add_samples(self, error: str | None, count: int) -> None:
        if error is None:
            self.samples += count
        else:
            self.set_aside += count

    def add_members(self, reason: str | None, packed: bool, count: int) -> None:
        if reason is not None:
            self.reasons[reason] += count
            return
        self.kept += count
        self.packed += count if packed else 0


@dataclass
class Funnel:
    """`total` counts each asset and sample once; in `classes` one that was found for two classes counts in both."""

    total: Row
    media: list[Row]
    providers: list[Row]
    classes: list[Row]


class _Rows(dict[Hashable, Row]):
    """Rows by key, made when first counted."""

    def __missing__(self, key: Hashable) -> Row:
        self[key] = Row(str(key))
        return self[key]


def read_funnel(session: Session, class_list_id: int | None, selection_id: int | None) -> Funnel:
    """Counts by SQL; `selection_id` None: nothing was selected yet."""
    total, media, providers = Row("all"), _Rows(), _Rows()
    for (provider, kind, state, error), count in catalogue.asset_counts(session).items():
        for row in (total, media[MEDIA.get(kind, kind)], providers[provider]):
            row.add_assets(state, error, count)
    for provider, kind, error, count in session.execute(_samples_by_provider()):
        for row in (total, media[MEDIA[kind]], providers[provider]):
            row.add_samples(error, count)
    if selection_id is not None:
        for provider, kind, reason, packed, count in session.execute(_members_by_provider(selection_id)):
            for row in (total, media[MEDIA[kind]], providers[provider]):
                row.add_members(reason, bool(packed), count)
    classes = _classes(session, class_list_id, selection_id)
    return Funnel(total, _largest(media.values()), _largest(providers.values()), classes)


def _largest(rows: Iterable[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: (-row.found, row.name))


def _samples_by_provider() -> Any:
    origin = origins()
    columns = (Asset.provider, Sample.kind, Sample.error)
    return (
        select(*columns, func.count())
        .select_from(Sample)
        .join(origin, origin.c.blob_id == Sample.blob_id)
        .join(Asset, Asset.id == origin.c.asset_id)
        .group_by(*columns)
    )


def _packed() -> Any:
    return case((SelectionMember.shard_id.is_not(None), 1), else_=0)


def _members_by_provider(selection_id: int) -> Any:
    origin, packed = origins(), _packed()
    columns = (Asset.provider, Sample.kind, SelectionMember.reason, packed)
    return (
        select(*columns, func.count())
        .select_from(SelectionMember)
        .join(Sample, Sample.id == SelectionMember.sample_id)
        .join(origin, origin.c.blob_id == Sample.blob_id)
        .join(Asset, Asset.id == origin.c.asset_id)
        .where(SelectionMember.selection_id == selection_id)
        .group_by(*columns)
    )


def _classes(session: Session, class_list_id: int | None, selection_id: int | None) -> list[Row]:
    """One row a class of the list, in its order."""
    listed = session.execute(
        select(ActionClass.id, ActionClass.position, ActionClass.name)
        .where(ActionClass.class_list_id == class_list_id)
        .order_by(ActionClass.position)
    ).all()
    by_id = {class_id: Row(name) for class_id, _, name in listed}
    by_label = {position: by_id[class_id] for class_id, position, _ in listed}
    for class_id, state, error, count in _known(session, _assets_by_class(), by_id):
        by_id[class_id].add_assets(state, error, count)
    for class_id, error, count in _known(session, _samples_by_class(), by_id):
        by_id[class_id].add_samples(error, count)
    if selection_id is not None:
        for label, reason, packed, count in _known(session, _members_by_label(selection_id), by_label):
            by_label[label].add_members(reason, bool(packed), count)
    return list(by_id.values())


def _known(session: Session, query: Any, rows: dict[int, Row]) -> Iterable[Sequence[Any]]:
    return (line for line in session.execute(query) if line[0] in rows)


def _assets_by_class() -> Any:
    asked = select(Query.class_id, Find.asset_id).join(Query, Query.id == Find.query_id).distinct().subquery()
    columns = (asked.c.class_id, Asset.state, Asset.error)
    return (
        select(*columns, func.count()).select_from(asked).join(Asset, Asset.id == asked.c.asset_id).group_by(*columns)
    )


def _samples_by_class() -> Any:
    asked = (
        select(Query.class_id, Asset.blob_id)
        .select_from(Find)
        .join(Query, Query.id == Find.query_id)
        .join(Asset, Asset.id == Find.asset_id)
        .where(Asset.blob_id.is_not(None))
        .distinct()
        .subquery()
    )
    columns = (asked.c.class_id, Sample.error)
    return (
        select(*columns, func.count())
        .select_from(asked)
        .join(Sample, Sample.blob_id == asked.c.blob_id)
        .group_by(*columns)
    )


def _members_by_label(selection_id: int) -> Any:
    packed = _packed()
    columns = (SelectionMember.label, SelectionMember.reason, packed)
    return select(*columns, func.count()).where(SelectionMember.selection_id == selection_id).group_by(*columns)
