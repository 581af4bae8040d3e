"""What a recogniser expects of the frames that it is given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Triple = tuple[float, float, float]
Modality = Literal["rgb", "flow"]

IMAGENET_MEAN: Triple = (123.675, 116.28, 103.53)
IMAGENET_STD: Triple = (58.395, 57.12, 57.375)
"""Per channel, RGB, for frames in 0..255: the values of torchvision and of every MMAction2 TSN and SlowOnly file."""

FLOW_MEAN = (128.0, 128.0)
FLOW_STD = (128.0, 128.0)
CAFFE_FLOW_STD = (1.0, 1.0)
"""Of x and y, for quantised flow in 0..255: MMAction2's scaling, and the deviation of TSN's Caffe files."""


@dataclass(frozen=True)
class InputSpec:
    """Scaling and default sampling; both travel with a checkpoint.

    Frames are RGB, or the quantised x and y of optical flow, in 0..255; the model is given `(frames - mean) / std`. A
    view is one clip of `clip_len` frames, `frame_interval` apart, or, where that is 0, one from each of `clip_len` even
    parts of the video; `num_segments` views are drawn from a video in training. For a 2-D model a view is one frame and
    the segments are TSN's, which it averages; a model that minds their order (TSM) has them as the frames of one view,
    whatever its convolutions.

    takes_stills: a still is given as a clip of one frame; other 3-D models are given it `clip_len` times.
    crop_size: side, in pixels, of the square that the network is shown where nothing else is asked for, out of frames
        whose short side is `short_side`.
    fixed: the network has weights for each place of a clip, and takes no other `clip_len` and `crop_size`.
    channels: of the model's input. Where a frame has fewer, neighbouring frames are stacked: a 2-D model of 10 channels
        sees x and y of 5 fields of flow (`omnisrc.models.modality.stacked`).
    """

    dims: Literal["2d", "3d"]
    clip_len: int
    frame_interval: int
    num_segments: int
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    takes_stills: bool = False
    crop_size: int = 224
    short_side: int = 256
    fixed: bool = False
    modality: Modality = "rgb"
    channels: int = 3
