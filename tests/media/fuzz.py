"""Feeds broken files to the guard processes, as a crawl and what follows it do, and counts what came of each.

`python -m tests.media.fuzz COUNT [SEED]` (or `make fuzz`) prints the counts, the processes that died by signal, and the
slowest files; it exits with 1 where anything came out that is neither a value nor an ItemError of the media's classes.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from omnisrc.errors import ErrorClass, ItemError
from omnisrc.media.guard import GuardPool
from omnisrc.media.sampling import SampleFrames
from tests.media.mutations import mutant
from tests.media_files import faststart, image_bytes, live_webm, video_bytes

ENDS = frozenset({ErrorClass.DECODE, ErrorClass.NOT_MEDIA, ErrorClass.BOMB, ErrorClass.TOO_SMALL, ErrorClass.EMPTY})
"""What a medium may be refused with; anything else is a fault of ours."""

TASKS = ("probe_video", "segment_video", "clip_frames", "cut_clip")


@dataclass
class Findings:
    """`ends` by task and end, `faults` by the name of the file, `slowest` in seconds."""

    ends: Counter[str] = field(default_factory=Counter)
    faults: dict[str, str] = field(default_factory=dict)
    slowest: list[tuple[float, str]] = field(default_factory=list)


@cache
def files() -> dict[str, bytes]:
    """Small real files of the kinds that are met most."""
    realtime = {"deadline": "realtime", "cpu-used": "8"}
    return {
        **{kind.lower(): image_bytes(160, 140, kind=kind) for kind in ("JPEG", "PNG", "GIF", "WEBP")},
        "jpeg-exif": image_bytes(200, 140, orientation=6),
        "mp4": video_bytes(20, audio=True),
        "mp4-front": faststart(video_bytes(20)),
        "mov": video_bytes(20, container="mov"),
        "avi": video_bytes(20, codec="mpeg4", container="avi"),
        "webm": video_bytes(15, codec="libvpx-vp9", container="webm", options=realtime),
        "webm-live": live_webm(15),
    }


def ask(pool: GuardPool, seed: int, data: bytes, image: bool) -> str:
    """One task for one file: what became of it. Whatever is no ItemError comes out as it is."""
    task = "land_image" if image else TASKS[0] if seed % 2 else Random(seed).choice(TASKS[1:])
    given: dict[str, dict[str, Any]] = {
        "clip_frames": {"short_side": 64},
        "cut_clip": {"start": 0.0, "end": 0.5, "short_side": 64},
        "segment_video": {"shot_over_s": 0.3, "timeout_s": pool.timeout_s},
    }
    try:
        if task == "clip_frames":
            pool.clip_frames(data, [(0.0, 0.5)], SampleFrames(2, 2, test_mode=True), **given[task])
        else:
            getattr(pool, task)(data, **given.get(task, {}))
    except ItemError as error:
        if error.error not in ENDS:
            raise
        slow = " (too long)" if "took more than" in error.detail else ""
        return f"{task}: {error.error.value}{slow}"
    return f"{task}: a value"


def fuzz(pool: GuardPool, count: int, seed: int = 0) -> Findings:
    """`count` broken files, made from seeds `seed` on, as many at once as the pool has processes."""
    found = Findings()
    whole = files()
    images = {name for name, data in whole.items() if name in ("jpeg", "png", "gif", "webp", "jpeg-exif")}

    def one(number: int) -> None:
        name, data = mutant(number, whole)
        began = time.monotonic()
        try:
            end = ask(pool, number, data, name.split()[1] in images)
        except Exception as error:
            end = f"a fault: {type(error).__name__}"
            found.faults[name] = f"{type(error).__name__}: {error}"
        found.ends[end] += 1
        found.slowest = sorted([*found.slowest, (time.monotonic() - began, name)])[-5:]

    with ThreadPoolExecutor(pool.size) as threads:
        list(threads.map(one, range(seed, seed + count)))
    return found


def peak_mb(pid: int) -> float:
    """The most address space that a process has had (Linux)."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmPeak"))


def main(count: int = 2000, seed: int = 0) -> int:
    began = time.monotonic()
    with GuardPool(timeout_s=20.0) as pool:
        found = fuzz(pool, count, seed)
        died = dict(pool.died)
    print(f"{count} files from seed {seed} in {time.monotonic() - began:.0f} s")
    for end, number in sorted(found.ends.items()):
        print(f"{number:8} {end}")
    print(f"processes that died by themselves: {died or 'none'}")
    for seconds, name in reversed(found.slowest):
        print(f"{seconds:8.2f} s  {name}")
    for name, words in found.faults.items():
        print(f"FAULT {name}\n{words}")
    return 1 if found.faults else 0


if __name__ == "__main__":
    sys.exit(main(*[int(argument) for argument in sys.argv[1:]]))
