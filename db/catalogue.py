"""What the catalogue says: rows as people and other programs read them."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from db.models import (
    ActionClass,
    Asset,
    Blob,
    Decision,
    Find,
    Prediction,
    PredictionSet,
    Query,
    Sample,
    Selection,
    SelectionMember,
    Shard,
    TargetItem,
    Teacher,
)
from db.session import Database

Rows = Iterator[dict[str, Any]]
AssetCounts = dict[tuple[str, str, str, str | None], int]
CHUNK = 2000


def _chunks(database: Database, query: Any, key: Any, then: Callable[[Session, Sequence[Any]], Rows]) -> Rows:
    """`query` by rising `key`, some rows a transaction, so that an export of millions holds no lock."""
    last = -1
    while True:

        def part(session: Session, last: int = last) -> tuple[list[dict[str, Any]], int | None]:
            rows = session.execute(query.where(key > last).order_by(key).limit(CHUNK)).all()
            return list(then(session, rows)), (rows[-1][0] if rows else None)

        made, reached = database.read(part)
        if reached is None:
            return
        yield from made
        last = reached


def asked_classes(session: Session, asset_ids: Iterable[int]) -> dict[int, list[str]]:
    """Names of the classes whose queries found each asset, best rank first."""
    rows = session.execute(
        select(Find.asset_id, ActionClass.name)
        .join(Query, Query.id == Find.query_id)
        .join(ActionClass, ActionClass.id == Query.class_id)
        .where(Find.asset_id.in_(list(asset_ids)))
        .order_by(Find.rank, Find.id)
    )
    found: dict[int, list[str]] = defaultdict(list)
    for asset_id, name in rows:
        if name not in found[asset_id]:
            found[asset_id].append(name)
    return found


def evidence(session: Session, asset_ids: Iterable[int]) -> dict[tuple[int, str], dict[str, Any]]:
    """The newest evidence of decisions about assets, by (asset, kind of decision)."""
    rows = session.execute(
        select(Decision.asset_id, Decision.kind, Decision.evidence)
        .where(Decision.asset_id.in_(list(asset_ids)))
        .order_by(Decision.id)
    )
    return {(asset_id, kind): told for asset_id, kind, told in rows}


def assets(database: Database) -> Rows:
    """Every asset with what became of it; `evidence` is of its refusal, where somebody's wish was the reason."""
    query = (
        select(Asset.id, Asset, Blob, Shard.path)
        .outerjoin(Blob, Blob.id == Asset.blob_id)
        .outerjoin(Shard, Shard.id == Blob.shard_id)
    )

    def made(session: Session, rows: Sequence[Any]) -> Rows:
        classes = asked_classes(session, [row[0] for row in rows])
        told = evidence(session, [row[0] for row in rows if row[1].error])
        for _, asset, blob, path in rows:
            yield {
                "url": asset.url,
                "page_url": asset.page_url,
                "provider": asset.provider,
                "classes": classes.get(asset.id, []),
                "license": asset.license,
                "author": asset.author,
                "title": asset.title,
                "state": asset.state,
                "error": asset.error,
                "evidence": told.get((asset.id, asset.error or "")),
                "http_status": asset.http_status,
                "sha256": blob.sha256 if blob else None,
                "width": blob.width if blob else asset.found_width,
                "height": blob.height if blob else asset.found_height,
                "duration": blob.duration if blob else asset.found_duration,
                "shard": path,
                "key": blob.key if blob else None,
            }

    return _chunks(database, query, Asset.id, made)


def blob_urls(session: Session, blob_ids: Iterable[int]) -> dict[int, list[Asset]]:
    """The assets that led to each blob, the one that was stored first."""
    found: dict[int, list[Asset]] = defaultdict(list)
    rows = session.scalars(
        select(Asset).where(Asset.blob_id.in_(list(blob_ids))).order_by(Asset.state.desc(), Asset.id)
    )
    for asset in rows:
        found[asset.blob_id or 0].append(asset)
    return found


def _of_blobs(session: Session, blob_ids: Iterable[int]) -> Callable[[int], dict[str, Any]]:
    """For a blob: its first URL and the classes that it was found for."""
    led = blob_urls(session, set(blob_ids))
    classes = asked_classes(session, [asset.id for found in led.values() for asset in found])

    def of(blob_id: int) -> dict[str, Any]:
        found = led.get(blob_id, [])
        names = list(dict.fromkeys(name for asset in found for name in classes.get(asset.id, [])))
        return {"url": found[0].url if found else None, "classes": names}

    return of


def samples(database: Database) -> Rows:
    """Every sample: an image, or a clip with its window in seconds."""
    query = (
        select(Sample.id, Sample, Blob, Shard.path)
        .join(Blob, Blob.id == Sample.blob_id)
        .join(Shard, Shard.id == Blob.shard_id)
    )

    def made(session: Session, rows: Sequence[Any]) -> Rows:
        of = _of_blobs(session, [blob.id for _, _, blob, _ in rows])
        for _, sample, blob, path in rows:
            window = [sample.start, sample.end] if sample.kind == "clip" else None
            yield {
                "sample": sample.id,
                "kind": sample.kind,
                "window": window,
                "error": sample.error,
                "sha256": blob.sha256,
                "shard": path,
                "key": blob.key,
                **of(blob.id),
            }

    return _chunks(database, query, Sample.id, made)


