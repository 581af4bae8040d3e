"""TSN: temporal segment networks."""

from __future__ import annotations

from functools import partial

from omnisrc.models.heads.linear import LinearHead
from omnisrc.models.inputs import InputSpec
from omnisrc.models.recogniser import Recogniser
from omnisrc.models.trunks.design import BLOCKS, flat_design
from omnisrc.models.trunks.resnet import ResNet, initialise


def tsn(
    depth: int, num_classes: int, *, width: int = 64, dropout: float = 0.4, zero_init_gamma: bool = False
) -> Recogniser:
    """Temporal segment network (Wang et al., 2016): a 2-D trunk on each frame, the mean over all of them."""
    trunk = ResNet(flat_design(depth, width))
    initialise(trunk, zero_init_gamma)
    spec = InputSpec("2d", clip_len=1, frame_interval=1, num_segments=3)
    return Recogniser(trunk, LinearHead(trunk.channels, num_classes, dropout), spec, num_classes)


MODELS = {f"tsn_r{depth}": partial(tsn, depth) for depth in BLOCKS}
