"""Scenes: the textured place, the actor's colours, the light and the camera that all clips of one group share."""

from __future__ import annotations

import colorsys
import math
from dataclasses import dataclass, replace

import cv2
import numpy as np

from omnisrc.demo.actions import Action
from omnisrc.demo.drawing import Colour, Frame, Look, Pen

MARGIN = 0.3  # how much larger than the frame the painted place is, for the camera to move over

TYPICAL = 0.6  # how often a place, or a tool, has the colour that is typical of the class

PLACE_HUES = {
    "dribbling basketball": 0.08,
    "hammer throwing": 0.33,
    "hula hooping": 0.8,
    "juggling balls": 0.08,
    "kettlebell swinging": 0.33,
    "playing on swing": 0.2,
    "rope skipping": 0.8,
    "rowing boat": 0.6,
}
TOOL_HUES = {
    "dribbling basketball": 0.06,
    "hammer throwing": 0.6,
    "hula hooping": 0.9,
    "juggling balls": 0.4,
    "kettlebell swinging": 0.6,
    "playing on swing": 0.0,
    "rope skipping": 0.15,
    "rowing boat": 0.07,
}


@dataclass(frozen=True)
class Scene:
    """One group's looks. Equal numbers give equal pictures."""

    look: Look
    palette: tuple[Colour, Colour, Colour]
    place: int  # seed of the background
    coarse: int  # cells of its coarsest texture
    clutter: int  # things standing about
    passers: int  # things moving about
    shake: float  # camera, in frame heights
    drift: complex  # camera, frame heights a second
    height: float  # of the actor, in frame heights
    mirrored: bool
    tempo: float  # cycles a second
    grain: float  # sensor noise, grey levels
    light: float  # gain of the exposure


def colour(rng: np.random.Generator, values: tuple[float, float], hue: float | None = None) -> Colour:
    """A random colour; `values` bounds its brightness, `hue` (0 to 1) is the one that it is near to."""
    tint = rng.random() if hue is None else (hue + rng.normal(0, 0.03)) % 1.0
    red, green, blue = colorsys.hsv_to_rgb(tint, rng.uniform(0.35, 0.95), rng.uniform(*values))
    return round(255 * red), round(255 * green), round(255 * blue)


def new_scene(rng: np.random.Generator, label: str | None) -> Scene:
    """A scene by chance: dark figures in a light place, or light ones in a dark place, often typical of the class."""
    light, dark = (0.7, 1.0), (0.1, 0.4)
    near, far = (light, dark) if rng.random() < 0.5 else (dark, light)
    tone = rng.uniform(*near)
    place_hue, tool_hue = rng.random(2)
    if label is not None and rng.random() < TYPICAL:
        place_hue = PLACE_HUES[label]
    if label is not None and rng.random() < TYPICAL:
        tool_hue = TOOL_HUES[label]
    look = Look(
        skin=(round(235 * tone), round(185 * tone), round(150 * tone)),
        shirt=colour(rng, near),
        trousers=colour(rng, near),
        tool=colour(rng, near, tool_hue),
        build=rng.uniform(0.9, 1.3),
        tool_size=rng.uniform(0.9, 1.3),
        reach=rng.uniform(0.9, 1.1),
    )
    return Scene(
        look=look,
        palette=(colour(rng, far, place_hue), colour(rng, far, place_hue), colour(rng, far)),
        place=int(rng.integers(2**31)),
        coarse=int(rng.integers(3, 9)),
        clutter=int(rng.integers(2, 7)),
        passers=int(rng.integers(0, 3)),
        shake=rng.uniform(0.0, 0.01),
        drift=complex(rng.uniform(-0.1, 0.1), rng.uniform(-0.02, 0.02)),
        height=rng.uniform(0.54, 0.66),
        mirrored=bool(rng.random() < 0.5),
        tempo=rng.uniform(0.75, 1.3),
        grain=rng.uniform(2.0, 8.0),
        light=rng.uniform(0.8, 1.1),
    )


