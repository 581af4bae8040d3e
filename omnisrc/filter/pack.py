"""The stage `pack`: the kept samples of one part of a selection become one curated shard.

A member is `KEY.jpg` or `KEY.mp4` and `KEY.json`: schema, labels by task, source, window, provenance. What was packed
for an earlier selection is copied from there, which spares the encoding and outlives the landing shard.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from db.ledger import now
from db.models import Asset, Blob, Sample, Selection, SelectionMember, Shard, Teacher
from omnisrc.data.catalogue import class_names
from omnisrc.engine.stage import Job
from omnisrc.errors import ErrorClass, ItemError
from omnisrc.filter.candidates import LIVE, TASK
from omnisrc.media.settings import MediaSettings
from omnisrc.media.shared_guard import shared_pool
from omnisrc.media.source import MediaRef
from omnisrc.shards.attribution import attribution_paths, attributions, files_of_shard, write_attributions
from omnisrc.shards.objects import StoreError
from omnisrc.shards.read import ShardReader, read_bytes
from omnisrc.shards.store import published, store_of
from omnisrc.shards.write import Member, ShardFile, ShardWriter

SCHEMA = 1
SOURCES = {"image": "web-image", "clip": "web-clip"}
CLAIMS = ("url", "page_url", "provider", "license", "license_url", "author", "title")


@dataclass(frozen=True)
class Packed:
    """A member's bytes as a curated shard holds them."""

    data: bytes
    width: int | None
    height: int | None
    frames: int
    fps: float | None
    duration: float
    encoding: dict[str, Any]  # how a clip was encoded; empty for an image, which is as it landed


@dataclass(frozen=True)
class Piece:
    """One member of a part, with what its curated sample says of it."""

    member: int
    sample: Sample
    blob: Blob
    landing: str | None  # path of the landing shard; None: freed
    earlier: tuple[str, str] | None  # shard and key of an earlier packing
    about: dict[str, Any]  # the JSON, but for what packing finds out


def run(job: Job) -> None:
    """Packs the members that the parameters name. One whose bytes cannot be had is dropped from the selection with the
    error class as its reason, and the job's result names its shard."""
    kind = job.params["kind"]
    pieces = job.database.read(lambda session: _pieces(session, job))
    name = f"{kind}s-{job.params['selection']:04d}-{job.params['part']:04d}-{job.token}"
    writer = ShardWriter(job.study.curated, name)
    failed: dict[int, ItemError] = {}
    done: dict[int, tuple[Packed, Member]] = {}
    with writer:
        for piece in pieces:
            job.give_way()
            try:
                packed = _pack(job, piece)
            except StoreError:
                raise  # not the piece's fault
            except ItemError as error:
                failed[piece.member] = error
                continue
            done[piece.member] = packed, _put(writer, kind, piece, packed)
        made = writer.close() if done else None
    if made is not None:
        _credit(made, [piece for piece in pieces if piece.member in done])
    with published(job.study, files_of_shard(made.path) if made is not None else []):
        job.commit(lambda session: _record(session, job, made, done, failed), _result(pieces, failed))


def _credit(made: ShardFile, pieces: list[Piece]) -> None:
    """Writes beside the shard who made what is in it."""
    assets = [asset for piece in pieces for asset in piece.about["provenance"]["assets"]]
    write_attributions(attribution_paths(made.path), attributions(assets))


def _pieces(session: Session, job: Job) -> list[Piece]:
    selection = session.get_one(Selection, job.params["selection"])
    rows = session.execute(
        select(SelectionMember, Sample, Blob, Shard)
        .join(Sample, Sample.id == SelectionMember.sample_id)
        .join(Blob, Blob.id == Sample.blob_id)
        .join(Shard, Shard.id == Blob.shard_id)
        .where(SelectionMember.id.in_(job.params["members"]), SelectionMember.reason.is_(None))
        .order_by(SelectionMember.id)
    ).all()
    names = class_names(session, selection.class_list_id)
    claims = _claims(session, [blob.id for _, _, blob, _ in rows])
    earlier = _earlier(session, [sample.id for _, sample, _, _ in rows])
    common = {"selection": selection.name, "teacher": _teacher(session, selection, job.params["kind"])}
    pieces = []
    for member, sample, blob, shard in rows:
        provenance = {
            **common, "sample": sample.id, "score": member.score, "assets": claims.get(blob.id, []),
            "sha256": blob.sha256, "width": blob.width, "height": blob.height,
        }  # fmt: skip
        about = {
            "schema": SCHEMA,
            "labels": {TASK: {"label": member.label, "class": names[member.label]}},
            "source": SOURCES[sample.kind],
            "window": [sample.start, sample.end] if sample.kind == "clip" else None,
            "provenance": provenance,
        }
        landing = None if shard.freed else shard.path
        pieces.append(Piece(member.id, sample, blob, landing, earlier.get(sample.id), about))
    return pieces


def _claims(session: Session, blobs: list[int]) -> dict[int, list[dict[str, Any]]]:
    """Where each blob came from and who made it: all assets that led to it, the first stored one first."""
    found: dict[int, list[dict[str, Any]]] = {}
    rows = session.scalars(
        select(Asset).where(Asset.blob_id.in_(blobs), Asset.state.in_(LIVE)).order_by(Asset.state.desc(), Asset.id)
    )
    for asset in rows:
        found.setdefault(asset.blob_id or 0, []).append({name: getattr(asset, name) for name in CLAIMS})
    return found


