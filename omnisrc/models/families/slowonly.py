"""SlowOnly: the slow pathway of SlowFast."""

from __future__ import annotations

from functools import partial

from omnisrc.models.heads.linear import LinearHead
from omnisrc.models.inputs import InputSpec
from omnisrc.models.recogniser import Recogniser
from omnisrc.models.trunks.design import BLOCKS, SLOWONLY, Design
from omnisrc.models.trunks.resnet import ResNet, initialise


def slowonly(
    depth: int, num_classes: int, *, width: int = 64, dropout: float = 0.5, zero_init_gamma: bool = False
) -> Recogniser:
    """The slow pathway alone (Feichtenhofer et al., 2019): time is seen in layer3 and layer4, and never strided."""
    trunk = ResNet(Design(depth, width, frames=SLOWONLY))
    initialise(trunk, zero_init_gamma)
    spec = InputSpec("3d", clip_len=8, frame_interval=8, num_segments=1)
    return Recogniser(trunk, LinearHead(trunk.channels, num_classes, dropout), spec, num_classes)


MODELS = {f"slowonly_r{depth}": partial(slowonly, depth) for depth in BLOCKS}
