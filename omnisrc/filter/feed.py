"""Frames for a teacher, decoded ahead while it is at work: clips in guard processes, our own JPEGs in threads."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from omnisrc.data.samples import decode_image
from omnisrc.data.transforms import centre_crop, crop_resize
from omnisrc.engine.stage import Job
from omnisrc.errors import ErrorClass, ItemError
from omnisrc.filter.settings import FilterSettings
from omnisrc.filter.teachers import TeacherInput
from omnisrc.media.guard import GuardPool
from omnisrc.media.sampling import SampleFrames
from omnisrc.media.settings import MediaSettings
from omnisrc.media.shared_guard import shared_pool
from omnisrc.media.source import MediaRef, read_source

Frames = NDArray[np.uint8]  # (V, T, S, S, 3); a batch: (B, V, T, S, S, 3)
BATCHES_AHEAD = 2


@dataclass(frozen=True)
class Shown:
    """A sample and where its bytes lie; a clip from `start` to `end` seconds (both 0: all of it)."""

    id: int
    clip: bool
    source: MediaRef | Path
    start: float = 0.0
    end: float = 0.0


def placed(sample: Shown, path: Path) -> Shown:
    """The sample of a shard whose file is `path`."""
    assert isinstance(sample.source, MediaRef)
    return replace(sample, source=sample.source._replace(path=str(path)))


@dataclass
class Feed:
    """Iterates over batches of (ids (B,), frames (B, V, T, S, S, 3)); what could not be shown is in `failed`."""

    job: Job
    samples: Sequence[Shown]
    shown_as: TeacherInput
    batch_size: int
    pool: GuardPool
    threads: ThreadPoolExecutor
    workers: int
    failed: dict[int, ItemError] = field(default_factory=dict)

    def __iter__(self) -> Iterator[tuple[NDArray[np.int64], Frames]]:
        batch: list[tuple[int, Frames]] = []
        for sample, frames in self._decoded():
            self.job.give_way()
            if isinstance(frames, ItemError):
                self.failed[sample.id] = frames
                continue
            batch.append((sample.id, frames))
            if len(batch) == self.batch_size:
                yield _stacked(batch)
                batch = []
        if batch:
            yield _stacked(batch)

    def _decoded(self) -> Iterator[tuple[Shown, Frames | ItemError]]:
        if self.job.lease.losses:  # a worker died on this shard: find out which sample is to blame
            for sample in self.samples:
                self.job.journal(str(sample.id))
                yield sample, self._decode(sample)
            self.job.journal(None)
            return
        ahead: deque[tuple[Shown, Future[Frames | ItemError]]] = deque()
        most = BATCHES_AHEAD * self.batch_size + self.workers
        for sample in self.samples:
            ahead.append((sample, self.threads.submit(self._decode, sample)))
            if len(ahead) > most:
                done, future = ahead.popleft()
                yield done, future.result()
        for done, future in ahead:
            yield done, future.result()

    def _decode(self, sample: Shown) -> Frames | ItemError:
        if self.job.set_aside(str(sample.id)):
            return ItemError(ErrorClass.WORKER_LOST, "workers died on it again and again")
        try:
            return show(self.pool, sample, self.shown_as)
        except ItemError as error:
            return error


def show(pool: GuardPool, sample: Shown, shown_as: TeacherInput) -> Frames:
    """What a teacher is shown of one sample: (V, T, S, S, 3). Of a still V = T = 1. `ItemError` as decoding raises."""
    if sample.clip:
        sampling = SampleFrames(
            shown_as.clip_len, shown_as.frame_interval, shown_as.views, test_mode=True,
            target_fps=shown_as.target_fps or None,
        )  # fmt: skip
        window = (sample.start, sample.end) if sample.end > sample.start else (0.0, math.inf)
        [clip] = pool.clip_frames(sample.source, [window], sampling, short_side=shown_as.short_side)
        frames = clip.frames
    else:
        frames = decode_image(read_source(sample.source), shown_as.short_side)[None]
    box = centre_crop(frames.shape[2], frames.shape[1], shown_as.crop_size / shown_as.short_side)
    out = np.empty((len(frames), shown_as.crop_size, shown_as.crop_size, 3), np.uint8)
    crop_resize(frames, box, out)
    return out.reshape(-1, shown_as.clip_len if sample.clip else 1, *out.shape[1:])


def _stacked(batch: list[tuple[int, Frames]]) -> tuple[NDArray[np.int64], Frames]:
    return np.array([sample for sample, _ in batch], np.int64), np.stack([frames for _, frames in batch])


@contextmanager
def open_feed(
    job: Job, samples: Sequence[Shown], shown_as: TeacherInput, settings: FilterSettings, batch_size: int
) -> Iterator[Feed]:
    """A feed of samples, whose threads end with the context."""
    pool = shared_pool(job.study.section(MediaSettings))
    workers = settings.workers or pool.size
    threads = ThreadPoolExecutor(workers, "decode")
    try:
        yield Feed(job, samples, shown_as, batch_size, pool, threads, workers)
    finally:
        threads.shutdown(wait=True, cancel_futures=True)
