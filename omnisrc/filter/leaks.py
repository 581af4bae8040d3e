"""Planted leaks: frames of val and test, changed as the web changes pictures, to measure how many are found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from db.models import Shard, TargetItem
from omnisrc.data.hashes import picture_hashes
from omnisrc.data.near import nearest, unpack
from omnisrc.data.samples import decode_image
from omnisrc.engine.stage import Job
from omnisrc.errors import ItemError
from omnisrc.filter.contamination import ScoredItems
from omnisrc.media.phash import Rgb
from omnisrc.media.sampling import SampleFrames
from omnisrc.media.settings import MediaSettings
from omnisrc.media.shared_guard import shared_pool
from omnisrc.media.source import MediaRef, Source, read_source
from omnisrc.shards.objects import StoreError
from omnisrc.shards.store import store_of

Change = Callable[[Rgb, np.random.Generator], Rgb]


@dataclass(frozen=True)
class LeakCheck:
    """How many of the planted frames were found, by what was done to them."""

    planted: int = 0
    found: dict[str, int] = field(default_factory=dict)

    def as_counts(self) -> dict[str, Any]:
        share = {name: round(count / self.planted, 3) for name, count in self.found.items()} if self.planted else {}
        return {"planted": self.planted, "recall": share}


def smaller(rgb: Rgb, rng: np.random.Generator) -> Rgb:
    return _compressed(_scaled(rgb, 0.6), 75)


def larger(rgb: Rgb, rng: np.random.Generator) -> Rgb:
    return _compressed(_scaled(rgb, 1.5), 75)


def compressed(rgb: Rgb, rng: np.random.Generator) -> Rgb:
    return _compressed(rgb, 25)


def brighter(rgb: Rgb, rng: np.random.Generator) -> Rgb:
    return np.asarray(np.clip(rgb.astype(np.float32) * 1.2 + 15, 0, 255), np.uint8)


def mirrored(rgb: Rgb, rng: np.random.Generator) -> Rgb:
    return _compressed(rgb[:, ::-1], 75)


def captioned(rgb: Rgb, rng: np.random.Generator) -> Rgb:
    out = rgb.copy()
    height, width = rgb.shape[:2]
    out[round(0.82 * height) : round(0.94 * height), round(0.1 * width) : round(0.9 * width)] = 240
    return _compressed(out, 75)


def letterboxed(rgb: Rgb, rng: np.random.Generator) -> Rgb:
    bar = rgb.shape[0] // 6
    return _compressed(np.pad(rgb, ((bar, bar), (0, 0), (0, 0))), 75)


def square(rgb: Rgb, rng: np.random.Generator) -> Rgb:
    height, width = rgb.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return _compressed(rgb[top : top + side, left : left + side], 75)


def part(share: float) -> Change:
    """Cuts out a part of `share` of each side, anywhere."""

    def change(rgb: Rgb, rng: np.random.Generator) -> Rgb:
        height, width = (max(1, round(side * share)) for side in rgb.shape[:2])
        top, left = rng.integers(rgb.shape[0] - height + 1), rng.integers(rgb.shape[1] - width + 1)
        return _compressed(rgb[top : top + height, left : left + width], 75)

    return change


CHANGES: dict[str, Change] = {
    "smaller": smaller,
    "larger": larger,
    "compressed": compressed,
    "brighter": brighter,
    "mirrored": mirrored,
    "captioned": captioned,
    "letterboxed": letterboxed,
    "square": square,
    "part-95": part(0.95),
    "part-90": part(0.9),
    "part-75": part(0.75),
}


def check_leaks(job: Job, scored: ScoredItems, bits: int, frames: int, seed: int = 0) -> LeakCheck | None:
    """Plants one frame of each of `frames` items, drawn at random, in every way of CHANGES, and looks for them as for
    web pictures. None where nothing is to be planted."""
    if not frames or not len(scored):
        return None
    rng = np.random.default_rng(seed)
    chosen = scored.ids[np.sort(rng.choice(len(scored), min(frames, len(scored)), replace=False))]
    pictures = planted_frames(job, chosen.tolist(), rng)
    if not pictures:
        return None
    found = {}
    for name, change in CHANGES.items():
        hashes, owners = unpack([picture_hashes(change(picture, rng)) for picture in pictures])
        _, apart = nearest(hashes, scored.hashes, bits)
        found[name] = len(set(owners[apart <= bits].tolist()))
    return LeakCheck(len(pictures), found)


def planted_frames(job: Job, items: list[int], rng: np.random.Generator) -> list[Rgb]:
    """A frame of each item, drawn at random; items that cannot be read are left out."""
    pool = shared_pool(job.study.section(MediaSettings))
    one = SampleFrames(clip_len=1)
    pictures = []
    store = store_of(job.study)
    for source, medium, window in job.database.read(lambda session: _places(session, job, items)):
        try:
            source = store.read(*source) if isinstance(source, MediaRef) else source
            if medium == "image":
                pictures.append(decode_image(read_source(source)))
            else:
                [clip] = pool.clip_frames(source, [window], one, seed=int(rng.integers(1 << 31)))
                pictures.append(clip.frames[0])
        except StoreError:
            raise
        except ItemError:
            continue
    return pictures


def _places(session: Session, job: Job, items: list[int]) -> list[tuple[Source, str, tuple[float, float]]]:
    rows = session.execute(
        select(TargetItem, Shard.path)
        .outerjoin(Shard, Shard.id == TargetItem.shard_id)
        .where(TargetItem.id.in_(items), TargetItem.state == "stored")
        .order_by(TargetItem.id)
    )
    found: list[tuple[Source, str, tuple[float, float]]] = []
    for item, path in rows:
        if path is not None:
            found.append((MediaRef(path, item.offset, item.length), item.medium, (0.0, 1e9)))
        else:
            window = (item.start, item.end) if item.end > item.start else (0.0, 1e9)
            found.append((job.study.root / item.path, item.medium, window))
    return found


def _scaled(rgb: Rgb, factor: float) -> Rgb:
    height, width = rgb.shape[:2]
    size = max(8, round(width * factor)), max(8, round(height * factor))
    return np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR), np.uint8)


def _compressed(rgb: Rgb, quality: int) -> Rgb:
    bgr = np.ascontiguousarray(rgb[..., ::-1])
    data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
    return decode_image(data)
