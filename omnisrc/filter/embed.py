"""Embeddings of frames by a pretrained trunk, for copies that hashes miss: of web samples, and of val and test.

Both are jobs of the stage `predict`. The target's file also holds pairs of crops of the same frames, from which the
threshold is taken, and planted leaks, by which what is found is measured.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select
from sqlalchemy.orm import Session

from db.ledger import LeaseLost, now
from db.models import Blob, PredictionSet, Sample, Shard, TargetItem
from omnisrc.data.catalogue import SCORED
from omnisrc.engine.stage import Job
from omnisrc.filter.arrays import write_arrays
from omnisrc.filter.feed import Feed, Frames, Shown, open_feed, placed
from omnisrc.filter.forward import Judge
from omnisrc.filter.leaks import CHANGES
from omnisrc.filter.settings import FilterSettings
from omnisrc.filter.teachers import TeacherInput, load_planned
from omnisrc.media.phash import Rgb
from omnisrc.media.source import MediaRef
from omnisrc.shards.store import Held, ShardStore, published, store_of

CALIBRATED = 200  # frames of which two crops are compared
PLANTED = 40
BATCH = 16
CROP_SHARE = (0.5, 0.9)  # of a frame's sides


def run(job: Job) -> None:
    """Embeds the frames of one landing shard, or of val and test, as the parameters say."""
    if job.params["embed"] == "target":
        _embed_target(job)
    else:
        _embed_shard(job)


def _open(job: Job, samples: Sequence[Shown]) -> tuple[Judge, TeacherInput, FilterSettings, int]:
    settings = job.study.section(FilterSettings)
    shown_as = TeacherInput(**job.params["input"])
    judge = Judge(load_planned(job.params), shown_as, settings, job.params["precision"])
    return judge, shown_as, settings, judge.batch_size(samples)


def each_frame(feed: Feed) -> Iterator[tuple[NDArray[np.int64], Frames]]:
    """Batches of (ids (B,), frames (B, V, 1, S, S, 3)) as batches of single frames (B * V, 1, 1, S, S, 3)."""
    for ids, frames in feed:
        yield np.repeat(ids, frames.shape[1]), frames.reshape(-1, 1, 1, *frames.shape[3:])


def _embed_shard(job: Job) -> None:
    shard, samples = job.database.read(lambda session: _web(session, job))
    judge, shown_as, settings, size = _open(job, samples)
    with store_of(job.study).holding(shard) as tar:
        here = [placed(sample, tar) for sample in samples]
        with open_feed(job, here, shown_as, settings, size) as feed:
            said = judge(each_frame(feed))
    path = job.study.landing / prediction_name(job, shard)
    sha256 = write_arrays(path, samples=said.samples, embedding=said.embedding.astype(np.float16))

    def record(session: Session) -> None:
        session.add(
            PredictionSet(
                teacher_id=job.params["teacher"], shard_id=job.params["shard"], path=store_of(job.study).place_of(path),
                count=len(said.samples), sha256=sha256, created=now(session),
            )
        )  # fmt: skip

    with published(job.study, [path]):
        job.commit(record, {"frames": len(said.samples), "aside": len(feed.failed)})


def prediction_name(job: Job, shard: str) -> str:
    """Of the file that a job makes of what it found out of a landing shard."""
    return f"{Path(shard).stem}.{job.params['fingerprint'][:12]}.{job.token}.npz"


def _web(session: Session, job: Job) -> tuple[str, list[Shown]]:
    shard = session.get_one(Shard, job.params["shard"])
    rows = session.execute(
        select(Sample, Blob)
        .join(Blob, Blob.id == Sample.blob_id)
        .where(Blob.shard_id == shard.id, Sample.error.is_(None))
        .order_by(Sample.id)
    )
    return shard.path, [
        Shown(s.id, s.kind == "clip", MediaRef(shard.path, b.offset, b.length), s.start, s.end) for s, b in rows
    ]


def _embed_target(job: Job) -> None:
    """The file holds items (F,), embedding (F, D); crops_a, crops_b (K, D) of the same frames; planted_NAME (P, D)."""
    items = job.database.read(_target)
    judge, shown_as, settings, size = _open(job, items)
    kept: list[Rgb] = []

    def watched(feed: Feed) -> Iterator[tuple[NDArray[np.int64], Frames]]:
        for ids, frames in feed:
            step = max(1, len(items) // CALIBRATED)
            kept.extend(view[len(view) // 2, 0] for view in frames[::step] if len(kept) < CALIBRATED)
            yield np.repeat(ids, frames.shape[1]), frames.reshape(-1, 1, 1, *frames.shape[3:])

    with Held(store_of(job.study)) as held:
        here = [placed(item, held(item.source.path)) if isinstance(item.source, MediaRef) else item for item in items]
        with open_feed(job, here, shown_as, settings, size) as feed:
            said = judge(watched(feed))
    rng = np.random.default_rng(0)
    vectors = {"embedding": said.embedding}
    for name in ("crops_a", "crops_b"):
        vectors[name] = _embed(judge, [random_crop(frame, rng) for frame in kept], shown_as.crop_size)
    for name, change in CHANGES.items():
        changed = [change(frame, rng) for frame in kept[:PLANTED]]
        vectors[f"planted_{name}"] = _embed(judge, changed, shown_as.crop_size)
    folder = job.study.root / "cache"
    folder.mkdir(exist_ok=True)
    path = folder / f"embedding-{job.params['fingerprint'][:12]}-{job.token}.npz"
    write_arrays(path, items=said.samples, **{name: each.astype(np.float16) for name, each in vectors.items()})
    store = store_of(job.study)
    with kept_in(store, path):
        job.commit(lambda session: None, {"path": store.place_of(path), "target": job.params["target"]})


@contextmanager
def kept_in(store: ShardStore, path: Path) -> Iterator[None]:
    """A file that only a job's result names: it goes where the lease was lost."""
    store.put([path])
    try:
        yield
    except LeaseLost:
        store.drop([path])
        raise
    store.settle([path])


def _target(session: Session) -> list[Shown]:
    rows = session.execute(
        select(TargetItem, Shard.path)
        .outerjoin(Shard, Shard.id == TargetItem.shard_id)
        .where(TargetItem.split.in_(SCORED), TargetItem.state == "stored")
        .order_by(TargetItem.id)
    )
    found = []
    for item, path in rows:
        video = item.medium == "video"
        if path is not None:
            found.append(Shown(item.id, video, MediaRef(path, item.offset, item.length)))
        else:
            found.append(Shown(item.id, video, Path(item.path), item.start, item.end))
    return found


def _embed(judge: Judge, pictures: list[Rgb], size: int) -> NDArray[np.float32]:
    """Embeddings of pictures (K, D), each brought to the trunk's square."""
    squares = [
        np.asarray(cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA), np.uint8)[None, None]
        for picture in pictures
    ]
    numbers = np.arange(len(squares), dtype=np.int64)
    starts = range(0, len(squares), BATCH)
    return judge((numbers[at : at + BATCH], np.stack(squares[at : at + BATCH])) for at in starts).embedding


def random_crop(frame: Rgb, rng: np.random.Generator) -> Rgb:
    """A part of a frame, of a random share of its sides, at a random place."""
    share = rng.uniform(*CROP_SHARE)
    height, width = (max(1, round(side * share)) for side in frame.shape[:2])
    top, left = rng.integers(frame.shape[0] - height + 1), rng.integers(frame.shape[1] - width + 1)
    return np.ascontiguousarray(frame[top : top + height, left : left + width])
