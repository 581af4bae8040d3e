"""SlowFast networks."""

from __future__ import annotations

from functools import partial
from typing import get_args

from omnisrc.errors import UserError
from omnisrc.models.heads.linear import LinearHead
from omnisrc.models.inputs import InputSpec
from omnisrc.models.recogniser import Recogniser
from omnisrc.models.trunks.design import BLOCKS
from omnisrc.models.trunks.resnet import initialise
from omnisrc.models.trunks.slowfast import Order, SlowFast, SlowFrames


def slowfast(
    depth: int,
    fast_depth: int,
    num_classes: int,
    *,
    width: int = 64,
    dropout: float = 0.5,
    zero_init_gamma: bool = False,
    alpha: int = 4,
    lateral_kernel: int = 7,
    lateral_norm: bool = True,
    slow_frames: SlowFrames = "linspace",
    order: Order = "slow-fast",
    slow_timed: int = 0,
    fast_timed: int = 0,
) -> Recogniser:
    """SlowFast (Feichtenhofer et al., 2019) on the fast pathway's frames: 32, two apart.

    `alpha` 4 is the published 8x8, 8 is 4x16. The defaults of the rest are PySlowFast's and PyTorchVideo's; MMAction2's
    are lateral_norm=False, slow_frames="stride", order="fast-slow". `slow_timed` and `fast_timed` are how many of the
    first blocks of a pathway's layer3 see other frames (0: all); 6 and 6 of 23 are the published R101-50-50. They
    travel with a checkpoint.
    """
    if alpha < 1 or lateral_kernel < 1 or lateral_kernel % 2 == 0:
        wanted = "an alpha of at least 1 and an odd lateral_kernel"
        raise UserError(f"a SlowFast network needs {wanted}, not {alpha} and {lateral_kernel}")
    for given, known in ((slow_frames, get_args(SlowFrames)), (order, get_args(Order))):
        if given not in known:
            raise UserError(f"a SlowFast network knows no {given!r}: choose one of {', '.join(known)}")
    for timed, blocks in ((slow_timed, BLOCKS[depth][2]), (fast_timed, BLOCKS[fast_depth][2])):
        if not 0 <= timed <= blocks:
            raise UserError(f"layer3 of this SlowFast network has {blocks} blocks, of which {timed} cannot see frames")
    trunk = SlowFast(
        depth, fast_depth, width, alpha, lateral_kernel, lateral_norm, slow_frames, order, slow_timed, fast_timed
    )
    initialise(trunk, zero_init_gamma)
    spec = InputSpec("3d", clip_len=32, frame_interval=2, num_segments=1)
    return Recogniser(trunk, LinearHead(trunk.channels, num_classes, dropout), spec, num_classes)


MODELS = {
    "slowfast_r18": partial(slowfast, 18, 18),
    "slowfast_r50": partial(slowfast, 50, 50),
    "slowfast_r101": partial(slowfast, 101, 101, lateral_kernel=5),
    "slowfast_r101_r50": partial(slowfast, 101, 50, lateral_kernel=5),
}
