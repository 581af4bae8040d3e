"""What a recogniser expects of the frames that it is given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Triple = tuple[float, float, float]

IMAGENET_MEAN: Triple = (123.675, 116.28, 103.53)
IMAGENET_STD: Triple = (58.395, 57.12, 57.375)
"""Per channel, RGB, for frames in 0..255: the values of torchvision and of every MMAction2 TSN and SlowOnly file."""


@dataclass(frozen=True)
class InputSpec:
    """Scaling and default sampling; both travel with a checkpoint.

    Frames are RGB in 0..255; the model is given `(frames - mean) / std`. A view is one clip of `clip_len` frames,
    `frame_interval` apart; `num_segments` views are drawn from a video in training. For a 2-D model a view is one
    frame and the segments are TSN's. It is a square of `crop_size`, out of frames whose short side is `short_side`.
    """

    dims: Literal["2d", "3d"]
    clip_len: int
    frame_interval: int
    num_segments: int
    mean: Triple = IMAGENET_MEAN
    std: Triple = IMAGENET_STD
    crop_size: int = 224
    short_side: int = 256
