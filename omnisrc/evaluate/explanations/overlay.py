"""Heat laid over frames: pictures, and a sheet of them."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from omnisrc.evaluate.prediction.caption import caption

Frames = NDArray[np.uint8]  # (n, H, W, 3)
Heat = NDArray[np.float32]  # (n, H, W), 0 to 1

SIDE = 224
COLUMNS, MOST = 8, 16
OPAQUE = 0.72
GAP, TITLE = 4, 16
REST, NOISE = 127.5, 1.0
"""Of quantised flow: between the levels of no motion and its mirror, and what does not count as motion (levels)."""


def enlarged(frames: Frames, side: int = SIDE) -> Frames:
    """Frames whose side is at least `side`."""
    if frames.shape[1] >= side:
        return frames
    return np.stack([cv2.resize(frame, (side, side), interpolation=cv2.INTER_CUBIC) for frame in frames])


def coloured(fields: NDArray[np.uint8]) -> Frames:
    """Quantised flow (n, H, W, 2) as pictures: the colour is the direction (red to the right, yellow-green down, cyan
    to the left, violet up), its depth the speed, up to the fastest of all; what rests is white."""
    moves = fields.astype(np.float32) - REST
    speed, angle = cv2.cartToPolar(moves[..., 0], moves[..., 1], angleInDegrees=True)
    depth = np.where(speed > NOISE, speed / max(NOISE, float(speed.max())), 0)
    hsv = np.stack([angle / 2 % 180, 255 * depth, np.full_like(speed, 255)], axis=-1).astype(np.uint8)
    return np.stack([np.asarray(cv2.cvtColor(each, cv2.COLOR_HSV2RGB), dtype=np.uint8) for each in hsv])


def overlaid(frames: Frames, heat: Heat) -> Frames:
    """The frames with the heat over them: cold places stay as they are, hot ones go over violet and red to yellow."""
    size = (frames.shape[2], frames.shape[1])
    out = np.empty_like(frames)
    for number, (frame, each) in enumerate(zip(frames, heat, strict=True)):
        wide = cv2.resize(each, size, interpolation=cv2.INTER_LINEAR).clip(0, 1)
        colour = cv2.applyColorMap((255 * wide).astype(np.uint8), cv2.COLORMAP_INFERNO)[..., ::-1]
        share = (OPAQUE * np.sqrt(wide))[..., None]
        out[number] = (frame * (1 - share) + colour * share).astype(np.uint8)
    return out


def pairs(frames: Frames, covered: Frames) -> Frames:
    """(n, H, 2 W + GAP, 3): each frame beside its overlay."""
    between = np.full((len(frames), frames.shape[1], GAP, 3), 255, np.uint8)
    return np.concatenate([frames, between, covered], axis=2)


def sheet(frames: Frames, covered: Frames, title: str) -> NDArray[np.uint8]:
    """One picture: up to MOST frames in rows of COLUMNS, each above its overlay, under a title."""
    chosen = np.unique(np.linspace(0, len(frames) - 1, min(len(frames), MOST)).round().astype(int))
    columns = min(COLUMNS, len(chosen))
    height, width = frames.shape[1:3]
    rows = -(-len(chosen) // columns)
    cell = (2 * height + GAP, width)
    page = np.full((rows * (cell[0] + 3 * GAP), columns * (cell[1] + GAP) - GAP, 3), 255, np.uint8)
    for place, number in enumerate(chosen):
        y, x = place // columns * (cell[0] + 3 * GAP), place % columns * (cell[1] + GAP)
        page[y : y + height, x : x + width] = frames[number]
        page[y + height + GAP : y + cell[0], x : x + width] = covered[number]
    head = caption(np.full((TITLE * 2, page.shape[1], 3), 40, np.uint8), [(title, None)], TITLE)
    return np.concatenate([head, page])
