"""A small study's media for tests: shards of clips and stills of a few classes, and the manifest that lists them.

A class is a colour and a direction of motion, so a network can learn it in a few steps from either medium.
"""

from __future__ import annotations

import colorsys
import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from sqlalchemy.orm import Session

from db import models
from omnisrc.data.manifest import Manifest, manifest_of
from omnisrc.shards.write import ShardWriter
from omnisrc.study import Study
from tests.media_files import video_bytes

CLASSES = ("dive", "jump", "run", "swing")
WIDTH, HEIGHT = 56, 48


def colour(label: int) -> np.ndarray:
    return 255 * np.array(colorsys.hsv_to_rgb(label / len(CLASSES), 0.9, 0.9))


def clip_frames(label: int, seed: int, count: int = 12) -> list[np.ndarray]:
    """Frames (H, W, 3): noise, and a square of the class's colour that moves in its direction."""
    rng = np.random.default_rng([label, seed])
    ground = rng.integers(0, 90, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    x, y = rng.integers(4, WIDTH - 28), rng.integers(4, HEIGHT - 28)
    step = [(1, 0), (0, 1), (-1, 0), (0, -1)][label % 4]
    frames = []
    for t in range(count):
        frame = ground.copy()
        left, top = int(np.clip(x + t * step[0], 0, WIDTH - 24)), int(np.clip(y + t * step[1], 0, HEIGHT - 24))
        frame[top : top + 24, left : left + 24] = colour(label)
        frames.append(frame)
    return frames


def still_bytes(label: int, seed: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(clip_frames(label, 1000 + seed, 1)[0]).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def write_world(
    root: Path,
    counts: dict[tuple[str, str], int],
    *,
    broken: dict[tuple[str, str], int] | None = None,
    classes: tuple[str, ...] = CLASSES,
    per_shard: int = 8,
) -> Manifest:
    """Writes shards under `root` and gives their manifest.

    counts: samples by (source, split), labels in turn. broken: so many of them, the first, hold no media.
    """
    names = ("sample", "source", "split", "label", "path", "key", "offset", "length", "medium", "frames")
    columns: dict[str, list] = {name: [] for name in names}
    for number, ((source, split), count) in enumerate(counts.items()):
        image = source == "web-image"
        for start in range(0, count, per_shard):
            name = f"{source}-{split}-{start}"
            with ShardWriter(root / "shards", name) as shard:
                for at in range(start, min(count, start + per_shard)):
                    label = at % len(classes)
                    ext = "jpg" if image else "mp4"
                    if at < (broken or {}).get((source, split), 0):
                        data = b"this is no media" * 20
                    elif image:
                        data = still_bytes(label, at + 97 * number)
                    else:
                        data = video_bytes(clip_frames(label, at + 97 * number))
                    [member] = shard.write(f"k{at}", {ext: data})
                    row = (
                        10_000 * (number + 1) + at, source, split, label, f"shards/{name}.tar", member.key,
                        member.offset, member.length, "image" if image else "video", 1 if image else 12,
                    )  # fmt: skip
                    for column, value in zip(columns.values(), row, strict=True):
                        column.append(value)
                shard.close()
    return manifest_of(columns, classes, "toy", "0" * 64)


def record_world(study: Study, manifest: Manifest, *, name: str = "main", **selection: Any) -> None:
    """Writes a world into a study's catalogue as importing, crawling, filtering and packing would have left it.

    selection: columns of the selection; decontaminated and packed unless said otherwise. Two of three web samples have
    a licence that is open, the third none; every eighth allows no derivatives.
    """
    selection = {"decontaminated": True, "packed": True, "counts": {}, "warnings": [], **selection}

    def write(session: Session) -> None:
        class_list = models.ClassList(name=manifest.class_list, sha256=manifest.class_list_sha256, created=0.0)
        rule = models.Rule(sha256="r" * 64, params={})
        session.add_all([class_list, rule])
        session.flush()
        for at, action in enumerate(manifest.classes):
            session.add(
                models.ActionClass(class_list_id=class_list.id, position=at, name=action, query=action, tags=[])
            )
        chosen = models.Selection(
            name=name, rule_id=rule.id, class_list_id=class_list.id, teachers={}, created=0.0, **selection
        )
        session.add(chosen)
        session.flush()
        shards: dict[str, int] = {}
        for row in manifest.table.to_pylist():
            if row["path"] not in shards:
                kind = "target" if row["source"] == "target" else "curated"
                shard = models.Shard(
                    kind=kind, medium=row["medium"], path=row["path"], count=1, bytes=1, sha256="0" * 64, created=0.0
                )
                session.add(shard)
                session.flush()
                shards[row["path"]] = shard.id
            record_row(session, row, shards[row["path"]], class_list.id, chosen.id)

    study.database().write(write)


def record_row(session: Session, row: dict[str, Any], shard: int, class_list: int, selection: int) -> None:
    place = {name: row[name] for name in ("key", "offset", "length", "frames")}
    if row["source"] == "target":
        session.add(
            models.TargetItem(
                id=row["sample"], class_list_id=class_list, path=f"/original/{row['sample']}.mp4", label=row["label"],
                split=row["split"], state="stored", shard_id=shard, medium=row["medium"], duration=0.5, **place,
            )
        )  # fmt: skip
        return
    number = row["sample"]
    kind = "image" if row["medium"] == "image" else "clip"
    blob = models.Blob(
        id=number, sha256=f"{number:064d}", fetched_bytes=1, medium=row["medium"], mime="", shard_id=shard,
        key=row["key"], offset=0, length=1, stored_sha256="", width=1, height=1,
    )  # fmt: skip
    session.add(blob)
    session.flush()
    licence = "CC BY-ND 4.0" if number % 8 == 0 else "CC BY 4.0" if number % 3 else None
    for state in ("stored", "duplicate"):
        url = f"http://example.org/{number}/{state}"
        session.add(
            models.Asset(
                url=url, url_sha256=f"{number}{state}", host="example.org", kind=row["medium"], provider="folder",
                license=licence, state=state, blob_id=number,
            )
        )  # fmt: skip
    session.add(models.Sample(id=number, blob_id=number, kind=kind))
    session.flush()
    session.add(
        models.SelectionMember(
            selection_id=selection, sample_id=number, label=row["label"], score=0.9, shard_id=shard, duration=0.5,
            **place,
        )
    )  # fmt: skip
