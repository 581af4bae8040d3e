"""A selection: by which rule and teachers it was made, what it counted, and how the scores lie."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import case, func, select
from sqlalchemy.orm import Session

from db import catalogue
from db.models import Rule, Selection, SelectionMember, Teacher
from omnisrc.config import near
from omnisrc.errors import UserError

BINS = 20

REASONS = {
    "aside": "could not be decoded",
    "taken-down": "taken down on request",
    "uncompared": "could not be compared with val and test",
    "contaminated": "shows a val or test item of the target",
    "licence": "its licence was ruled out",
    "unasked": "found for no class of this list",
    "unjudged": "the teacher has not seen it",
    "unlabelled": "has no label by hand",
    "disagree": "the teacher's first class is none of those it was found for",
    "probability": "the teacher is not sure enough",
    "margin": "the teacher's second class comes too near",
    "near-duplicate": "looks like another sample that was kept",
    "cap": "its class had enough better ones",
}
"""Why samples are dropped -> what that means."""


@dataclass(frozen=True)
class Facts:
    """What a selection is. `rule` and `counts` are (name, value) pairs, nested names joined by dots.

    kept, dropped: samples by score, BINS equal steps from 0 to 1
    """

    id: int
    name: str
    created: float
    decontaminated: bool
    packed: bool
    teachers: list[tuple[str, str, str]]  # (of what, name, fingerprint)
    rule: list[tuple[str, str]]
    counts: list[tuple[str, str]]
    warnings: list[str]
    kept: list[int] = field(default_factory=list)
    dropped: list[int] = field(default_factory=list)


def find_selection(session: Session, name: str | None) -> Selection | None:
    """The newest selection, or the newest of a name.

    Raises:
        UserError: there is none of that name.
    """
    found = catalogue.latest_selection(session, name)
    if found is None and name is not None:
        names = list(session.scalars(select(Selection.name).distinct().order_by(Selection.name)))
        raise UserError(f"There is no selection {name!r}.{near(name, names)}")
    return found


def read_selection(session: Session, selection: Selection) -> Facts:
    """What the page says of a selection."""
    rule = session.get(Rule, selection.rule_id)
    return Facts(
        selection.id,
        selection.name,
        selection.created,
        selection.decontaminated,
        selection.packed,
        _teachers(session, selection),
        flat(rule.params if rule else {}),
        flat(selection.counts),
        [str(warning) for warning in selection.warnings],
        _histogram(session, selection.id, kept=True),
        _histogram(session, selection.id, kept=False),
    )


@dataclass(frozen=True)
class Other:
    """One selection among several: its rule, what it keeps, whether it is packed."""

    name: str
    created: float
    rule: str
    kept: int
    dropped: int
    packed: bool


def read_all_selections(session: Session, limit: int = 20) -> list[Other]:
    """The newest selection of every name, newest first."""
    newest = select(func.max(Selection.id)).group_by(Selection.name)
    kept = func.sum(case((SelectionMember.reason.is_(None), 1), else_=0))
    rows = session.execute(
        select(Selection, Rule.params, kept, func.count(SelectionMember.id))
        .join(Rule, Rule.id == Selection.rule_id)
        .outerjoin(SelectionMember, SelectionMember.selection_id == Selection.id)
        .where(Selection.id.in_(newest))
        .group_by(Selection.id, Rule.id)
        .order_by(Selection.id.desc())
        .limit(limit)
    )
    return [
        Other(row.name, row.created, str(rule.get("name", "")), kept or 0, count - (kept or 0), row.packed)
        for row, rule, kept, count in rows
    ]


def _teachers(session: Session, selection: Selection) -> list[tuple[str, str, str]]:
    found = []
    for medium, teacher_id in sorted(selection.teachers.items()):
        teacher = session.get(Teacher, teacher_id) if isinstance(teacher_id, int) else None
        if teacher is not None:
            found.append((medium, teacher.name, teacher.fingerprint))
    return found


def _histogram(session: Session, selection_id: int, *, kept: bool) -> list[int]:
    """Samples by score. Comparisons only: SQLite need not have floor()."""
    edges = [index / BINS for index in range(1, BINS)]
    bins = [func.sum(case((_between(index, edges), 1), else_=0)) for index in range(BINS)]
    reason = SelectionMember.reason.is_(None) if kept else SelectionMember.reason.is_not(None)
    row = session.execute(select(*bins).where(SelectionMember.selection_id == selection_id, reason)).one()
    return [count or 0 for count in row]


def _between(index: int, edges: list[float]) -> Any:
    score = SelectionMember.score
    if index == 0:
        return score < edges[0]
    if index == len(edges):
        return score >= edges[-1]
    return (score >= edges[index - 1]) & (score < edges[index])


def flat(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested settings as (dotted name, value) pairs."""
    pairs: list[tuple[str, str]] = []
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            pairs.extend(flat(value, f"{name}."))
        elif isinstance(value, float):
            pairs.append((name, f"{value:g}"))
        elif isinstance(value, list | tuple):
            pairs.append((name, ", ".join(map(str, value)) or "none"))
        else:
            pairs.append((name, str(value)))
    return pairs
