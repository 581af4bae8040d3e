"""A pool of guard processes: decode hostile media with limits on memory and time, from any thread.

Celery's workers may not have multiprocessing children, so a guard is a plain subprocess with a pipe.
"""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict
from types import TracebackType
from typing import Any

import numpy as np

from omnisrc.errors import ErrorClass, ItemError
from omnisrc.media.answers import meta_of
from omnisrc.media.clips import ClipFrames
from omnisrc.media.encode import EncodedClip
from omnisrc.media.flow import FlowChunk
from omnisrc.media.flow_parts import PartFlow, PartPairs
from omnisrc.media.guard_process import GuardProcess, Killed
from omnisrc.media.image import LandedImage
from omnisrc.media.phash import Rgb
from omnisrc.media.probe import VideoInfo
from omnisrc.media.sampling import SampleFrames
from omnisrc.media.shots import Segments, Window
from omnisrc.media.source import Source
from omnisrc.media.wire import Buffer, WireError, WireTimeout

TRIES = 3
LONG = 10.0
CALLS_PER_PROCESS = 5_000
"""After so many calls a process is replaced, so that what decoders leak does not add up."""
FAULTS = frozenset({signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL})
"""Signals that a crashing decoder dies of; any other came from outside and says nothing about the item."""


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


