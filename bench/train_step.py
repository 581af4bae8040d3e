"""Steps a second of the trainer, its loading included, beside the same step on batches that are ready in memory.

Both take steps of the same mix of target clips, stills and web clips, a block of one and a block of the other in turn;
`share` is the median over pairs of blocks. `small` is a study of short clips whose decoded frames are kept in memory
(its first pass, which decodes them, beside it); `full` is TSN at 224 x 224 on curated clips of 10 s, none kept.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

import torch  # noqa: E402

from omnisrc.data.batch import Batch  # noqa: E402
from omnisrc.data.loading import mixed_steps  # noqa: E402
from omnisrc.data.manifest import Manifest, manifest_of  # noqa: E402
from omnisrc.media.encode import cut_clip  # noqa: E402
from omnisrc.models import create_model  # noqa: E402
from omnisrc.shards.write import ShardWriter  # noqa: E402
from omnisrc.train.distribution import Place  # noqa: E402
from omnisrc.train.run_folder import Recipe, RunFolder  # noqa: E402
from omnisrc.train.settings import TrainSettings, parse_mix  # noqa: E402
from omnisrc.train.sources import resolve  # noqa: E402
from omnisrc.train.tally import Tally  # noqa: E402
from omnisrc.train.trainer import Trainer, take_step  # noqa: E402
from tests.media_files import image_bytes, moving_frames, video_bytes  # noqa: E402

CLASSES = tuple("abcdefgh")
SMALL = {
    "model": "slowonly_r18", "model_args": {"width": 16}, "clip_len": 4, "frame_interval": 4, "crop_size": 64,
    "batch_size": 12,
}  # fmt: skip
FULL = {"model": "tsn_r18", "crop_size": 224, "batch_size": 4, "cache_mb": 0}


def run() -> dict[str, Any]:
    figures: dict[str, Any] = {"torch threads": torch.get_num_threads()}
    with tempfile.TemporaryDirectory(prefix="omnisrc-bench-") as folder:
        small = make_media(Path(folder) / "small", 48, width=128, height=96, frames=30)
        figures |= measure("small", small, Path(folder) / "small", SMALL, block=12, blocks=9)
        full = make_media(Path(folder) / "full", 12, width=340, height=256, frames=250)
        figures |= measure("full", full, Path(folder) / "full", FULL, block=2, blocks=5)
    return figures


def make_media(root: Path, count: int, *, width: int, height: int, frames: int) -> Manifest:
    """`count` target clips and half as many of each web source, as they lie in shards."""
    columns: dict[str, list[Any]] = {
        name: [] for name in ("sample", "source", "split", "label", "path", "key", "offset", "length", "medium")
    }
    for source, number in (("target", count), ("web-image", count), ("web-clip", count // 2)):
        still = source == "web-image"
        with ShardWriter(root, source) as shard:
            for at in range(number):
                if still:
                    data = image_bytes(round(width * 320 / height), 320, seed=at)
                else:
                    film = video_bytes(moving_frames(frames, width, height, seed=at, speed=1))
                    data = cut_clip(film, 0, frames / 25, short_side=height).data
                [member] = shard.write(f"k{at}", {"jpg" if still else "mp4": data})
                row = (
                    at, source, "train", at % len(CLASSES), f"{source}.tar", member.key, member.offset, member.length,
                    "image" if still else "video",
                )  # fmt: skip
                for column, value in zip(columns.values(), row, strict=True):
                    column.append(value)
            shard.close()
    return manifest_of(columns, CLASSES, "bench", "0" * 64)


def measure(
    name: str, manifest: Manifest, root: Path, settings: dict[str, Any], *, block: int, blocks: int
) -> dict[str, Any]:
    """The share of the ready step's rate that the trainer reaches."""
    mix = parse_mix("web,target")
    asked = TrainSettings(steps=10_000, device="cpu", workers=0, **settings)
    spec = create_model(asked.model, len(CLASSES), **asked.model_args).input
    recipe = Recipe(resolve(asked, spec, mix, manifest), mix, 0, "", manifest.sha256, {})
    trainer = Trainer(RunFolder(root / "run"), manifest, root, recipe, Place(0, 1, torch.device("cpu")))
    trainer.student.train()
    ready = [trainer.mix[step] for step in range(9_000, 9_000 + block)]
    assert all(isinstance(batches, list) for batches in ready)
    timed(trainer, islice(cycle(ready), 3))  # torch prepares its kernels
    trainer.mix.sources[0].reader.cache.clear()
    feed = mixed_steps(trainer.mix, 0, 8_000)
    pairs = []
    for number in range(blocks):
        ours, theirs = (lambda: timed(trainer, islice(feed, block)), lambda: timed(trainer, iter(ready)))
        pairs.append((ours(), theirs()) if number % 2 else (theirs(), ours())[::-1])
    later = pairs[2:]
    batch = sum(len(batch) for batch in ready[0])
    cold = {f"{name}: share in the first blocks, nothing decoded yet": pairs[0][1] / pairs[0][0]}
    return {
        f"{name}: {recipe.settings.model}, {batch} samples a step, steps/s of the trainer": block
        / statistics.median(a for a, _ in later),
        f"{name}: steps/s on ready batches": block / statistics.median(b for _, b in later),
        f"{name}: share (aim 0.95, at least 0.90)": statistics.median(b / a for a, b in later),
        **(cold if recipe.settings.cache_mb else {}),
    }


def timed(trainer: Trainer, feed: Iterator[list[Batch]] | Any) -> float:
    """Seconds for the steps of `feed`, as the trainer takes them."""
    tally = Tally(list(trainer.recipe.mix), trainer.place)
    began = waiting = time.perf_counter()
    for step, batches in enumerate(feed):
        waited = time.perf_counter() - waiting
        tallies = take_step(trainer.student, trainer.optimiser, trainer.step, batches, step)
        tally.add(batches, tallies, waited)
        waiting = time.perf_counter()
    tally.figures(trainer.weights)
    return time.perf_counter() - began


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