def paint_place(scene: Scene, width: int, height: int) -> Frame:
    """The background at (1 + MARGIN) times the frame's size: texture in several octaves, and clutter."""
    rng = np.random.default_rng(scene.place)
    size = (round(width * (1 + MARGIN)), round(height * (1 + MARGIN)))
    mix = np.zeros((size[1], size[0], 3), np.float32)
    weight = 1.0
    for octave in range(4):
        cells = scene.coarse * 2**octave
        grid = rng.random((max(2, cells * 3 // 4), cells, 3), np.float32)
        mix += weight * cv2.resize(grid, size, interpolation=cv2.INTER_CUBIC)
        weight *= 0.6
    mix -= mix.mean(axis=(0, 1))
    shares = np.exp(2.5 * mix)
    shares /= shares.sum(axis=2, keepdims=True)
    place: Frame = (shares @ np.array(scene.palette, np.float32)).clip(0, 255).astype(np.uint8)
    for _ in range(scene.clutter):
        centre = (int(rng.integers(size[0])), int(rng.integers(size[1])))
        extent = rng.integers(height // 16, height // 4, 2)
        kind, angle = rng.integers(3), rng.uniform(0, 180)
        paint = scene.palette[rng.integers(3)]
        if kind == 0:
            cv2.ellipse(place, centre, extent.tolist(), angle, 0, 360, paint, -1, cv2.LINE_AA)
        elif kind == 1:
            box = cv2.boxPoints((centre, extent.tolist(), angle)).astype(np.int32)
            cv2.fillConvexPoly(place, box, paint, cv2.LINE_AA)
        else:
            way = complex(*extent) * 2
            end = (centre[0] + round(way.real * math.cos(angle)), centre[1] + round(way.imag))
            cv2.line(place, centre, end, paint, max(1, height // 24), cv2.LINE_AA)
    return place


def film_shot(
    scene: Scene, action: Action | None, rng: np.random.Generator, *, size: tuple[int, int], frames: int, fps: float
) -> np.ndarray:
    """One shot -> (frames, H, W, 3) uint8 RGB. No action: the place alone."""
    width, height = size
    place = paint_place(scene, width, height)
    grain = 128 + rng.standard_normal((height + 16, width + 16, 3), np.float32) * scene.grain
    grain = grain.clip(0, 255).astype(np.uint8)
    start = rng.uniform(0, 1)
    foot = complex(width * rng.uniform(0.4, 0.6), height * rng.uniform(0.82, 0.92))
    tall = height * scene.height * rng.uniform(0.92, 1.08)
    tempo = scene.tempo * rng.uniform(0.9, 1.1)
    look = replace(scene.look, reach=scene.look.reach * rng.uniform(0.95, 1.05))
    passers = [_Passer(rng, width, height) for _ in range(scene.passers)]
    shot = np.empty((frames, height, width, 3), np.uint8)
    shake = 0j
    for index in range(frames):
        now = index / fps
        shake = 0.7 * shake + scene.shake * complex(*rng.standard_normal(2))
        camera = height * (scene.drift * (now - frames / fps / 2) + shake)
        frame = _look_at(place, camera, width, height)
        for passer in passers:
            passer.draw(frame, now, camera)
        if action is not None:
            action(Pen(frame, foot - camera * 0.25, tall, scene.mirrored), look, start + tempo * now)
        left, top = rng.integers(0, 16, 2)
        speckle = grain[top : top + height, left : left + width]
        cv2.addWeighted(frame, scene.light, speckle, 1.0, -128.0, dst=shot[index])
    return shot


def _look_at(place: Frame, camera: complex, width: int, height: int) -> Frame:
    """The part of the place that the camera sees, shifted by fractions of a pixel."""
    shift = np.array(
        [[1, 0, -(width * MARGIN / 2 + camera.real)], [0, 1, -(height * MARGIN / 2 + camera.imag)]], np.float32
    )
    seen: Frame = cv2.warpAffine(place, shift, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    return seen


class _Passer:
    """Something of no interest that crosses the scene."""

    def __init__(self, rng: np.random.Generator, width: int, height: int) -> None:
        self.start = complex(rng.uniform(0, width), rng.uniform(0.1, 0.9) * height)
        self.speed = complex(rng.uniform(-0.4, 0.4), rng.uniform(-0.1, 0.1)) * height
        self.extent = (max(2, round(height * rng.uniform(0.03, 0.09))), max(2, round(height * rng.uniform(0.03, 0.12))))
        self.paint = colour(rng, (0.2, 0.9))

    def draw(self, frame: Frame, now: float, camera: complex) -> None:
        at = self.start + self.speed * now - camera
        cv2.ellipse(frame, (round(at.real), round(at.imag)), self.extent, 0, 0, 360, self.paint, -1, cv2.LINE_AA)
