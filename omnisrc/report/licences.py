"""The licences of the web data, with those marked that a user must think about before training."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import case, func, select
from sqlalchemy.orm import Session

from db.models import Asset, Sample, SelectionMember
from omnisrc.report.origins import origins

NO_DERIVATIVES, UNKNOWN, RESERVED, NON_COMMERCIAL = "no derivatives", "unknown", "all rights reserved", "non-commercial"
SHOWN = 40

_SILENT = {"", "-", "?", "n/a", "na", "none", "null", "unknown", "unspecified", "undefined", "see page", "other"}
_PART = re.compile(r"[a-z]+")


def marks(licence: str | None, url: str | None) -> tuple[str, ...]:
    """What a licence's name and URL say against using it freely; `unknown` where neither says anything.

    Derivatives are ruled out by the Creative Commons part ND, however it is written: `CC BY-ND 4.0`, `cc-by-nc-nd`,
    `Attribution-NoDerivs`, `.../licenses/by-nd/2.0/`.
    """
    text = " ".join((licence or "").lower().split())
    address = (url or "").lower()
    if text in _SILENT and not address:
        return (UNKNOWN,)
    parts = set(_PART.findall(text)) | set(_PART.findall(address))
    joined = re.sub(r"[^a-z]", "", text)
    found = []
    if "nd" in parts or "noderiv" in joined:
        found.append(NO_DERIVATIVES)
    if "allrightsreserved" in joined or "incopyright" in joined or "/inc/" in address:
        found.append(RESERVED)
    if "nc" in parts or "noncommercial" in joined:
        found.append(NON_COMMERCIAL)
    return tuple(found)


@dataclass
class Licence:
    """One licence: assets found and stored, samples kept."""

    name: str
    marks: tuple[str, ...] = ()
    found: int = 0
    stored: int = 0
    kept: int = 0


@dataclass
class Licences:
    """The most frequent licences, the rest in one row, and what is marked: mark -> assets stored, samples kept."""

    rows: list[Licence] = field(default_factory=list)
    stored: Counter[str] = field(default_factory=Counter)
    kept: Counter[str] = field(default_factory=Counter)


def read_licences(session: Session, selection_id: int | None) -> Licences:
    """Counts of assets by licence, and of the samples that a selection keeps."""
    licences = Licences()
    rows: dict[str, Licence] = {}
    for name, url, found, stored in session.execute(_assets()):
        row = _row(rows, name, url)
        row.found += found
        row.stored += stored or 0
        licences.stored.update({mark: stored or 0 for mark in marks(name, url)})
    if selection_id is not None:
        for name, url, kept in session.execute(_kept(selection_id)):
            _row(rows, name, url).kept += kept
            licences.kept.update({mark: kept for mark in marks(name, url)})
    licences.rows = sorted(rows.values(), key=lambda row: (-row.found, row.name))
    return licences


def _row(rows: dict[str, Licence], name: str | None, url: str | None) -> Licence:
    """The row of a licence; from SHOWN on, all others share one, so that no provider can fill the memory."""
    shown = " ".join((name or url or "").split())[:100] or "none given"
    if shown not in rows and len(rows) >= SHOWN:
        return rows.setdefault("others", Licence("others"))
    return rows.setdefault(shown, Licence(shown, marks(name, url)))


def _assets() -> Any:
    stored = func.sum(case((Asset.state == "stored", 1), else_=0))
    columns = (Asset.license, Asset.license_url)
    return select(*columns, func.count(), stored).group_by(*columns).order_by(func.count().desc(), *columns)


def _kept(selection_id: int) -> Any:
    origin = origins()
    columns = (Asset.license, Asset.license_url)
    return (
        select(*columns, func.count())
        .select_from(SelectionMember)
        .join(Sample, Sample.id == SelectionMember.sample_id)
        .join(origin, origin.c.blob_id == Sample.blob_id)
        .join(Asset, Asset.id == origin.c.asset_id)
        .where(SelectionMember.selection_id == selection_id, SelectionMember.reason.is_(None))
        .group_by(*columns)
        .order_by(func.count().desc(), *columns)
    )
