"""CSN: channel-separated networks."""

from __future__ import annotations

from functools import partial

from torch import nn

from omnisrc.models.heads.linear import LinearHead
from omnisrc.models.inputs import InputSpec
from omnisrc.models.recogniser import Recogniser
from omnisrc.models.trunks.convolutions import Convolve, depthwise, separated
from omnisrc.models.trunks.design import Design
from omnisrc.models.trunks.resnet import ResNet, initialise

EPS = 1e-3
"""Of MMAction2's and VMZ's norms: their weights answer differently under another. PyTorchVideo's has 1e-5."""


def csn(
    middle: Convolve | None,
    depth: int,
    num_classes: int,
    *,
    width: int = 64,
    dropout: float = 0.5,
    zero_init_gamma: bool = False,
    eps: float = EPS,
) -> Recogniser:
    """Channel-separated network (Tran et al., 2019): what looks at more than one place looks at one channel.

    ir ("interaction-reduced"): the 3x3x3 convolution is depthwise. ip ("interaction-preserved"): a 1x1x1 convolution
    goes before it.
    """
    norm = partial(nn.BatchNorm3d, eps=eps)
    design = Design(
        depth,
        width,
        middle=middle or separated(norm),
        middle_frames=3,
        norm=norm,
        stem_frames=3,
        temporal_strides=(1, 2, 2, 2),
    )
    trunk = ResNet(design)
    initialise(trunk, zero_init_gamma)
    spec = InputSpec("3d", clip_len=32, frame_interval=2, num_segments=1)
    return Recogniser(trunk, LinearHead(trunk.channels, num_classes, dropout), spec, num_classes)


MODELS = {f"ircsn_r{depth}": partial(csn, depthwise, depth) for depth in (50, 101, 152)} | {
    f"ipcsn_r{depth}": partial(csn, None, depth) for depth in (50, 101, 152)
}
