"""The rendered world: a target set, a web and the truth about it, all out of one seed.

FOLDER/classes.txt, target/target.csv, target/videos/     what a user has
FOLDER/web/items.jsonl, web/media/                        what omnisrc.demo.server serves
FOLDER/truth.jsonl                                        what each web item really shows; for scoring alone
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from multiprocessing import get_context
from pathlib import Path

import cv2

from omnisrc.demo.actions import ACTIONS
from omnisrc.demo.catalogue import Truth, WebItem, read_items, read_truth, write_rows
from omnisrc.demo.target import ClipPlan, TargetSize, plan_target, render_clip, table
from omnisrc.demo.weblist import WebPlan, WebSize, plan_web
from omnisrc.demo.webmedia import MediaPlan, copy_picture, render_image, render_video

EDITION = 7
"""Raised whenever the same seed gives other pictures, so that a world on disk is rendered anew."""


@dataclass(frozen=True)
class WorldSize:
    target: TargetSize = field(default_factory=TargetSize)
    web: WebSize = field(default_factory=WebSize)


@dataclass(frozen=True)
class World:
    """A world on disk."""

    folder: Path
    seed: int

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(ACTIONS)

    @property
    def class_list(self) -> Path:
        return self.folder / "classes.txt"

    @property
    def target_csv(self) -> Path:
        return self.folder / "target" / "target.csv"

    @property
    def web(self) -> Path:
        return self.folder / "web"

    def items(self) -> list[WebItem]:
        return read_items(self.web / "items.jsonl")

    def truth(self) -> dict[str, Truth]:
        """What each web item really shows, by its id. No stage of the product may read it."""
        return {row.id: row for row in read_truth(self.folder / "truth.jsonl")}


def render_world(
    folder: Path,
    seed: int,
    size: WorldSize | None = None,
    *,
    workers: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> World:
    """Renders the world of `seed` into `folder`, unless it lies there already.

    `workers` processes render (0: one for each core, 1: this process); `progress` hears (done, total) files.
    Equal seeds and sizes give equal pictures.
    """
    size = size or WorldSize()
    world = World(folder, seed)
    stamp = {"edition": EDITION, "seed": seed, **asdict(size)}
    if _stamp(folder) == json.loads(json.dumps(stamp)):
        return world
    for part in ("target", "web"):
        shutil.rmtree(folder / part, ignore_errors=True)
    (folder / "world.json").unlink(missing_ok=True)
    (folder / "target" / "videos").mkdir(parents=True)
    (folder / "web" / "media").mkdir(parents=True)
    clips = plan_target(seed, size.target)
    web = plan_web(seed, size.web, [clip for clip in clips if clip.split == "test"])
    for done, total in _render(folder, clips, web, workers or os.cpu_count() or 1):
        progress(done, total)
    _copy_pictures(folder / "web", web)
    world.class_list.write_text("".join(f"{name}\n" for name in ACTIONS))
    world.target_csv.write_text(table(clips))
    write_rows(folder / "web" / "items.jsonl", web.items)
    write_rows(folder / "truth.jsonl", web.truth.values())
    (folder / "world.json").write_text(json.dumps(stamp, indent=1) + "\n")
    return world


def _stamp(folder: Path) -> object:
    try:
        return json.loads((folder / "world.json").read_text())
    except (OSError, ValueError):
        return None


def _render(folder: Path, clips: list[ClipPlan], web: WebPlan, workers: int) -> Iterator[tuple[int, int]]:
    tasks: list[tuple[Path, ClipPlan | MediaPlan]] = [(folder / "target", clip) for clip in clips]
    tasks += [(folder / "web" / item.file, web.media[item.id]) for item in web.items if item.id in web.media]
    tasks.sort(key=lambda task: -_frames(task[1]))
    if workers == 1:
        for done, task in enumerate(tasks, 1):
            _render_one(task)
            yield done, len(tasks)
        return
    # spawned, not forked: the caller may have threads
    with ProcessPoolExecutor(workers, get_context("spawn"), initializer=_one_thread) as pool:
        for done, _ in enumerate(pool.map(_render_one, tasks, chunksize=4), 1):
            yield done, len(tasks)


def _frames(plan: ClipPlan | MediaPlan) -> float:
    return 1.0 if isinstance(plan, ClipPlan) else sum(shot.seconds for shot in plan.shots)


def _one_thread() -> None:
    cv2.setNumThreads(1)


def _render_one(task: tuple[Path, ClipPlan | MediaPlan]) -> None:
    path, plan = task
    if isinstance(plan, ClipPlan):
        render_clip(path, plan)
    elif plan.fps:
        render_video(path, plan)
    else:
        render_image(path, plan)


def _copy_pictures(web_folder: Path, web: WebPlan) -> None:
    files = {item.id: item.file for item in web.items}
    for item in web.items:
        truth = web.truth[item.id]
        if truth.copy == "picture" and truth.of is not None:
            copy_picture(web_folder / files[truth.of], web_folder / item.file, item.width, item.height)
