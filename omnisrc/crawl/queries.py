"""What is asked of whom: the queries of a class list, and how many more finds each of them should give."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import distinct, func, select
from sqlalchemy.orm import Session

from db.insert import insert_missing
from db.models import ActionClass, Asset, Find, Query, QueryPage

TEXT_LENGTH = 500


@dataclass(frozen=True)
class Scope:
    """What one crawl asks for: the classes of one list, from some providers, in some kinds, so many of each."""

    class_list_id: int
    kinds_of: Mapping[str, tuple[str, ...]]
    """Provider -> the kinds (`image`, `video`) to ask it for."""
    per_class: Mapping[str, int]
    """Kind -> assets to store for each class."""

    @property
    def pairs(self) -> list[tuple[str, str]]:
        return [(provider, kind) for provider, kinds in self.kinds_of.items() for kind in kinds]


def register_queries(session: Session, scope: Scope) -> int:
    """One query for each class, provider and kind, unless it is there; how many there are in scope."""
    classes = session.execute(
        select(ActionClass.id, ActionClass.query).where(ActionClass.class_list_id == scope.class_list_id)
    ).all()
    rows = [
        {
            "class_id": class_id,
            "provider": provider,
            "kind": kind,
            "text": text[:TEXT_LENGTH],
            "time_window": "",
            "wanted": 0,
            "exhausted": False,
        }
        for class_id, text in classes
        for provider, kind in scope.pairs
    ]
    insert_missing(session, Query, rows)
    return len(rows)


@dataclass(frozen=True)
class OpenQuery:
    """A query that can be asked for more: its next page, and how many finds it gave so far."""

    id: int
    class_id: int
    provider: str
    kind: str
    pages: int
    finds: int


def open_queries(session: Session, scope: Scope) -> list[OpenQuery]:
    """The queries in scope whose provider has more."""
    rows = session.execute(
        select(
            Query.id,
            Query.class_id,
            Query.provider,
            Query.kind,
            func.count(QueryPage.id),
            func.coalesce(func.sum(QueryPage.finds), 0),
        )
        .join(ActionClass, ActionClass.id == Query.class_id)
        .outerjoin(QueryPage, QueryPage.query_id == Query.id)
        .where(ActionClass.class_list_id == scope.class_list_id, Query.exhausted.is_(False))
        .group_by(Query.id, Query.class_id, Query.provider, Query.kind)
        .order_by(Query.id)
    )
    found = [OpenQuery(*row) for row in rows]
    return [query for query in found if query.kind in scope.kinds_of.get(query.provider, ())]


def in_hand(session: Session, scope: Scope) -> dict[tuple[int, str], int]:
    """Assets that are stored or still wait, by (class, kind): what failed counts no more, and leaves a gap to fill."""
    rows = session.execute(
        select(Query.class_id, Query.kind, func.count(distinct(Asset.id)))
        .join(ActionClass, ActionClass.id == Query.class_id)
        .join(Find, Find.query_id == Query.id)
        .join(Asset, Asset.id == Find.asset_id)
        .where(ActionClass.class_list_id == scope.class_list_id, Asset.state.in_(["stored", "waiting"]))
        .group_by(Query.class_id, Query.kind)
    )
    return {(class_id, kind): count for class_id, kind, count in rows}


def shares(
    queries: Sequence[OpenQuery],
    have: Mapping[tuple[int, str], int],
    per_class: Mapping[str, int],
    busy: frozenset[int],
) -> list[tuple[OpenQuery, int]]:
    """Which queries to ask now, and each for how many finds, so that every class gets what it lacks.

    A class with a query in `busy` waits for its answer. What a class lacks is split evenly over its queries, those
    that gave the least so far first; a class that has enough asks no more.
    """
    by_class: dict[tuple[int, str], list[OpenQuery]] = defaultdict(list)
    for query in queries:
        by_class[query.class_id, query.kind].append(query)
    asked: list[tuple[OpenQuery, int]] = []
    for (class_id, kind), group in by_class.items():
        lacking = per_class.get(kind, 0) - have.get((class_id, kind), 0)
        if lacking <= 0 or any(query.id in busy for query in group):
            continue
        chosen = sorted(group, key=lambda query: (query.finds, query.id))[:lacking]
        asked += [(query, math.ceil(lacking / len(chosen))) for query in chosen]
    return asked
