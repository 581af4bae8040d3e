"""A 2-D trunk and a head over its frames: late fusion, LRCN, TRN."""

from __future__ import annotations

from functools import partial

from omnisrc.errors import UserError
from omnisrc.models.heads.frames import FusionHead, RecurrentHead
from omnisrc.models.heads.relations import RelationHead
from omnisrc.models.inputs import InputSpec
from omnisrc.models.recogniser import Recogniser
from omnisrc.models.trunks import bn_inception
from omnisrc.models.trunks.design import flat_design
from omnisrc.models.trunks.resnet import ResNet, initialise
from omnisrc.models.trunks.trunk import Trunk

SPREAD = 0
"""As `frame_interval`: one frame of each of `clip_len` equal parts of the video. They make one view, in their order."""


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
    return Recogniser(trunk, head, InputSpec("3d", clip_len=5, frame_interval=SPREAD, num_segments=1), num_classes)


def trn(depth: int, num_classes: int, *, width: int = 64, dropout: float = 0.8, frames: int = 8) -> Recogniser:
    """Multi-scale temporal relation network (Zhou et al., 2018) over the `frames` of a view, as MMAction2 builds it."""
    return relations(_resnet(depth, width, frozen=False), num_classes, dropout, frames)


def trn_bninception(num_classes: int, *, width: int = 64, dropout: float = 0.8, frames: int = 8) -> Recogniser:
    """Multi-scale TRN as first published, on BN-Inception."""
    trunk = bn_inception.BNInception(width)
    bn_inception.initialise(trunk)
    return relations(trunk, num_classes, dropout, frames)


def relations(trunk: Trunk, num_classes: int, dropout: float, frames: int) -> Recogniser:
    if frames < 2:
        raise UserError(f"a temporal relation network relates at least 2 frames, not {frames}: set frames higher")
    head = RelationHead(trunk.channels, num_classes, dropout, frames)
    return Recogniser(trunk, head, InputSpec("3d", frames, SPREAD, num_segments=1), num_classes)


def _resnet(depth: int, width: int, frozen: bool) -> ResNet:
    trunk = ResNet(flat_design(depth, width))
    initialise(trunk, zero_init_gamma=frozen)  # or what nobody norms would grow from block to block
    if frozen:
        trunk.freeze()
    return trunk


DEPTHS = (18, 50, 101, 152)

MODELS = {
    **{f"latefusion_r{depth}": partial(latefusion, depth) for depth in DEPTHS},
    **{f"lrcn_r{depth}": partial(lrcn, depth) for depth in DEPTHS},
    **{f"trn_r{depth}": partial(trn, depth) for depth in DEPTHS},
    "trn_bninception": trn_bninception,
}