class GuardPool:
    """Up to `size` guard processes (0: one for each core that we may use), started when first needed.

    `call` may be used from many threads; each waits for a free process. A process that dies in the middle of a call is
    replaced and the call repeated, three tries in all; one that exceeds `timeout_s` is killed.
    """

    def __init__(self, size: int = 0, memory_mb: int = 1500, timeout_s: float = 60.0) -> None:
        self.size = size or cores()
        self.memory_mb = memory_mb
        self.timeout_s = timeout_s
        self.died: Counter[str] = Counter()
        """How many processes died in the middle of a call, by their signal (`exit` without one)."""
        self._owner = os.getpid()
        self._free = threading.Semaphore(self.size)
        self._lock = threading.Lock()
        self._idle: list[GuardProcess] = []
        self._busy: set[GuardProcess] = set()
        self._starter = ThreadPoolExecutor(1, "guard-starter")  # a guard lives no longer than the thread that made it

    def warm(self) -> None:
        """Starts all processes beside what else is done; a call that comes sooner waits for the first."""
        for _ in range(self.size):
            threading.Thread(target=self._start_one, name="guard-warm", daemon=True).start()

    def _start_one(self) -> None:
        with self._free, suppress(Killed, RuntimeError):  # a call will say what is wrong
            self._put_back(self._take())

    def call(
        self, task: str, source: Source, timeout_s: float | None = None, **params: Any
    ) -> tuple[dict[str, Any], list[Buffer]]:
        """Run a task of `guard_tasks` on a source: its header and buffers.

        `ItemError`: what the task found; DECODE when it took too long or crashed its decoder three times; BOMB when it
        needs more memory than allowed; WORKER_LOST when its process was killed three times. A bug in the task is
        `RuntimeError` with the guard's traceback.
        """
        if os.getpid() != self._owner:  # two processes on one pipe would read each other's answers
            raise RuntimeError("a guard pool does not survive a fork: make one in the new process")
        limit = self.timeout_s if timeout_s is None else timeout_s
        deaths: list[signal.Signals | None] = []
        with self._free:
            while len(deaths) < TRIES:
                try:
                    guard = self._take()
                except Killed as killed:
                    deaths.append(killed.death)
                    continue
                first = guard.calls == 0
                try:
                    answer, buffers = guard.ask(task, source, params, limit)
                except WireError:
                    deaths.append(death := self._drop(guard))
                    with self._lock:
                        self.died[death.name if death else "exit"] += 1
                    continue
                except WireTimeout as error:
                    self._drop(guard)
                    raise ItemError(ErrorClass.DECODE, f"{task} took more than {limit:g} s") from error
                except BaseException:
                    self._drop(guard)
                    raise
                if answer.get("memory"):
                    self._drop(guard)
                    if first:  # otherwise what came before may have used the memory up
                        raise ItemError(ErrorClass.BOMB, f"{task} needs more than {self.memory_mb} MB")
                    continue
                self._put_back(guard)
                return meta_of(answer), buffers
        if all(death in FAULTS for death in deaths):
            raise ItemError(ErrorClass.DECODE, f"{task} crashed: {', '.join(str(d and d.name) for d in deaths)}")
        raise ItemError(ErrorClass.WORKER_LOST, f"{task} lost its guard process {TRIES} times")

    def land_image(self, source: Source, **params: Any) -> LandedImage:
        """`image.land_image` in a guard process, with the same parameters and errors."""
        fields, (data, phash) = self.call("land_image", source, **params)
        return LandedImage(data=bytes(data), phash=bytes(phash), **fields)

    def probe_video(self, source: Source) -> VideoInfo:
        """`probe.probe_video` in a guard process, with the same errors."""
        return VideoInfo(**self.call("probe_video", source)[0])

    def segment_video(self, source: Source, timeout_s: float | None = None, **params: Any) -> Segments:
        """`shots.segment_video` in a guard process. It reads the whole video and gets `LONG` times the usual time."""
        limit = LONG * self.timeout_s if timeout_s is None else timeout_s
        meta, buffers = self.call("segment_video", source, limit, **params)
        windows = [Window(*window) for window in meta["windows"]]
        hashes, window, seconds, quality = (np.asarray(buffer) for buffer in buffers)
        return Segments(VideoInfo(**meta["info"]), windows, hashes, window, seconds, quality)

    def clip_frames(
        self,
        source: Source,
        windows: Sequence[tuple[float, float]],
        sampling: SampleFrames,
        timeout_s: float | None = None,
        **params: Any,
    ) -> list[ClipFrames]:
        """`clips.clip_frames` in a guard process, with the same parameters and errors."""
        asked = {"windows": [list(window) for window in windows], "sampling": asdict(sampling), **params}
        _, arrays = self.call("clip_frames", source, timeout_s, **asked)
        pairs = zip(arrays[::2], arrays[1::2], strict=True)
        return [ClipFrames(np.asarray(frames), np.asarray(indices)) for frames, indices in pairs]

    def cut_clip(
        self, source: Source, start: float, end: float, timeout_s: float | None = None, **params: Any
    ) -> EncodedClip:
        """`encode.cut_clip` in a guard process, with the same parameters and errors."""
        fields, (data,) = self.call("cut_clip", source, timeout_s, start=start, end=end, **params)
        return EncodedClip(data=bytes(data), **fields)

    def flow_chunk(
        self, source: Source, window: tuple[float, float], first: int, count: int,
        timeout_s: float | None = None, **params: Any,
    ) -> FlowChunk:  # fmt: skip
        """`flow.flow_chunk` in a guard process, with the same parameters and errors."""
        asked = {"window": list(window), "first": first, "count": count, **params}
        fields, images = self.call("flow_chunk", source, timeout_s, **asked)
        return FlowChunk([bytes(image) for image in images], **fields)

    def frames_chunk(
        self, source: Source, window: tuple[float, float], first: int, count: int,
        timeout_s: float | None = None, **params: Any,
    ) -> tuple[Rgb, int, float]:  # fmt: skip
        """`flow.frames_chunk` in a guard process, with the same parameters and errors."""
        asked = {"window": list(window), "first": first, "count": count, **params}
        fields, (frames,) = self.call("frames_chunk", source, timeout_s, **asked)
        return np.asarray(frames, dtype=np.uint8), fields["frames"], fields["fps"]

    def part_flow(
        self, source: Source, windows: Sequence[tuple[float, float]], sampling: SampleFrames,
        timeout_s: float | None = None, **params: Any,
    ) -> PartFlow:  # fmt: skip
        """`flow_parts.part_flow` in a guard process, with the same parameters and errors."""
        asked = {"windows": [list(window) for window in windows], "sampling": asdict(sampling), **params}
        meta, (seconds, fields, pictures) = self.call("part_flow", source, timeout_s, **asked)
        return PartFlow(np.asarray(fields), np.asarray(pictures), np.asarray(seconds), meta["counts"], meta["end"])

    def part_pairs(
        self, source: Source, windows: Sequence[tuple[float, float]], sampling: SampleFrames,
        timeout_s: float | None = None, **params: Any,
    ) -> PartPairs:  # fmt: skip
        """`flow_parts.part_pairs` in a guard process, with the same parameters and errors."""
        asked = {"windows": [list(window) for window in windows], "sampling": asdict(sampling), **params}
        meta, (seconds, firsts, frames) = self.call("part_pairs", source, timeout_s, **asked)
        return PartPairs(np.asarray(frames), np.asarray(firsts), np.asarray(seconds), meta["counts"], meta["end"])

    def pids(self) -> list[int]:
        """The processes that run now."""
        with self._lock:
            return [guard.pid for guard in (*self._idle, *self._busy)]

    def close(self) -> None:
        """End all processes. Calls in progress in other threads lose theirs."""
        with self._lock:
            idle, busy = self._idle, list(self._busy)
            self._idle = []
        for guard in idle:
            guard.close()
        for guard in busy:
            os.kill(guard.pid, signal.SIGKILL)
        self._starter.shutdown()

    def __enter__(self) -> GuardPool:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def _take(self) -> GuardProcess:
        with self._lock:
            guard = self._idle.pop() if self._idle else None
        if guard is None:
            guard = self._starter.submit(GuardProcess, self.memory_mb).result()
            guard.wait_ready()
        with self._lock:
            self._busy.add(guard)
        return guard

    def _put_back(self, guard: GuardProcess) -> None:
        worn = guard.calls >= CALLS_PER_PROCESS
        with self._lock:
            self._busy.discard(guard)
            if not worn:
                self._idle.append(guard)
        if worn:
            guard.close()

    def _drop(self, guard: GuardProcess) -> signal.Signals | None:
        with self._lock:
            self._busy.discard(guard)
        return guard.kill()
