"""The stage `segment`: what of one landing shard can be trained on. An image is a sample; a video is its shots, cut
into windows.

An image in a landing shard is a JPEG that we encoded ourselves, so it is decoded here, as a trainer does; videos lie
there as they came and are decoded in guard processes.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from db.insert import insert_missing
from db.models import Blob, Sample, Shard
from omnisrc.data.hashes import picture_hashes
from omnisrc.data.samples import decode_image
from omnisrc.engine.stage import Job
from omnisrc.errors import ErrorClass, ItemError
from omnisrc.media.guard import GuardPool
from omnisrc.media.settings import MediaSettings
from omnisrc.media.shared_guard import shared_pool
from omnisrc.media.shots import Segments
from omnisrc.media.source import MediaRef
from omnisrc.shards.read import read_bytes
from omnisrc.shards.store import store_of


@dataclass(frozen=True)
class Stored:
    """A blob of the shard: where its bytes lie."""

    id: int
    medium: str
    source: MediaRef


def run(job: Job) -> None:
    """Writes the sample rows of the landing shard in the parameters. Blobs that have samples are left alone.

    An item that cannot be decoded is one sample with its error class. One whose bytes cannot be read (a damaged shard)
    gets none, so that it can be had again once the shard is whole; the job's result counts both.
    """
    pool = shared_pool(job.study.section(MediaSettings))
    rows: list[dict[str, Any]] = []
    errors: Counter[str] = Counter()
    shard, items = job.database.read(lambda session: _stored(session, job))
    with store_of(job.study).holding(shard) as path:
        for item in items:
            job.give_way()
            try:
                rows += _samples(job, pool, replace(item, source=item.source._replace(path=str(path))))
            except ItemError as error:
                errors[error.error.value] += 1
                if error.error is not ErrorClass.STORAGE:
                    rows.append(_row(item.id, "image" if item.medium == "image" else "clip", error=error.error.value))
    unread = errors.pop(ErrorClass.STORAGE.value, 0)
    job.commit(
        lambda session: insert_missing(session, Sample, rows),
        {"samples": len(rows), "errors": dict(errors), "unreadable": {shard: unread} if unread else {}},
    )


def _stored(session: Session, job: Job) -> tuple[str, list[Stored]]:
    shard = session.get_one(Shard, job.params["shard"])
    blobs = session.scalars(
        select(Blob).where(Blob.shard_id == shard.id, Blob.id.not_in(select(Sample.blob_id))).order_by(Blob.id)
    )
    return shard.path, [Stored(blob.id, blob.medium, MediaRef(shard.path, blob.offset, blob.length)) for blob in blobs]


def _samples(job: Job, pool: GuardPool, item: Stored) -> list[dict[str, Any]]:
    if job.set_aside(str(item.id)):
        raise ItemError(ErrorClass.WORKER_LOST, "workers died on it again and again")
    if job.lease.losses:  # a worker died on this shard: find out which item is to blame
        job.journal(str(item.id))
    if item.medium == "image":
        data = read_bytes(item.source.path, item.source.offset, item.source.length)
        return [_row(item.id, "image", hashes=picture_hashes(decode_image(data)))]
    found = pool.segment_video(item.source)
    if not found.windows:
        raise ItemError(ErrorClass.TOO_SMALL, "no shot lasts long enough")
    return [
        _row(item.id, "clip", start=window.start, end=window.end, hashes=window_hashes(found, number))
        for number, window in enumerate(found.windows)
    ]


def window_hashes(found: Segments, number: int) -> bytes | None:
    """The hashes of a window's frames; of the nearest frame where none lies in it."""
    if not len(found.hashes):
        return None
    rows = np.flatnonzero(found.window == number)
    if not len(rows):
        window = found.windows[number]
        rows = np.array([np.abs(found.seconds - (window.start + window.end) / 2).argmin()])
    return found.hashes[rows].tobytes()


def _row(blob: int, kind: str, start: float = 0.0, end: float = 0.0, **given: Any) -> dict[str, Any]:
    return {"blob_id": blob, "kind": kind, "start": start, "end": end, "error": None, "hashes": None, **given}
