"""Crawling again later: queries for what was put up since a provider was last asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from db.insert import insert_missing
from db.ledger import now
from db.models import ActionClass, Query, QueryPage
from omnisrc.crawl.queries import Scope, in_hand, query_row
from omnisrc.crawl.windows import Window

SOON_S = 3600.0
"""What was asked for so lately is not asked for anew by `--newer`: a crawl that is run again goes on with it."""

LATER_S = 86400.0
"""A class that still lacks something, and whose searches have given all they had, is asked about again after this."""


@dataclass(frozen=True)
class Latest:
    """The newest query of one class at one provider: it covers what was put up until `until`."""

    class_id: int
    provider: str
    kind: str
    text: str
    until: float
    exhausted: bool


def register_newer(session: Session, scope: Scope) -> int:
    """Adds windows from what was asked for last until now, where providers know windows; how many.

    With `scope.newer` for every class that lacks something; else for those of them whose newest search has given all
    that it had, a day after. What was never asked is no window's business: it is asked as it is.
    """
    if scope.window:
        return 0
    moment, have = now(session), in_hand(session, scope)
    after_s = SOON_S if scope.newer else LATER_S
    rows = [
        query_row(latest.class_id, latest.provider, latest.kind, latest.text, str(Window(latest.until, moment)))
        for latest in _latest(session, scope)
        if (latest.exhausted or scope.newer)
        and moment - latest.until >= after_s
        and have.get((latest.class_id, latest.kind), 0) < scope.per_class.get(latest.kind, 0)
    ]
    insert_missing(session, Query, rows)
    return len(rows)


def _latest(session: Session, scope: Scope) -> Sequence[Latest]:
    """By class, provider and kind, the query that reaches furthest; none where it was not asked yet."""
    first = func.min(QueryPage.asked)
    rows = session.execute(
        select(Query, first)
        .join(ActionClass, ActionClass.id == Query.class_id)
        .outerjoin(QueryPage, QueryPage.query_id == Query.id)
        .where(ActionClass.class_list_id == scope.class_list_id, Query.provider.in_(scope.windowed))
        .group_by(Query.id)
    )
    found: dict[tuple[int, str, str], Latest] = {}
    unasked: set[tuple[int, str, str]] = set()
    for query, asked in rows:
        place = (query.class_id, query.provider, query.kind)
        if query.kind not in scope.kinds_of.get(query.provider, ()):
            continue
        if asked is None:
            unasked.add(place)
            continue
        end = Window.read(query.time_window).until
        until = asked if end is None else min(end, asked)
        if place not in found or until > found[place].until:
            found[place] = Latest(query.class_id, query.provider, query.kind, query.text, until, query.exhausted)
    return [latest for place, latest in found.items() if place not in unasked]
