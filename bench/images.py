"""Photograph-like JPEGs of about 70 KB (short side 400 to 800), each different, made from a few textures."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np


def make_images(folder: Path, number: int, seed: int = 0) -> list[Path]:
    """`number` JPEGs in `folder`; those that are there already are kept."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{at:06d}.jpg" for at in range(number)]
    for at, path in enumerate(paths):
        if path.exists():
            continue
        rng = np.random.default_rng([seed, at])
        short = int(rng.integers(400, 800))
        height, width = (short, int(short * 1.33)) if rng.random() < 0.7 else (int(short * 1.33), short)
        coarse = rng.integers(0, 256, (12, 16, 3), dtype=np.uint8)
        picture = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC).astype(np.float32)
        fine = cv2.resize(rng.standard_normal((height // 3, width // 3)).astype(np.float32), (width, height))
        picture += 10.0 * fine[..., None]
        quality = int(np.clip(88 - (short - 400) * 0.06, 60, 90))
        cv2.imwrite(str(path), np.clip(picture, 0, 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, quality])
    return paths
