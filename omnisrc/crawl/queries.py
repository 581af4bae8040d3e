"""What is asked of whom: the queries of a class list, and how many more finds each of them should give."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import distinct, func, select
from sqlalchemy.orm import Session

from db.insert import insert_missing
from db.models import ActionClass, Asset, Find, Query, QueryPage
from omnisrc.crawl.windows import ALL_TIME, Window

TEXT_LENGTH = 500


@dataclass(frozen=True)
class Scope:
    """What one crawl asks for: the classes of one list, from some providers, in some kinds, so many of each."""

    class_list_id: int
    kinds_of: Mapping[str, tuple[str, ...]]
    """Provider -> the kinds (`image`, `video`) to ask it for."""
    per_class: Mapping[str, int]
    """Kind -> assets to store for each class."""
    windowed: frozenset[str] = frozenset()
    """The providers that can be asked for a time window."""
    window: Window = ALL_TIME
    """Only queries of this very window are asked, where it is one."""
    newer: bool = False
    """Providers with windows are asked for what is newer than what they were asked for before, and nothing else."""

    @property
    def pairs(self) -> list[tuple[str, str]]:
        return [(provider, kind) for provider, kinds in self.kinds_of.items() for kind in kinds]

    def as_plain(self) -> dict[str, Any]:
        """All but the class list, as plain values; `read` makes it a scope again."""
        return {
            "kinds_of": {provider: list(kinds) for provider, kinds in self.kinds_of.items()},
            "per_class": dict(self.per_class),
            "windowed": sorted(self.windowed),
            "window": str(self.window),
            "newer": self.newer,
        }

    @classmethod
    def read(cls, class_list_id: int, plain: Mapping[str, Any]) -> Scope:
        """The scope that `as_plain` wrote."""
        return cls(
            class_list_id,
            {provider: tuple(kinds) for provider, kinds in plain["kinds_of"].items()},
            dict(plain["per_class"]),
            frozenset(plain["windowed"]),
            Window.read(plain["window"]),
            bool(plain["newer"]),
        )

    def holds(self, provider: str, kind: str, window: str, pages: int) -> bool:
        """Whether a query of this provider, kind and time window, of which so many pages were asked, may be asked."""
        if kind not in self.kinds_of.get(provider, ()):
            return False
        if self.window:
            return window == str(self.window)
        return not self.newer or provider not in self.windowed or bool(window) or pages == 0


def register_queries(session: Session, scope: Scope) -> int:
    """One query for each class, provider and kind, unless it is there; how many there are in scope."""
    classes = session.execute(
        select(ActionClass.id, ActionClass.query).where(ActionClass.class_list_id == scope.class_list_id)
    ).all()
    rows = [
        query_row(class_id, provider, kind, text, str(scope.window))
        for class_id, text in classes
        for provider, kind in scope.pairs
    ]
    insert_missing(session, Query, rows)
    return len(rows)


def query_row(class_id: int, provider: str, kind: str, text: str, window: str) -> dict[str, Any]:
    """A new row of the table of queries."""
    return {
        "class_id": class_id,
        "provider": provider,
        "kind": kind,
        "text": text[:TEXT_LENGTH],
        "time_window": window,
        "wanted": 0,
        "exhausted": False,
    }


@dataclass(frozen=True)
class OpenQuery:
    """A query that can be asked for more: its next page, and how many finds it gave so far."""

    id: int
    class_id: int
    provider: str
    kind: str
    pages: int
    finds: int
    window: str = ""
    wanted: int = 0


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
            Query.time_window,
            Query.wanted,
        )
        .join(ActionClass, ActionClass.id == Query.class_id)
        .outerjoin(QueryPage, QueryPage.query_id == Query.id)
        .where(ActionClass.class_list_id == scope.class_list_id, Query.exhausted.is_(False))
        .group_by(Query.id, Query.class_id, Query.provider, Query.kind, Query.time_window, Query.wanted)
        .order_by(Query.id)
    )
    found = [OpenQuery(*row) for row in rows]
    return [query for query in found if scope.holds(query.provider, query.kind, query.window, query.pages)]


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
    busy: Mapping[int, int],
) -> list[tuple[OpenQuery, int]]:
    """Which queries to ask now, and each for how many finds, so that every class gets what it lacks.

    `busy` queries are being asked: query -> the finds that are expected of it, which nobody else is asked for. What a
    class lacks beside is split evenly over the other providers that have more, those that gave the least so far first;
    of each its newest window is asked. A class that has enough asks no more.
    """
    by_class: dict[tuple[int, str], list[OpenQuery]] = defaultdict(list)
    for query in queries:
        by_class[query.class_id, query.kind].append(query)
    asked: list[tuple[OpenQuery, int]] = []
    for (class_id, kind), group in by_class.items():
        expected = sum(busy.get(query.id, 0) for query in group)
        lacking = per_class.get(kind, 0) - have.get((class_id, kind), 0) - expected
        if lacking <= 0:
            continue
        chosen = _one_of_each_provider(group, busy)[:lacking]
        asked += [(query, math.ceil(lacking / len(chosen))) for query in chosen]
    return asked


def _one_of_each_provider(group: Sequence[OpenQuery], busy: Mapping[int, int]) -> list[OpenQuery]:
    """The query to ask next of each provider that is not being asked, what gave the least before what gave more."""
    gave: Counter[str] = Counter()
    newest: dict[str, OpenQuery] = {}
    for query in group:
        gave[query.provider] += query.finds
        known = newest.get(query.provider)
        if known is None or (query.window, -query.id) > (known.window, -known.id):
            newest[query.provider] = query
    asking = {query.provider for query in group if query.id in busy}
    free = [query for provider, query in newest.items() if provider not in asking]
    return sorted(free, key=lambda query: (gave[query.provider], query.id))
