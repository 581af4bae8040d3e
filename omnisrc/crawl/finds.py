"""Candidates become assets and finds: an asset once for each URL, a find for each query that gave it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.insert import insert_missing
from db.models import Asset, Find, Tombstone
from omnisrc.crawl.providers.provider import Candidate
from omnisrc.errors import REFUSED, ErrorClass, ItemError
from omnisrc.web.urls import parse_url

LOCAL_SITE = "file:"
CHUNK = 500


@dataclass(frozen=True)
class Place:
    """Where an asset's bytes are to be had: the text of its URL in one spelling, and the site that paces it."""

    url: str
    site: str
    error: ItemError | None = None

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.url.encode("utf-8", "surrogatepass")).hexdigest()


def place_of(candidate: Candidate, local_root: Path | None) -> Place:
    """The place of a candidate; `local_root` is the folder whose files may be assets, where its provider is one."""
    if candidate.url.startswith("file:"):
        if local_root is not None and candidate.url.startswith(local_root.as_uri() + "/"):
            return Place(candidate.url, LOCAL_SITE)
        return Place(candidate.url, "", ItemError(ErrorClass.BAD_URL, "a file: URL from the outside"))
    try:
        target = parse_url(candidate.url)
    except ItemError as error:
        return Place(candidate.url, "", error)
    return Place(str(target), target.site)


def record_finds(
    session: Session,
    query_id: int,
    page: int,
    first_rank: int,
    provider: str,
    candidates: Sequence[Candidate],
    *,
    min_side: int,
    local_root: Path | None = None,
) -> int:
    """Writes a page of candidates; the number of assets that were not known before.

    A candidate that cannot be wanted (bad URL, by its own account too small, taken down) is an asset too: refused.
    """
    places = [place_of(candidate, local_root) for candidate in candidates]
    known = _ids(session, [place.sha256 for place in places])
    gone = _tombstones(session, candidates, places)
    rows = {}
    for rank, (candidate, place) in enumerate(zip(candidates, places, strict=True), first_rank):
        if place.sha256 not in known and place.sha256 not in rows:
            rows[place.sha256] = _asset(candidate, place, provider, rank, min_side, gone)
    insert_missing(session, Asset, list(rows.values()))
    ids = _ids(session, [place.sha256 for place in places])
    finds: dict[int, dict[str, int]] = {}
    for rank, place in enumerate(places, first_rank):
        finds.setdefault(
            ids[place.sha256],
            {"query_id": query_id, "asset_id": ids[place.sha256], "rank": rank, "page": page},
        )
    insert_missing(session, Find, list(finds.values()))
    return len(rows)


def _ids(session: Session, digests: Sequence[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for start in range(0, len(digests), CHUNK):
        part = digests[start : start + CHUNK]
        found.update(
            (digest, asset_id)
            for digest, asset_id in session.execute(
                select(Asset.url_sha256, Asset.id).where(Asset.url_sha256.in_(part))
            )
        )
    return found


def _tombstones(session: Session, candidates: Sequence[Candidate], places: Sequence[Place]) -> set[tuple[str, str]]:
    """The URLs and authors among the candidates that were taken down."""
    if session.scalar(select(Tombstone.id).limit(1)) is None:
        return set()
    values = [place.url for place in places] + [c.author for c in candidates if c.author]
    rows = session.execute(
        select(Tombstone.kind, Tombstone.value).where(
            Tombstone.kind.in_(["url", "author"]), Tombstone.value.in_(values)
        )
    )
    return {(kind, value) for kind, value in rows}


def _asset(
    candidate: Candidate, place: Place, provider: str, rank: int, min_side: int, gone: set[tuple[str, str]]
) -> dict[str, Any]:
    error = place.error or _unwanted(candidate, place, min_side, gone)
    state = "waiting" if error is None else "refused" if error.error in REFUSED else "failed"
    return {
        "url": candidate.url.strip(),
        "url_sha256": place.sha256,
        "host": place.site,
        "kind": candidate.kind,
        "provider": provider,
        "page_url": candidate.page_url,
        "license": candidate.license[:200] if candidate.license else None,
        "license_url": candidate.license_url,
        "author": candidate.author,
        "title": candidate.title,
        "found_width": candidate.width,
        "found_height": candidate.height,
        "found_duration": candidate.duration,
        "found_bytes": candidate.bytes,
        "state": state,
        "error": error.error.value if error else None,
        "error_detail": error.detail if error else None,
        "priority": rank,
        "attempts": 0,
        "losses": 0,
        "strikes": 0,
        "not_before": 0.0,
    }


def _unwanted(candidate: Candidate, place: Place, min_side: int, gone: set[tuple[str, str]]) -> ItemError | None:
    if ("url", place.url) in gone or ("author", candidate.author or "") in gone:
        return ItemError(ErrorClass.TAKEN_DOWN, "taken down before")
    if candidate.width and candidate.height and min(candidate.width, candidate.height) < min_side:
        return ItemError(ErrorClass.TOO_SMALL, f"{candidate.width}x{candidate.height}, says {place.site}")
    return None
