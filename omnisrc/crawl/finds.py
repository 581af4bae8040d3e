"""Candidates become assets and finds: an asset once for each URL, a find for each query that gave it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from db.insert import insert_missing
from db.ledger import now
from db.lookup import rows_among
from db.models import Asset, Decision, Find, Tombstone
from omnisrc.crawl.equal_bytes import decision_of, error_of
from omnisrc.crawl.providers.provider import Candidate
from omnisrc.errors import REFUSED, ErrorClass, ItemError
from omnisrc.licences import LicenceRules, canonical, permitted
from omnisrc.web.urls import parse_url

LOCAL_SITE = "file:"

Gone = Mapping[tuple[str, str], Tombstone]


@dataclass(frozen=True)
class Place:
    """Where an asset's bytes are to be had: the text of its URL in one spelling, and the site that paces it."""

    url: str
    site: str
    error: ItemError | None = None

    @cached_property
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
    licences: Sequence[LicenceRules] = (),
) -> int:
    """Writes a page of candidates; the number of assets that were not known before.

    A candidate that cannot be wanted (bad URL, by its own account too small, of a licence that is
    not permitted, taken down, or with the SHA-1 of what an
    owner opted out of) is an asset too: refused.
    """
    places = [place_of(candidate, local_root) for candidate in candidates]
    digests = [place.sha256 for place in places]
    known = _ids(session, digests)
    gone = _tombstones(session, candidates, places)
    rows = {}
    for rank, (candidate, place) in enumerate(zip(candidates, places, strict=True), first_rank):
        if place.sha256 not in known and place.sha256 not in rows:
            rows[place.sha256] = _asset(candidate, place, provider, rank, min_side, gone, licences)
    insert_missing(session, Asset, list(rows.values()))
    ids = {**known, **_ids(session, [digest for digest in digests if digest not in known])}
    finds: dict[int, dict[str, int]] = {}
    for rank, place in enumerate(places, first_rank):
        finds.setdefault(
            ids[place.sha256],
            {"query_id": query_id, "asset_id": ids[place.sha256], "rank": rank, "page": page},
        )
    insert_missing(session, Find, list(finds.values()))
    _record_opt_outs(session, candidates, places, rows, ids, gone)
    return len(rows)


def _record_opt_outs(
    session: Session,
    candidates: Sequence[Candidate],
    places: Sequence[Place],
    rows: Mapping[str, Mapping[str, Any]],
    ids: Mapping[str, int],
    gone: Gone,
) -> None:
    """Writes the evidence of new assets that an earlier opt-out covers."""
    made = {
        ids[place.sha256]: gone["sha1", candidate.sha1 or ""]
        for candidate, place in zip(candidates, places, strict=True)
        if rows.get(place.sha256, {}).get("error") == ErrorClass.OPT_OUT and ("sha1", candidate.sha1 or "") in gone
    }
    if made:
        moment = now(session)
        session.execute(insert(Decision), [decision_of(asset_id, tomb, moment) for asset_id, tomb in made.items()])


def _ids(session: Session, digests: Sequence[str]) -> dict[str, int]:
    rows = rows_among(session, select(Asset.url_sha256, Asset.id), Asset.url_sha256, digests)
    return {digest: asset_id for digest, asset_id in rows}


def _tombstones(session: Session, candidates: Sequence[Candidate], places: Sequence[Place]) -> Gone:
    """What is buried of the candidates' URLs, authors and SHA-1 sums."""
    if session.scalar(select(Tombstone.id).limit(1)) is None:
        return {}
    values = [place.url for place in places]
    values += [text for candidate in candidates for text in (candidate.author, candidate.sha1) if text]
    rows = session.scalars(
        select(Tombstone).where(Tombstone.kind.in_(["url", "author", "sha1"]), Tombstone.value.in_(values))
    )
    return {(tomb.kind, tomb.value): tomb for tomb in rows}


def _asset(
    candidate: Candidate,
    place: Place,
    provider: str,
    rank: int,
    min_side: int,
    gone: Gone,
    licences: Sequence[LicenceRules],
) -> dict[str, Any]:
    error = place.error or _unwanted(candidate, place, min_side, gone, licences)
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
        "found_sha1": candidate.sha1,
        "state": state,
        "error": error.error.value if error else None,
        "error_detail": error.detail if error else None,
        "priority": rank,
        "attempts": 0,
        "losses": 0,
        "strikes": 0,
        "not_before": 0.0,
    }


def _unwanted(
    candidate: Candidate, place: Place, min_side: int, gone: Gone, licences: Sequence[LicenceRules]
) -> ItemError | None:
    for named in (("url", place.url), ("author", candidate.author or ""), ("sha1", candidate.sha1 or "")):
        if named in gone:
            return error_of(gone[named])
    if not permitted(licences, candidate.license, candidate.license_url):
        name = canonical(candidate.license, candidate.license_url) or "no known licence"
        return ItemError(ErrorClass.LICENCE, f"{name}: not permitted by the settings")
    if candidate.width and candidate.height and min(candidate.width, candidate.height) < min_side:
        return ItemError(ErrorClass.TOO_SMALL, f"{candidate.width}x{candidate.height}, says {place.site}")
    return None