def predictions(database: Database) -> Rows:
    """Every prediction: the five best classes with their probabilities, and that of the asked class."""
    names = database.read(_class_names)
    query = (
        select(Prediction.id, Prediction, Sample, Teacher.name, Teacher.fingerprint)
        .join(Sample, Sample.id == Prediction.sample_id)
        .join(PredictionSet, PredictionSet.id == Prediction.prediction_set_id)
        .join(Teacher, Teacher.id == PredictionSet.teacher_id)
    )

    def made(session: Session, rows: Sequence[Any]) -> Rows:
        of = _of_blobs(session, [sample.blob_id for _, _, sample, _, _ in rows])
        for _, prediction, sample, teacher, fingerprint in rows:

            def probability(logit: float, total: float = prediction.logsumexp) -> float:
                return round(math.exp(logit - total), 6)

            asked = prediction.asked
            yield {
                "sample": sample.id,
                "kind": sample.kind,
                "teacher": teacher,
                "fingerprint": fingerprint,
                "top": [{"class": names.get(label), "probability": probability(x)} for label, x in prediction.top],
                "asked": names.get(asked),
                "asked_probability": probability(prediction.asked_logit) if asked >= 0 else None,
                **of(sample.blob_id),
            }

    return _chunks(database, query, Prediction.id, made)


def leading_assets(session: Session, sample_ids: Iterable[int]) -> list[Asset]:
    """The assets that led to the bytes of samples and may be used, by id."""
    ids = sorted(set(sample_ids))
    found: dict[int, Asset] = {}
    for start in range(0, len(ids), CHUNK):
        query = select(Asset).join(Sample, Sample.blob_id == Asset.blob_id)
        part = query.where(Sample.id.in_(ids[start : start + CHUNK]), Asset.state.in_(("stored", "duplicate")))
        found |= {asset.id: asset for asset in session.scalars(part)}
    return [found[number] for number in sorted(found)]


def kept_samples(session: Session, selection_id: int) -> list[int]:
    """Ids of the samples that a selection keeps."""
    kept = select(SelectionMember.sample_id).where(SelectionMember.reason.is_(None))
    return list(session.scalars(kept.where(SelectionMember.selection_id == selection_id)))


def latest_selection(session: Session, name: str | None = None) -> Selection | None:
    """The newest selection, or the newest of a name."""
    query = select(Selection).order_by(Selection.id.desc()).limit(1)
    return session.scalar(query if name is None else query.where(Selection.name == name))


def selection(database: Database, selection_id: int) -> Rows:
    """Every sample that a selection judged: kept (`reason` null) or dropped and why."""
    names = database.read(_class_names)
    query = (
        select(SelectionMember.id, SelectionMember, Sample, Shard.path)
        .join(Sample, Sample.id == SelectionMember.sample_id)
        .outerjoin(Shard, Shard.id == SelectionMember.shard_id)
        .where(SelectionMember.selection_id == selection_id)
    )

    def made(session: Session, rows: Sequence[Any]) -> Rows:
        of = _of_blobs(session, [sample.blob_id for _, _, sample, _ in rows])
        for _, member, sample, path in rows:
            yield {
                "sample": sample.id,
                "kind": sample.kind,
                "window": [sample.start, sample.end] if sample.kind == "clip" else None,
                "label": names.get(member.label),
                "score": round(member.score, 6),
                "kept": member.reason is None,
                "reason": member.reason,
                "shard": path,
                "key": member.key,
                **of(sample.blob_id),
            }

    return _chunks(database, query, SelectionMember.id, made)


def _class_names(session: Session) -> dict[int, str]:
    """Label -> name, of the study's newest class list."""
    newest = select(func.max(ActionClass.class_list_id)).scalar_subquery()
    rows = session.execute(select(ActionClass.position, ActionClass.name).where(ActionClass.class_list_id == newest))
    return {position: name for position, name in rows}


def asset_counts(session: Session) -> AssetCounts:
    """Number of assets by (provider, kind, state, error class)."""
    rows = session.execute(
        select(Asset.provider, Asset.kind, Asset.state, Asset.error, func.count()).group_by(
            Asset.state,
            Asset.provider,
            Asset.kind,
            Asset.error,  # the order of the index ix_asset_counts
        )
    )
    return {(provider, kind, state, error): count for provider, kind, state, error, count in rows}


def target_counts(session: Session) -> dict[tuple[str, str], int]:
    """Number of target items by (split, state)."""
    rows = session.execute(
        select(TargetItem.split, TargetItem.state, func.count()).group_by(TargetItem.split, TargetItem.state)
    )
    return {(split, state): count for split, state, count in rows}
