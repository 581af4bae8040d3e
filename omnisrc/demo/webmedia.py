"""The media of the rendered web: stills and films of several shots, each in a look of its own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from omnisrc.demo.actions import ACTIONS, MISTAKEN, walking
from omnisrc.demo.film import jpeg, resized, write_video
from omnisrc.demo.scenes import film_shot, new_scene
from omnisrc.demo.target import ClipPlan, film_clip

WRONG = {"mistaken": 0.7, "other": 0.1, "tool": 0.06, "person": 0.07, "place": 0.07}
"""What a wrong item shows: the class that is taken for this one, any class, the tool alone, somebody, nobody."""

IMAGE_SIZES = ((192, 144), (216, 144), (240, 180), (180, 240), (320, 240), (640, 480))
VIDEO_SIZE = (176, 132)
FRAME_RATES = (12.0, 12.5, 15.0)


@dataclass(frozen=True)
class Shot:
    """One picture or one stretch of film before it is rendered. `seed` names its scene and its chances."""

    seed: tuple[int, ...]
    shows: str  # action, other, tool, person or place
    action: str | None  # what is drawn
    seconds: float = 0.0

    @property
    def label(self) -> str | None:
        return self.action if self.shows in ("action", "other") else None


@dataclass(frozen=True)
class MediaPlan:
    """A web file before it is rendered: its shots, or the target clip that it leaks."""

    shots: tuple[Shot, ...]
    size: tuple[int, int]
    fps: float = 0.0
    quality: int = 90
    leak: ClipPlan | None = None


def wrong_shot(seed: tuple[int, ...], asked: str, rng: np.random.Generator, seconds: float = 0.0) -> Shot:
    """Something other than what was asked for."""
    shows = str(rng.choice(list(WRONG), p=list(WRONG.values())))
    if shows == "mistaken":
        return Shot(seed, "other", MISTAKEN[asked], seconds)
    if shows == "other":
        return Shot(seed, "other", str(rng.choice([name for name in ACTIONS if name != asked])), seconds)
    return Shot(seed, shows, asked if shows == "tool" else None, seconds)


def film(shot: Shot, size: tuple[int, int], fps: float) -> np.ndarray:
    """-> (frames, H, W, 3) uint8 RGB; one frame for a still."""
    rng = np.random.default_rng(shot.seed)
    scene = new_scene(rng, shot.action)
    action = ACTIONS[shot.action] if shot.action else None
    if shot.shows == "tool":
        scene = replace(scene, look=replace(scene.look, present=False), tempo=0.0)
    elif shot.shows == "person":
        action = walking
    frames = max(1, round(shot.seconds * fps))
    return film_shot(scene, action, rng, size=size, frames=frames, fps=fps or 1.0)


def render_image(path: Path, plan: MediaPlan) -> None:
    """A still of the plan's first shot (taller than wide: the middle of a wide one), or out of the leaked clip."""
    width, height = plan.size
    if plan.leak is not None:
        picture = film_clip(plan.leak)[12]
        picture = resized(picture, width, height)
    elif width < height:
        wide = film(plan.shots[0], (height * 4 // 3, height), 0.0)[0]
        left = (wide.shape[1] - width) // 2
        picture = wide[:, left : left + width]
    else:
        picture = film(plan.shots[0], plan.size, 0.0)[0]
    path.write_bytes(jpeg(picture, plan.quality))


def render_video(path: Path, plan: MediaPlan) -> None:
    shots = [film(shot, plan.size, plan.fps) for shot in plan.shots]
    if plan.leak is not None:
        shots.append(np.stack([resized(picture, *plan.size) for picture in film_clip(plan.leak)]))
    write_video(path, np.concatenate(shots), plan.fps)


def copy_picture(source: Path, path: Path, width: int, height: int) -> None:
    """A near-duplicate: the same picture at another size and quality."""
    bgr = cv2.imread(str(source))
    if bgr is None:
        raise OSError(f"{source} does not decode")
    path.write_bytes(jpeg(resized(bgr[..., ::-1], width, height), 75))
