"""Crops of uint8 frames, in the loader. Flip, colour and normalisation wait for the device (augment.py).

A box is (x, y, width, height) in pixels of the frame. Nothing is resized before it is cropped: a box is cut out and
brought to the crop's size in one step.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

Frames = NDArray[np.uint8]  # (T, H, W, 3), or (T, H, W, 2) of flow

AREA_RANGE = (0.08, 1.0)
RATIO_RANGE = (3 / 4, 4 / 3)
TRIES = 10
MULTI_SCALES = (1.0, 0.875, 0.75, 0.66)
FLOW_SCALES = MULTI_SCALES[:3]  # TSN's, for flow


class Box(NamedTuple):
    x: int
    y: int
    width: int
    height: int


def random_resized_crop(
    width: int,
    height: int,
    rng: np.random.Generator,
    area: tuple[float, float] = AREA_RANGE,
    ratio: tuple[float, float] = RATIO_RANGE,
) -> Box:
    """A box of random area and aspect ratio (Inception's crop, by torchvision's rule: ten tries, then the centre)."""
    low, high = math.log(ratio[0]), math.log(ratio[1])
    for share, shape in rng.random((TRIES, 2)).tolist():
        pixels = (area[0] + share * (area[1] - area[0])) * width * height
        aspect = math.exp(low + shape * (high - low))
        w, h = round(math.sqrt(pixels * aspect)), round(math.sqrt(pixels / aspect))
        if 0 < w <= width and 0 < h <= height:
            return Box(int(rng.integers(width - w + 1)), int(rng.integers(height - h + 1)), w, h)
    w = min(width, round(height * ratio[1]))
    h = min(height, round(width / ratio[0]))
    return Box((width - w) // 2, (height - h) // 2, w, h)


def multi_scale_crop(
    width: int, height: int, rng: np.random.Generator, scales: tuple[float, ...] = MULTI_SCALES, max_gap: int = 1
) -> Box:
    """TSN's crop: sides from `scales` of the short side, at most `max_gap` scales apart; at a corner or the centre."""
    sides = [max(1, int(min(width, height) * scale)) for scale in scales]
    pairs = [(w, h) for i, h in enumerate(sides) for j, w in enumerate(sides) if abs(i - j) <= max_gap]
    w, h = pairs[int(rng.integers(len(pairs)))]
    x, y = five_corners(width, height, w, h)[int(rng.integers(5))]
    return Box(x, y, w, h)


def five_corners(width: int, height: int, w: int, h: int) -> list[tuple[int, int]]:
    """Top left, top right, bottom left, bottom right and centre, on MMAction2's grid of quarters."""
    across, down = (width - w) // 4, (height - h) // 4
    return [(0, 0), (4 * across, 0), (0, 4 * down), (4 * across, 4 * down), (2 * across, 2 * down)]


def centre_crop(width: int, height: int, share: float = 1.0) -> Box:
    """The square in the middle; its side is `share` of the short side (224 / 256 for a crop of 224 from 256)."""
    side = max(1, round(min(width, height) * share))
    return Box((width - side) // 2, (height - side) // 2, side, side)


def three_crop(width: int, height: int) -> list[Box]:
    """Three squares of the short side along the long one: first, last, middle (MMAction2's ThreeCrop)."""
    side = min(width, height)
    step = (max(width, height) - side) // 2
    offsets = (0, 2 * step, step)
    return [Box(at, 0, side, side) if width >= height else Box(0, at, side, side) for at in offsets]


def five_crop(width: int, height: int, share: float) -> list[Box]:
    """The squares of `share` of the short side at the corners and the centre; with their mirrors, the ten crops."""
    side = max(1, round(min(width, height) * share))
    return [Box(x, y, side, side) for x, y in five_corners(width, height, side, side)]


def mirror(frames: Frames) -> Frames:
    """Left becomes right. Of flow (2 channels), x becomes 255 - x too: what moved right moves left.

    The levels of flow lie one beside those of a negated field (5 pixels are 159, mirrored 96; -5 pixels are 95).
    """
    mirrored = frames[:, :, ::-1].copy()
    if frames.shape[-1] == 2:
        mirrored[..., 0] = 255 - mirrored[..., 0]
    return mirrored


def crop_resize(frames: Frames, box: Box, out: Frames) -> None:
    """Cuts `box` out of each frame and resizes it to fill `out` (T, size, size, 3)."""
    x, y, w, h = box
    size = (out.shape[2], out.shape[1])
    if (w, h) == size:
        out[:] = frames[:, y : y + h, x : x + w]
        return
    how = cv2.INTER_AREA if min(w / size[0], h / size[1]) >= 2 else cv2.INTER_LINEAR  # bilinear skips pixels there
    for t in range(len(out)):
        cv2.resize(frames[t, y : y + h, x : x + w], size, dst=out[t], interpolation=how)
