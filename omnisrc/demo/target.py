"""The labelled target set of the rendered world: few training clips from few groups, unseen groups to test on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from omnisrc.demo.actions import ACTIONS
from omnisrc.demo.film import write_video
from omnisrc.demo.scenes import film_shot, new_scene

SIZE = (96, 72)
FPS = 12.0
FRAMES = 24


@dataclass(frozen=True)
class TargetSize:
    """Groups and clips per group, of each class, in each split."""

    train: tuple[int, int] = (6, 2)
    val: tuple[int, int] = (2, 2)
    test: tuple[int, int] = (16, 2)


@dataclass(frozen=True)
class ClipPlan:
    """A target clip before it is rendered."""

    seed: int
    label: str
    group: int
    take: int
    split: str

    @property
    def path(self) -> str:
        return f"videos/{self.label.replace(' ', '_')}_g{self.group:03d}_c{self.take:02d}.mp4"


def plan_target(seed: int, size: TargetSize) -> list[ClipPlan]:
    """Every clip of the target. A group is a scene of one class, and lies in one split alone."""
    plans = []
    group = 0
    for split, (groups, takes) in (("train", size.train), ("val", size.val), ("test", size.test)):
        for label in ACTIONS:
            for _ in range(groups):
                plans += [ClipPlan(seed, label, group, take, split) for take in range(takes)]
                group += 1
    return plans


def film_clip(plan: ClipPlan) -> np.ndarray:
    """-> (FRAMES, H, W, 3) uint8 RGB, always the same for the same plan."""
    scene = new_scene(np.random.default_rng([plan.seed, 1, plan.group]), plan.label)
    rng = np.random.default_rng([plan.seed, 2, plan.group, plan.take])
    return film_shot(scene, ACTIONS[plan.label], rng, size=SIZE, frames=FRAMES, fps=FPS)


def render_clip(folder: Path, plan: ClipPlan) -> None:
    write_video(folder / plan.path, film_clip(plan), FPS)


def table(plans: list[ClipPlan]) -> str:
    """The data set's CSV: path (relative to the CSV), label, group, split."""
    rows = [f"{plan.path},{plan.label},g{plan.group:03d},{plan.split}" for plan in plans]
    return "\n".join(["path,label,group,split", *rows]) + "\n"
