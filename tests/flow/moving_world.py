"""A rendered target whose classes differ by the direction of motion alone: no single frame tells one from another."""

from __future__ import annotations

import cv2
import numpy as np

from omnisrc.data.manifest import Manifest, manifest_of
from omnisrc.shards.write import ShardWriter
from omnisrc.study import Study
from tests.media_files import video_bytes
from tests.mixed_world import record_world

CLASSES = ("down", "left", "right", "up")
STEPS = {"down": (0, 2), "left": (-2, 0), "right": (2, 0), "up": (0, -2)}
SIDE = 64


def ground(width: int, height: int, seed: int | list[int]) -> np.ndarray:
    """Smoothed noise (height, width, 3) with detail everywhere."""
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 2)
    return ((smooth - smooth.min()) / (smooth.max() - smooth.min()) * 255).astype(np.uint8)


def moving(step: tuple[int, int], seed: int | list[int], count: int = 10, side: int = SIDE) -> list[np.ndarray]:
    """Frames of a ground that moves by `step` (x to the right, y down) pixels a frame."""
    reach = 2 * max(map(abs, step)) * count
    wide = ground(side + reach, side + reach, seed)
    frames = []
    for t in range(count):
        left, top = (reach // 2 - t * move for move in step)
        frames.append(wide[top : top + side, left : left + side].copy())
    return frames


def write_moving_world(
    study: Study, counts: dict[str, int], *, count: int = 10, broken: tuple[str, ...] = (), per_shard: int = 100
) -> Manifest:
    """Writes target shards of so many clips by split, labels in turn, and records them. The first clip of a `broken`
    split is no media."""
    names = ("sample", "source", "split", "label", "path", "key", "offset", "length", "medium", "frames")
    columns: dict[str, list] = {name: [] for name in names}
    number = 0
    for split, clips in counts.items():
        for start in range(0, clips, per_shard):
            name = f"target-{split}-{start}"
            with ShardWriter(study.target, name) as shard:
                for at in range(start, min(clips, start + per_shard)):
                    number += 1
                    label = at % len(CLASSES)
                    data = video_bytes(moving(STEPS[CLASSES[label]], [number, 7], count), options={"crf": "12"})
                    if at == 0 and split in broken:
                        data = b"this is no media" * 20
                    [member] = shard.write(f"t{number:04d}", {"mp4": data})
                    row = (number, "target", split, label, f"target/{name}.tar", member.key, member.offset,
                           member.length, "video", count)  # fmt: skip
                    for column, value in zip(columns.values(), row, strict=True):
                        column.append(value)
                shard.close()
    manifest = manifest_of(columns, CLASSES, "directions", "d" * 64)
    record_world(study, manifest)
    return manifest
