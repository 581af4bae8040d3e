"""The stage `import`: a part of the target becomes one target shard, and what web samples are compared with."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from db.ledger import Lease, now
from db.models import Shard, TargetItem
from db.session import Database
from omnisrc.data.catalogue import SCORED, class_names, several_labels
from omnisrc.data.hashes import frame_hashes, scored_hashes
from omnisrc.data.labels import MULTI_LABEL
from omnisrc.data.samples import decode_image
from omnisrc.data.settings import TargetSettings
from omnisrc.errors import ErrorClass, ItemError
from omnisrc.media.guard import GuardPool
from omnisrc.media.phash import Rgb
from omnisrc.media.sampling import SampleFrames
from omnisrc.media.settings import MediaSettings
from omnisrc.media.shared_guard import shared_pool
from omnisrc.media.sniff import SNIFF_BYTES, sniff
from omnisrc.media.source import Source
from omnisrc.shards.store import published, store_of
from omnisrc.shards.verify import file_sha256
from omnisrc.shards.write import Member, ShardFile, ShardWriter, index_path, storage_error
from omnisrc.study import Study

SCHEMA = 1
PATIENCE = 10
"""An item may take so many times longer than a download may: a whole video is encoded."""
HASHED_SIDE = 160
MOST_FRAMES = 600
"""Of a long item, so many frames are looked at for hashes."""


class Job(Protocol):
    """What this stage needs of an `omnisrc.engine.stage.Job`; the engine lies above us."""

    study: Study
    lease: Lease
    database: Database

    @property
    def params(self) -> dict[str, Any]: ...

    @property
    def token(self) -> str: ...

    def set_aside(self, item: str) -> bool: ...

    def give_way(self) -> None: ...

    def journal(self, item: str | None) -> None: ...

    def commit(self, write: Callable[[Session], None], result: Mapping[str, Any] | None = None) -> None: ...


@dataclass
class Taken:
    """One item as it was taken in: the columns of its row, its bytes for the shard, and where they went."""

    facts: dict[str, Any]
    ext: str
    data: bytes
    frames: list[Rgb]  # what its hashes are made of
    member: Member | None = None  # None: it is used in place


@dataclass
class Part:
    """What one job makes."""

    taken: dict[int, Taken] = field(default_factory=dict)
    failed: dict[int, ItemError] = field(default_factory=dict)
    shards: dict[str, ShardFile] = field(default_factory=dict)  # by extension


def run(job: Job) -> None:
    """Takes in the items that the parameters name, unless they are stored. Broken ones fail alone, with their class."""
    items, names, several = job.database.read(lambda session: _items(session, job))
    part = Part()
    writers: dict[str, ShardWriter] = {}
    try:
        for item in items:
            job.give_way()
            try:
                taken = part.taken[item.id] = take_in(job, item)
            except ItemError as error:
                part.failed[item.id] = error
                continue
            if not job.params["reference"]:
                taken.member = _write(job, writers, item, taken, labels_of(item, names, several))
            taken.data = b""
        part.shards = {ext: writer.close() for ext, writer in writers.items()}
        made = [path for shard in part.shards.values() for path in (shard.path, index_path(shard.path))]
        with published(job.study, made):
            job.commit(lambda session: _record(session, job, part), _result(part))
    finally:
        for writer in writers.values():
            writer.abort()


def _items(session: Session, job: Job) -> tuple[list[TargetItem], list[str], dict[int, tuple[int, ...]]]:
    rows = session.scalars(
        select(TargetItem)
        .where(TargetItem.id.in_(job.params["items"]), TargetItem.state != "stored")
        .order_by(TargetItem.id)
    ).all()
    names = class_names(session, rows[0].class_list_id) if rows else []
    return list(rows), names, several_labels(session, [row.id for row in rows])


def labels_of(item: TargetItem, names: list[str], several: Mapping[int, tuple[int, ...]]) -> dict[str, Any]:
    """What a sample's JSON says of an item's class, or of its classes where it may have several; by task."""
    if item.id not in several:
        return {"recognition": {"label": item.label, "class": names[item.label]}}
    labels = several[item.id]
    return {MULTI_LABEL: {"labels": list(labels), "classes": [names[label] for label in labels]}}


def take_in(job: Job, item: TargetItem) -> Taken:
    """Reads one item to its end. `ItemError` for one that is missing, broken, or killed workers again and again."""
    if job.set_aside(str(item.id)):
        raise ItemError(ErrorClass.WORKER_LOST, "workers died on it again and again")
    if job.lease.losses:  # a worker died on this part: find out which item is to blame
        job.journal(str(item.id))
    path = Path(item.path)
    try:
        with path.open("rb") as file:
            kind = sniff(file.read(SNIFF_BYTES)) or ""
        sha256 = file_sha256(path)
    except OSError as error:
        raise storage_error(path, error) from error
    taken = _take_image(job, path) if kind.startswith("image/") else _take_video(job, path, item)
    settings = job.study.section(TargetSettings)
    if item.split in SCORED:
        hashes = scored_hashes(taken.frames, settings.hash_frames)
    else:
        hashes = frame_hashes(taken.frames, settings.train_hash_frames)
    taken.frames = []
    taken.facts |= {"sha256": sha256, "hashes": hashes}
    return taken


def _take_image(job: Job, path: Path) -> Taken:
    settings = job.study.section(MediaSettings)
    landed = shared_pool(settings).land_image(
        path, short_side=settings.image_short_side, min_side=1, quality=settings.jpeg_quality
    )
    size = {"width": landed.width, "height": landed.height}
    facts = {"medium": "image", **size, "frames": 1, "duration": 0.0}
    return Taken(facts, "jpg", landed.data, [decode_image(landed.data)])


def _take_video(job: Job, path: Path, item: TargetItem) -> Taken:
    settings = job.study.section(MediaSettings)
    pool, limit = shared_pool(settings), PATIENCE * settings.guard_timeout_s
    window = (item.start, item.end) if item.end > item.start else (0.0, math.inf)
    if job.params["reference"]:
        info = pool.probe_video(path)
        facts = {
            "medium": "video", "width": info.width, "height": info.height, "frames": info.frames, "fps": info.fps,
            "duration": min(window[1], info.duration) - window[0],
        }  # fmt: skip
        return Taken(facts, "", b"", looked_at(pool, path, window, info.frames, limit))
    clip = pool.cut_clip(
        path, *window, timeout_s=limit, short_side=settings.clip_short_side, keyint=settings.keyint, crf=settings.crf
    )
    facts = {
        "medium": "video", "width": clip.width, "height": clip.height, "frames": clip.frames, "fps": clip.fps,
        "duration": clip.duration,
    }  # fmt: skip
    return Taken(facts, "mp4", clip.data, looked_at(pool, clip.data, (0.0, math.inf), clip.frames, limit))


def looked_at(pool: GuardPool, source: Source, window: tuple[float, float], count: int, limit: float) -> list[Rgb]:
    """The frames of a window (all `count`, or MOST_FRAMES evenly spaced), small."""
    every = SampleFrames(1, num_clips=max(1, min(count, MOST_FRAMES)), test_mode=True)
    [clip] = pool.clip_frames(source, [window], every, timeout_s=limit, short_side=HASHED_SIDE)
    return [np.asarray(frame) for frame in clip.frames]


def _write(job: Job, writers: dict[str, ShardWriter], item: TargetItem, taken: Taken, labels: dict[str, Any]) -> Member:
    if taken.ext not in writers:
        name = f"target-{item.split}-{job.lease.job_id:05d}-{taken.ext}-{job.token}"
        writers[taken.ext] = ShardWriter(job.study.target, name)
    about = {
        "schema": SCHEMA,
        "labels": labels,
        "source": "target",
        "split": item.split,
        "group": item.group,
        "window": [item.start, item.end] if item.end > item.start else None,
        "provenance": {"item": item.id, "path": item.path, "sha256": taken.facts["sha256"]},
    }
    text = json.dumps(about, ensure_ascii=False, sort_keys=True)
    members = writers[taken.ext].write(f"t{item.id:010d}", {taken.ext: taken.data, "json": text.encode()})
    return next(member for member in members if member.ext == taken.ext)


def _record(session: Session, job: Job, part: Part) -> None:
    shards = {}
    for ext, made in part.shards.items():
        shard = Shard(
            kind="target", medium="image" if ext == "jpg" else "video", path=store_of(job.study).place_of(made.path),
            count=made.count, bytes=made.bytes, sha256=made.sha256, created=now(session),
        )  # fmt: skip
        session.add(shard)
        session.flush()
        shards[ext] = shard.id
    rows: list[dict[str, Any]] = []
    for item, taken in part.taken.items():
        place: dict[str, Any] = {"shard_id": None, "key": None, "offset": 0, "length": -1}
        if taken.member is not None:
            member = taken.member
            place = {"shard_id": shards[taken.ext], "key": member.key, "offset": member.offset, "length": member.length}
        rows.append({"id": item, "state": "stored", "error": None, "error_detail": None, **place, **taken.facts})
    for item, error in part.failed.items():
        rows.append({"id": item, "state": "failed", "error": error.error.value, "error_detail": error.detail})
    for row in rows:
        session.execute(update(TargetItem).where(TargetItem.id == row.pop("id")).values(**row))


def _result(part: Part) -> dict[str, Any]:
    errors = Counter(error.error.value for error in part.failed.values())
    return {"stored": len(part.taken), "failed": dict(errors)}
