"""R(2+1)D: convolutions over space and over time, one after the other."""

from __future__ import annotations

from functools import partial

from torch import nn

from omnisrc.models.heads.linear import LinearHead
from omnisrc.models.inputs import InputSpec
from omnisrc.models.recogniser import Recogniser
from omnisrc.models.trunks.convolutions import Factorised, time_then_space
from omnisrc.models.trunks.design import EVERYWHERE, Design
from omnisrc.models.trunks.resnet import ResNet, initialise

r34 = partial(
    Design,
    34,
    frames=EVERYWHERE,
    convolve=Factorised,
    norm=partial(nn.BatchNorm3d, eps=1e-3),
    stem_frames=3,
    temporal_strides=(1, 2, 2, 2),
)
"""MMAction2's: every convolution is factorised, the short cuts' too; the norms between both halves have eps 1e-5."""

r50 = partial(
    Design,
    50,
    middle=time_then_space,
    middle_frames=3,
    stem_pool=False,
    strides=(2, 2, 2, 2),
    temporal_strides=(1, 1, 2, 2),
)
"""PyTorchVideo's: only the bottlenecks' middle is factorised, time comes first, layer1 strides instead of a pooling."""


def r2plus1d(
    design: partial[Design],
    spec: InputSpec,
    num_classes: int,
    *,
    width: int = 64,
    dropout: float = 0.5,
    zero_init_gamma: bool = False,
) -> Recogniser:
    """R(2+1)D (Tran et al., 2018). The two depths are two networks: each is its origin's that has weights."""
    trunk = ResNet(design(width=width))
    initialise(trunk, zero_init_gamma)
    return Recogniser(trunk, LinearHead(trunk.channels, num_classes, dropout), spec, num_classes)


MODELS = {
    "r2plus1d_r34": partial(r2plus1d, r34, InputSpec("3d", clip_len=8, frame_interval=8, num_segments=1)),
    "r2plus1d_r50": partial(r2plus1d, r50, InputSpec("3d", clip_len=16, frame_interval=4, num_segments=1)),
}
