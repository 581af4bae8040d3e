"""X3D: expanded architectures for efficient video recognition."""

from __future__ import annotations

from functools import partial

from omnisrc.models.heads.hidden import ProjectedHead
from omnisrc.models.inputs import InputSpec
from omnisrc.models.recogniser import Recogniser
from omnisrc.models.trunks.x3d import X3D, initialise

MEAN, STD = (114.75, 114.75, 114.75), (57.375, 57.375, 57.375)
"""0.45 and 0.225 of frames in 0..1, as PySlowFast and PyTorchVideo train."""


def x3d(
    depth: float,
    clip_len: int,
    frame_interval: int,
    crop_size: int,
    num_classes: int,
    *,
    width: int = 24,
    dropout: float = 0.5,
    zero_init_gamma: bool = False,
    short_cut_norm: bool = False,
) -> Recogniser:
    """X3D (Feichtenhofer, 2020, tables 1 and 2). XS, S and M are one network on clips of different length and size.

    `short_cut_norm`: layer1's short cut has a norm, as PySlowFast and MMAction2 have it; PyTorchVideo has none.
    """
    trunk = X3D(depth, width, short_cut_norm)
    initialise(trunk, zero_init_gamma)
    short_side = round(crop_size * 8 / 7)
    spec = InputSpec("3d", clip_len, frame_interval, 1, mean=MEAN, std=STD, crop_size=crop_size, short_side=short_side)
    return Recogniser(trunk, ProjectedHead(trunk.channels, num_classes, dropout), spec, num_classes)


MODELS = {
    "x3d_xs": partial(x3d, 2.2, 4, 12, 160),
    "x3d_s": partial(x3d, 2.2, 13, 6, 160),
    "x3d_m": partial(x3d, 2.2, 16, 5, 224),
    "x3d_l": partial(x3d, 5.0, 16, 5, 312),
}
