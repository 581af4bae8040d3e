"""Samples a second of the stage `predict` (read, decode, forward, file, SQL) beside the same forward on ready frames.

Shard by shard, one and then the other; `share` is the median over shards and should be at least 0.8. Images are
427 x 320 as they land, clips 5 s of 340 x 256, H.264 as a download has it (a keyframe every 250 frames).
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

import torch  # noqa: E402
from sqlalchemy import select  # noqa: E402
from sqlalchemy.orm import Session  # noqa: E402

from db import schema  # noqa: E402
from db.ledger import Lease  # noqa: E402
from db.models import Blob, Sample, Shard  # noqa: E402
from omnisrc import resources  # noqa: E402
from omnisrc.engine.stage import Job  # noqa: E402
from omnisrc.engine.work import work_once  # noqa: E402
from omnisrc.filter.feed import Shown, open_feed  # noqa: E402
from omnisrc.filter.forward import Judge, pick_device  # noqa: E402
from omnisrc.filter.planning import enqueue_predictions, enqueue_segments  # noqa: E402
from omnisrc.filter.settings import FilterSettings  # noqa: E402
from omnisrc.filter.teachers import TeacherFile, load_teacher, open_teacher, record_teacher  # noqa: E402
from omnisrc.media.settings import MediaSettings  # noqa: E402
from omnisrc.media.shared_guard import shared_pool  # noqa: E402
from omnisrc.media.source import MediaRef  # noqa: E402
from omnisrc.models import create_model, save_weights  # noqa: E402
from omnisrc.study import Study  # noqa: E402
from tests.filter.web import CLASSES, Item, Web, land  # noqa: E402
from tests.media_files import image_bytes, moving_frames, video_bytes  # noqa: E402

SHARDS = 4  # the first warms up and is not counted
SIZES = {"cpu": {"image": 48, "clip": 4}, "cuda": {"image": 2048, "clip": 96}}  # samples a shard
TEACHERS = {"image": "tsn_r50", "clip": "slowonly_r50"}


def run() -> dict[str, Any]:
    device = pick_device("auto").type
    figures: dict[str, Any] = {"device": device, "torch threads": torch.get_num_threads()}
    if device == "cuda":
        figures["device"] = torch.cuda.get_device_name()
    for kind, name in TEACHERS.items():
        with tempfile.TemporaryDirectory(prefix="omnisrc-bench-") as folder:
            figures |= measure(kind, name, SIZES[device][kind], Path(folder))
    return figures


def measure(kind: str, name: str, count: int, folder: Path) -> dict[str, Any]:
    study = Study.open(folder / "study")
    study.prepare()
    schema.upgrade(study.database(), resources.migrations())
    webs = [land(study, make_items(kind, count, shard), name=f"landing-{shard}") for shard in range(SHARDS)]
    study.database().write(enqueue_segments)
    while work_once(study, ["segment"]):
        pass
    save_weights(
        create_model(name, num_classes=len(CLASSES)), study.models / "t.safetensors", {"classes": list(CLASSES)}
    )
    teacher = open_teacher(study, "t", study.section(FilterSettings))
    teacher_id = study.database().write(lambda session: record_teacher(session, teacher))
    study.database().write(
        lambda session: enqueue_predictions(session, webs[0].class_list, {"image": teacher_id, "clip": teacher_id})
    )
    staged, bare = [], []
    for web in webs:
        staged.append(Stopwatch.of(study, lambda: work_once(study, ["predict"])))
        bare.append(forward_alone(study, web, teacher))
    shares = [b.seconds / a.seconds for a, b in zip(staged[1:], bare[1:], strict=True)]
    work = [b.work / a.work for a, b in zip(staged[1:], bare[1:], strict=True)]
    return {
        f"{kind}s, {name}: stage, samples/s": count / statistics.median(a.seconds for a in staged[1:]),
        f"{kind}s, {name}: bare forward, samples/s": count / statistics.median(b.seconds for b in bare[1:]),
        f"{kind}s, {name}: share": statistics.median(shares),
        f"{kind}s, {name}: share, worst shard": min(shares),
        f"{kind}s, {name}: share by CPU seconds (guards counted)": statistics.median(work),
    }


@dataclass(frozen=True)
class Stopwatch:
    """What something took: seconds by the clock, and of the processors' time (which a busy machine does not blur)."""

    seconds: float
    work: float

    @classmethod
    def of(cls, study: Study, what: Callable[[], object]) -> Stopwatch:
        began, spent = time.perf_counter(), cpu_seconds(study)
        what()
        return cls(time.perf_counter() - began, cpu_seconds(study) - spent)


def cpu_seconds(study: Study) -> float:
    """Of this process and its guard processes."""
    ticks = 0
    for pid in shared_pool(study.section(MediaSettings)).pids():
        ticks += sum(map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]))
    return time.process_time() + ticks / os.sysconf("SC_CLK_TCK")


def make_items(kind: str, count: int, shard: int) -> list[Item]:
    """`count` items with a few different contents; decoding each costs what it costs."""
    if kind == "image":
        contents = [image_bytes(427, 320, seed=100 * shard + n, quality=90) for n in range(min(count, 32))]
    else:
        frames = [moving_frames(125, 340, 256, seed=100 * shard + n, speed=1) for n in range(2)]
        contents = [video_bytes(each, gop=250) for each in frames]
    found = dict.fromkeys(CLASSES, 0)
    medium = "image" if kind == "image" else "video"
    return [Item(f"{shard}-{n}", found, contents[n % len(contents)], medium=medium) for n in range(count)]


def forward_alone(study: Study, web: Web, teacher: TeacherFile) -> Stopwatch:
    """The forward pass alone, on the frames that the stage gives it."""
    settings = study.section(FilterSettings)
    judge = Judge(load_teacher(teacher.path)[0], teacher.input, settings, teacher.precision)
    samples = shown(study, web)
    job = Job(study, Lease(0, "predict", "", {}, "bench", 0, 0), study.database())
    with open_feed(job, samples, teacher.input, settings, judge.batch_size(samples)) as feed:
        ready = list(feed)
    return Stopwatch.of(study, lambda: judge(ready))


def shown(study: Study, web: Web) -> Sequence[Shown]:
    def read(session: Session) -> Sequence[Shown]:
        rows = session.execute(
            select(Sample, Blob, Shard.path)
            .join(Blob, Blob.id == Sample.blob_id)
            .join(Shard, Shard.id == Blob.shard_id)
            .where(Shard.id == web.shards[0])
        )
        return [
            Shown(s.id, s.kind == "clip", MediaRef(str(study.root / path), b.offset, b.length), s.start, s.end)
            for s, b, path in rows
        ]

    return study.database().read(read)


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
