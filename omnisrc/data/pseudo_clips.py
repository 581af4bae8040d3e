"""Images as clips: a camera that moves over a still (OmniSource, section 3.5 and table 8).

Frame i is the still under H_i ... H_1, each H a random homography drawn from one normal distribution, as if the
camera's motion were that of the target's videos. (The plain alternative, the same frame T times, costs nothing: the
device repeats it.)
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from omnisrc.data.transforms import Box, Frames

IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0)
HAND_HELD = (0.006, 0.004, 0.012, 0.004, 0.006, 0.012, 0.002, 0.002)
"""Standard deviations from frame to frame of a camera held by hand, in the units of `Warp`."""


@dataclass(frozen=True)
class Warp:
    """The distribution of one step's homography.

    A homography is its first eight entries by rows (the ninth is 1), in coordinates where the still spans [-1, 1] in
    both directions, so that it means the same at every resolution.

    mean  # (8,)
    factor  # (8, 8), a square root of the covariance: covariance = factor @ factor.T
    """

    mean: NDArray[np.float64]
    factor: NDArray[np.float64]

    @classmethod
    def of(cls, mean: tuple[float, ...] = IDENTITY, covariance: tuple[tuple[float, ...], ...] = ()) -> Warp:
        """The warp with mean mu and covariance Sigma; without Sigma, that of HAND_HELD.

        Raises:
            ValueError: mu has not 8 numbers, or Sigma is not an 8 x 8 covariance.
        """
        sigma = np.asarray(covariance, dtype=np.float64) if covariance else np.diag(np.square(HAND_HELD))
        mu = np.asarray(mean, dtype=np.float64)
        if mu.shape != (8,) or sigma.shape != (8, 8):
            raise ValueError(f"a warp's mean is 8 numbers and its covariance 8 x 8, not {mu.shape} and {sigma.shape}")
        values, vectors = np.linalg.eigh(sigma)
        if not np.allclose(sigma, sigma.T) or values.min() < -1e-9 * max(1.0, values.max()):
            raise ValueError("a warp's covariance must be symmetric and have no negative eigenvalue")
        return cls(mu, vectors * np.sqrt(np.clip(values, 0, None)))

    def steps(self, count: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """`count` homographies: (count, 3, 3)."""
        entries = self.mean + rng.standard_normal((count, 8)) @ self.factor.T
        return np.concatenate([entries, np.ones((count, 1))], axis=1).reshape(count, 3, 3)

    def camera(self, clip_len: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """Where the still lies in each frame: (T, 3, 3), the first the identity, each the next step upon the last."""
        path = np.empty((clip_len, 3, 3))
        path[0] = np.eye(3)
        for t, step in enumerate(self.steps(clip_len - 1, rng), start=1):
            path[t] = step @ path[t - 1]
        return path


def moving_clip(image: NDArray[np.uint8], box: Box, camera: NDArray[np.float64], out: Frames) -> None:
    """What a camera sees in `box` while the still `image` (H, W, 3) moves under it: fills `out` (T, size, size, 3).

    What the still does not cover is filled with its mirror image.
    """
    height, width = image.shape[:2]
    out_h, out_w = out.shape[1:3]
    # The whole still goes to the scale of the crop first: a warp that shrinks would skip pixels.
    scale_x, scale_y = out_w / box.width, out_h / box.height
    size = (max(1, round(width * scale_x)), max(1, round(height * scale_y)))
    shrinks = min(scale_x, scale_y) <= 0.5
    scaled = cv2.resize(image, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    to_pixels = np.array([[size[0] / 2, 0, (size[0] - 1) / 2], [0, size[1] / 2, (size[1] - 1) / 2], [0, 0, 1]])
    to_crop = np.array([[1, 0, -box.x * size[0] / width], [0, 1, -box.y * size[1] / height], [0, 0, 1]])
    moves = to_crop @ to_pixels @ camera @ np.linalg.inv(to_pixels)
    for t in range(len(out)):
        cv2.warpPerspective(
            scaled, moves[t], (out_w, out_h), dst=out[t], flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
        )
