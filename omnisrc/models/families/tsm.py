"""TSM: a 2-D network whose channels are shifted in time."""

from __future__ import annotations

from functools import partial

from omnisrc.models.heads.linear import LinearHead
from omnisrc.models.inputs import InputSpec
from omnisrc.models.recogniser import Recogniser
from omnisrc.models.trunks.design import BLOCKS, NOWHERE, Pattern, flat_design
from omnisrc.models.trunks.resnet import ResNet, initialise


def tsm(
    depth: int,
    num_classes: int,
    *,
    width: int = 64,
    dropout: float = 0.5,
    zero_init_gamma: bool = False,
    shift: int = 8,
) -> Recogniser:
    """Temporal shift module (Lin et al., 2019): 1/shift of the channels from the next segment, 1/shift from the last.

    The segments are the frames of one view, in order: (B, V, C, T, H, W) with T segments, 8 spread over the video as
    published, or `frame_interval` apart for the dense variant. Any T will do; of a still, nothing is shifted in.
    `shift=0` is TSN.
    """
    trunk = ResNet(flat_design(depth, width, shift=shifts(depth, shift)))
    initialise(trunk, zero_init_gamma)
    spec = InputSpec("3d", clip_len=8, frame_interval=0, num_segments=1)
    return Recogniser(trunk, LinearHead(trunk.channels, num_classes, dropout), spec, num_classes)


def shifts(depth: int, part: int) -> Pattern:
    """In every block, in every second one where layer3 has 23 or more."""
    if not part:
        return NOWHERE
    return ((part, 0) if BLOCKS[depth][2] >= 23 else (part,),) * 4


MODELS = {f"tsm_r{depth}": partial(tsm, depth) for depth in (18, 34, 50, 101)}
