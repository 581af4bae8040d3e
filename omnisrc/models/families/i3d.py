"""I3D on ResNet, with and without non-local blocks; C2D, which sees time by pooling alone."""

from __future__ import annotations

from functools import partial

from omnisrc.errors import UserError
from omnisrc.models.heads.linear import LinearHead
from omnisrc.models.inputs import InputSpec
from omnisrc.models.recogniser import Recogniser
from omnisrc.models.trunks.design import EVERYWHERE, FLAT, I3D, Design
from omnisrc.models.trunks.resnet import ResNet, initialise

FIVE_BLOCKS = ((0,), (0, 1), (0, 1), (0,))
"""Of ResNet-50: behind the second and fourth block of layer2, and the second, fourth and sixth of layer3."""

MMACTION2 = InputSpec("3d", clip_len=32, frame_interval=2, num_segments=1)
PYTORCHVIDEO = InputSpec("3d", clip_len=8, frame_interval=8, num_segments=1)

inflated = partial(Design, frames=I3D, stem_frames=5)
heavy = partial(Design, frames=EVERYWHERE, stem_frames=5)
c2d = partial(Design, frames=FLAT)


def i3d(
    design: partial[Design],
    stride: int,
    spec: InputSpec,
    num_classes: int,
    *,
    width: int = 64,
    dropout: float = 0.5,
    zero_init_gamma: bool = False,
    stem_stride: int = 0,
    halve: bool = True,
    pool_first: bool = False,
) -> Recogniser:
    """Inflated ResNet-50 (Carreira and Zisserman, 2017; Wang et al., 2018), as MMAction2 has it.

    `stem_stride` is the temporal stride of the stem's convolution and of its pooling: 2 in MMAction2's I3D; 1 in
    PyTorchVideo's and PySlowFast's, which are shown 8 frames, 8 apart, in C2D, and in MMAction2's heavy variant.
    `halve`: a pooling behind layer1 halves the frames, but in PySlowFast's "nopool" variants; `pool_first` is
    PySlowFast's non-local block (see `NonLocal`).
    """
    if stem_stride not in (0, 1, 2):
        raise UserError(f"an I3D network needs a stem_stride of 1 or 2, not {stem_stride}")
    through = stem_stride or stride
    trunk = ResNet(design(50, width, stem_strides=(through, through), pool2=halve, pool_first=pool_first))
    initialise(trunk, zero_init_gamma)
    return Recogniser(trunk, LinearHead(trunk.channels, num_classes, dropout), spec, num_classes)


MODELS = {
    "i3d_r50": partial(i3d, inflated, 2, MMACTION2),
    "i3d_r50_heavy": partial(i3d, heavy, 1, MMACTION2),
    "i3d_nl_dot": partial(i3d, partial(inflated, non_local=FIVE_BLOCKS, pairwise="dot"), 2, MMACTION2),
    "i3d_nl_embedded": partial(i3d, partial(inflated, non_local=FIVE_BLOCKS, pairwise="embedded"), 2, MMACTION2),
    "i3d_nl_gauss": partial(i3d, partial(inflated, non_local=FIVE_BLOCKS, pairwise="gauss"), 2, MMACTION2),
    "c2d_r50": partial(i3d, c2d, 1, PYTORCHVIDEO),
}
