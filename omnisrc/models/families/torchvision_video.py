"""torchvision's video networks under our names, with the input that its published weights were trained on."""

from __future__ import annotations

from functools import partial

from torch import nn

from omnisrc.models.heads.linear import LinearHead
from omnisrc.models.heads.pooled import WindowedHead
from omnisrc.models.inputs import InputSpec, Triple
from omnisrc.models.recogniser import Recogniser
from omnisrc.models.trunks.torchvision_video import S3D, Swin3D, VideoResNet

KINETICS_MEAN: Triple = (110.2008, 100.63983, 95.99475)
KINETICS_STD: Triple = (58.14765, 56.46975, 55.332195)
"""Of frames in 0..255: torchvision's R3D, MC3, R(2+1)D and S3D, and the VMZ weights that they descend from."""

GREY_MEAN: Triple = (114.75, 114.75, 114.75)
GREY_STD: Triple = (57.375, 57.375, 57.375)
"""0.45 and 0.225 of frames in 0..1."""


def video_resnet(name: str, num_classes: int, *, dropout: float = 0.0) -> Recogniser:
    """`r3d_18`, `mc3_18`, `r2plus1d_18`: clips of 16 frames at 15 a second, 112 pixels."""
    trunk = VideoResNet(_network(name), strides_time=name != "mc3_18")
    spec = InputSpec("3d", 16, 2, 1, KINETICS_MEAN, KINETICS_STD, crop_size=112, short_side=128)
    return Recogniser(trunk, LinearHead(trunk.channels, num_classes, dropout), spec, num_classes)


def s3d(num_classes: int, *, dropout: float = 0.2) -> Recogniser:
    """S3D: clips of 128 frames at 15 a second, 224 pixels; at least 8 frames."""
    trunk = S3D(_network("s3d"))
    for module in trunk.modules():
        if isinstance(module, nn.BatchNorm3d):
            module.momentum = 0.1  # with torchvision's 0.001 the statistics would not follow a short training
    spec = InputSpec("3d", 128, 2, 1, KINETICS_MEAN, KINETICS_STD)
    return Recogniser(trunk, WindowedHead(trunk.channels, num_classes, dropout), spec, num_classes)


def swin3d(size: str, width: int, num_classes: int, *, dropout: float = 0.0) -> Recogniser:
    """Video Swin: clips of 32 frames at 15 a second, 224 pixels."""
    trunk = Swin3D(_network(f"swin3d_{size}"), width)
    spec = InputSpec("3d", 32, 2, 1)
    return Recogniser(trunk, LinearHead(trunk.channels, num_classes, dropout), spec, num_classes)


def _network(name: str) -> nn.Module:
    from torchvision.models import get_model

    network: nn.Module = get_model(name, weights=None)
    return network


MODELS = {
    **{name: partial(video_resnet, name) for name in ("r3d_18", "mc3_18", "r2plus1d_18")},
    "s3d": s3d,
    **{f"swin3d_{size}": partial(swin3d, size, width) for size, width in (("t", 96), ("s", 96), ("b", 128))},
}
