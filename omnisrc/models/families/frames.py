"""Networks of a 2-D ResNet and a head over its frames: late fusion, LRCN, TRN."""

from __future__ import annotations

from functools import partial

from omnisrc.models.heads.frames import FusionHead, RecurrentHead
from omnisrc.models.heads.relations import RelationHead
from omnisrc.models.inputs import InputSpec
from omnisrc.models.recogniser import Recogniser
from omnisrc.models.trunks.resnet import ResNet, initialise


def latefusion(
    depth: int, num_classes: int, *, width: int = 64, dropout: float = 0.0, hidden: int = 512, frozen: bool = True
) -> Recogniser:
    """Late fusion of five frames; the trunk is frozen, with its batch norms, unless `frozen` is false.

    A frozen trunk is worth what its weights are: begin with ImageNet's.
    """
    trunk = _resnet(depth, width, frozen)
    head = FusionHead(trunk.channels, num_classes, dropout, hidden)
    return Recogniser(trunk, head, InputSpec("2d", clip_len=1, frame_interval=1, num_segments=5), num_classes)


def lrcn(
    depth: int,
    num_classes: int,
    *,
    width: int = 64,
    dropout: float = 0.0,
    hidden: int = 512,
    state: int = 256,
    layers: int = 2,
    bidirectional: bool = True,
    frozen: bool = True,
) -> Recogniser:
    """LRCN (Donahue et al., 2015): an LSTM over the frames of a clip; the trunk is frozen unless `frozen` is false."""
    trunk = _resnet(depth, width, frozen)
    head = RecurrentHead(trunk.channels, num_classes, dropout, hidden, state, layers, bidirectional)
    # A view is the whole sequence, so that an order exists in it: a clip, as for 3-D networks.
    return Recogniser(trunk, head, InputSpec("3d", clip_len=5, frame_interval=8, num_segments=1), num_classes)


def trn(
    depth: int,
    num_classes: int,
    *,
    width: int = 64,
    dropout: float = 0.8,
    frames: int = 8,
    zero_init_gamma: bool = False,
) -> Recogniser:
    """Multi-scale temporal relation network (Zhou et al., 2018) over the `frames` of a clip, as MMAction2 builds it."""
    trunk = ResNet(depth, dims=2, width=width)
    initialise(trunk, zero_init_gamma)
    head = RelationHead(trunk.channels, num_classes, dropout, frames)
    return Recogniser(trunk, head, InputSpec("3d", clip_len=frames, frame_interval=4, num_segments=1), num_classes)


def _resnet(depth: int, width: int, frozen: bool) -> ResNet:
    trunk = ResNet(depth, dims=2, width=width)
    initialise(trunk)
    if frozen:
        trunk.freeze()
    return trunk


DEPTHS = (18, 50, 101, 152)

MODELS = {
    **{f"latefusion_r{depth}": partial(latefusion, depth) for depth in DEPTHS},
    **{f"lrcn_r{depth}": partial(lrcn, depth) for depth in DEPTHS},
    **{f"trn_r{depth}": partial(trn, depth) for depth in DEPTHS},
}
