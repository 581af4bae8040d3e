"""An opt-out covers equal bytes: what one URL's owner keeps from us is not taken from another URL either.

The bytes of a URL that opts out are known by SHA-256 where they were stored before, and by SHA-1 where its provider
told that. They are buried (table `tombstone`): what is or comes with an equal sum is refused with the same evidence.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import and_, insert, or_, select, update
from sqlalchemy.orm import Session

from db.models import Asset, Blob, Decision, Tombstone
from omnisrc.crawl.outcome import Outcome
from omnisrc.errors import ErrorClass, ItemError
from omnisrc.web.refusal import Refusal

SUMS = ("sha256", "sha1")
LIVE = ("stored", "duplicate")
CHUNK = 500


def bury(session: Session, outcomes: Iterable[Outcome], moment: float) -> list[Tombstone]:
    """Buries the bytes of the URLs that opted out, as far as their sums are known; their tombstones, new and old."""
    tombs: dict[tuple[str, str], Tombstone] = {}
    for outcome in outcomes:
        error = outcome.error
        if not isinstance(error, Refusal) or error.error is not ErrorClass.OPT_OUT:
            continue
        evidence = {**error.evidence, "covers": outcome.asset.url}
        for kind, value in _sums(session, outcome.asset):
            tombs[kind, value] = Tombstone(
                kind=kind, value=value, error=error.error.value, reason=error.detail, evidence=evidence, created=moment
            )
    for part in _chunks(list(tombs)):
        old = select(Tombstone).where(Tombstone.kind.in_(SUMS), Tombstone.value.in_([value for _, value in part]))
        tombs.update({(t.kind, t.value): t for t in session.scalars(old) if (t.kind, t.value) in tombs})
    session.add_all(tombs.values())
    session.flush()
    return list(tombs.values())


def _sums(session: Session, asset: Asset) -> list[tuple[str, str]]:
    sums = [("sha1", asset.found_sha1)] if asset.found_sha1 else []
    if asset.blob_id is not None:
        sums += [("sha256", digest) for digest in session.scalars(select(Blob.sha256).where(Blob.id == asset.blob_id))]
    return sums


def buried(session: Session, outcomes: Iterable[Outcome]) -> dict[str, Tombstone]:
    """Of the bytes that were fetched, those that are buried, by SHA-256."""
    if session.scalar(select(Tombstone.id).where(Tombstone.kind.in_(SUMS)).limit(1)) is None:
        return {}
    fetched = {(kind, value): o.sha256 for o in outcomes if o.sha256 for kind, value in _fetched_sums(o)}
    found: dict[str, Tombstone] = {}
    for part in _chunks(list(fetched)):
        values = [value for _, value in part]
        for tomb in session.scalars(select(Tombstone).where(Tombstone.value.in_(values), Tombstone.kind.in_(SUMS))):
            digest = fetched.get((tomb.kind, tomb.value))
            if digest is not None:
                found[digest] = tomb
    return found


def _fetched_sums(outcome: Outcome) -> list[tuple[str, str]]:
    given = (("sha256", outcome.sha256), ("sha1", outcome.sha1))
    return [(kind, value) for kind, value in given if value]


def judged(outcome: Outcome, gone: Mapping[str, Tombstone]) -> Outcome:
    """The outcome, refused where its bytes are buried."""
    tomb = gone.get(outcome.sha256 or "")
    return outcome if tomb is None else replace(outcome, error=error_of(tomb))


def refuse_known(session: Session, tombs: Sequence[Tombstone], moment: float) -> None:
    """Refuses what the catalogue has of buried bytes: assets that led to them, and assets that wait and
    would lead to them by what their provider said."""
    for tomb in {tomb.id: tomb for tomb in tombs}.values():
        blobs = select(Blob.id).where((Blob.sha256 if tomb.kind == "sha256" else Blob.sha1) == tomb.value)
        covered = and_(Asset.blob_id.in_(blobs), Asset.state.in_(LIVE))
        if tomb.kind == "sha1":
            waiting = and_(Asset.found_sha1 == tomb.value, Asset.state == "waiting", Asset.lease_token.is_(None))
            covered = or_(covered, waiting)
        ids = session.scalars(select(Asset.id).where(covered).order_by(Asset.id)).all()
        for part in _chunks(ids):
            error = error_of(tomb)
            change = {"state": "refused", "error": error.error.value, "error_detail": error.detail, "blob_id": None}
            session.execute(update(Asset).where(Asset.id.in_(part)).values(**change))
            session.execute(insert(Decision), [decision_of(asset_id, tomb, moment) for asset_id in part])


def error_of(tomb: Tombstone) -> ItemError:
    """What becomes of an asset that is buried."""
    if tomb.error == ErrorClass.OPT_OUT.value:
        return Refusal(ErrorClass.OPT_OUT, f"equal bytes opted out: {tomb.reason}", _evidence(tomb))
    return ItemError(ErrorClass.TAKEN_DOWN, "taken down before")


def decision_of(asset_id: int, tomb: Tombstone, moment: float) -> dict[str, Any]:
    """The row of a decision that follows from an earlier one."""
    evidence = _evidence(tomb)
    return {"asset_id": asset_id, "kind": tomb.error, "allowed": False, "evidence": evidence, "decided": moment}


def _evidence(tomb: Tombstone) -> dict[str, Any]:
    return {**(tomb.evidence or {}), "by": f"equal {tomb.kind} {tomb.value}"}


def _chunks(items: Sequence[Any]) -> Iterable[Sequence[Any]]:
    return (items[start : start + CHUNK] for start in range(0, len(items), CHUNK))