def _earlier(session: Session, samples: list[int]) -> dict[int, tuple[str, str]]:
    rows = session.execute(
        select(SelectionMember.sample_id, Shard.path, SelectionMember.key)
        .join(Shard, Shard.id == SelectionMember.shard_id)
        .where(SelectionMember.sample_id.in_(samples), Shard.freed.is_(False))
        .order_by(SelectionMember.id)
    )
    return {sample: (path, key) for sample, path, key in rows if key is not None}


def _teacher(session: Session, selection: Selection, kind: str) -> dict[str, str] | None:
    teacher_id = selection.teachers.get(kind)
    teacher = session.get(Teacher, teacher_id) if teacher_id is not None else None
    return None if teacher is None else {"name": teacher.name, "fingerprint": teacher.fingerprint}


def _pack(job: Job, piece: Piece) -> Packed:
    settings = job.study.section(MediaSettings)
    encoding = {"short_side": settings.clip_short_side, "keyint": settings.keyint, "crf": settings.crf}
    wanted = encoding if piece.sample.kind == "clip" else {}
    if piece.earlier is not None:
        copied = _copy(job, piece, wanted)
        if copied is not None:
            return copied
    if piece.landing is None:
        raise ItemError(ErrorClass.STORAGE, "its landing shard was freed")
    with store_of(job.study).holding(piece.landing) as path:
        return _cut(job, piece, MediaRef(str(path), piece.blob.offset, piece.blob.length), encoding)


def _cut(job: Job, piece: Piece, source: MediaRef, encoding: dict[str, Any]) -> Packed:
    """A member's bytes from its landing shard."""
    if piece.sample.kind == "image":
        data = read_bytes(source.path, source.offset, source.length)
        return Packed(data, None, None, 1, None, 0.0, {})
    if job.set_aside(str(piece.sample.id)):
        raise ItemError(ErrorClass.WORKER_LOST, "workers died on it again and again")
    if job.lease.losses:
        job.journal(str(piece.sample.id))
    end = piece.sample.end or math.inf
    clip = shared_pool(job.study.section(MediaSettings)).cut_clip(source, piece.sample.start, end, **encoding)
    return Packed(clip.data, clip.width, clip.height, clip.frames, clip.fps, clip.duration, encoding)


def _copy(job: Job, piece: Piece, wanted: Mapping[str, Any]) -> Packed | None:
    """The bytes of an earlier packing, unless they were made otherwise (and the landing shard can still give them)."""
    assert piece.earlier is not None
    path, key = piece.earlier
    try:
        with store_of(job.study).holding(path, index=True) as tar:
            fields = ShardReader(tar).get(key)
        about = json.loads(fields.pop("json"))
        [data] = fields.values()
    except StoreError:
        raise
    except (ItemError, KeyError, ValueError):
        return None  # damaged: `doctor` says so
    media = about["media"]
    if media.get("encoding", {}) != dict(wanted) and piece.landing is not None:
        return None
    return Packed(data, **media)


def _put(writer: ShardWriter, kind: str, piece: Piece, packed: Packed) -> Member:
    media = asdict(packed)
    del media["data"]
    text = json.dumps({**piece.about, "media": media}, ensure_ascii=False, sort_keys=True)
    fields = {"jpg" if kind == "image" else "mp4": packed.data, "json": text.encode()}
    members = writer.write(f"s{piece.sample.id:010d}", fields)
    return next(member for member in members if member.ext != "json")


def _record(
    session: Session,
    job: Job,
    made: ShardFile | None,
    done: dict[int, tuple[Packed, Member]],
    failed: dict[int, ItemError],
) -> None:
    selection = session.get_one(Selection, job.params["selection"], with_for_update=True)  # parts may end at once
    if made is not None:
        shard = Shard(
            kind="curated", medium="image" if job.params["kind"] == "image" else "video",
            path=store_of(job.study).place_of(made.path), count=made.count, bytes=made.bytes, sha256=made.sha256,
            created=now(session),
        )  # fmt: skip
        session.add(shard)
        session.flush()
        rows = [
            {"id": member, "shard_id": shard.id, "key": place.key, "offset": place.offset, "length": place.length,
             "frames": packed.frames, "duration": packed.duration}
            for member, (packed, place) in done.items()
        ]  # fmt: skip
        session.execute(update(SelectionMember), rows)
    reasons = [{"id": member, "reason": error.error.value} for member, error in failed.items()]
    if reasons:
        session.execute(update(SelectionMember), reasons)
    waiting = session.scalar(
        select(func.count()).where(
            SelectionMember.selection_id == selection.id,
            SelectionMember.reason.is_(None),
            SelectionMember.shard_id.is_(None),
        )
    )
    selection.packed = not waiting


def _result(pieces: list[Piece], failed: dict[int, ItemError]) -> dict[str, Any]:
    unread = {member for member, error in failed.items() if error.error is ErrorClass.STORAGE}
    lost = Counter(piece.landing or "freed landing shards" for piece in pieces if piece.member in unread)
    return {"packed": len(pieces) - len(failed), "dropped": len(failed), "unreadable": dict(lost)}
