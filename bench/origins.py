"""The architectures of omnisrc's table as their origins build them: torchvision, transformers, PyTorchVideo, MMAction2.

The last two need not be installed beside omnisrc: OMNISRC_BENCH_ORIGINS names folders (with colons between) that
`pip install --no-deps --target FOLDER` has filled:

    pytorchvideo fvcore iopath parameterized yacs portalocker tabulate termcolor
    mmaction2==1.2.0 mmengine==0.10.7 mmcv-lite==2.1.0 addict yapf termcolor rich einops platformdirs
        importlib_metadata==6.11.0 zipp==3.17.0 markdown-it-py pygments mdurl scipy
"""

from __future__ import annotations

import os
import sys
import types
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn

CLASSES = 400
Build = Callable[[], nn.Module]
"""Makes a network of (N, 3, T, H, W) -> (N, classes)."""


@dataclass(frozen=True)
class Case:
    """A name of `create_model`, the input that it is measured on, and who else builds it."""

    name: str
    views: int
    frames: int
    side: int
    origins: dict[str, Build]


class Frames(nn.Module):
    """A 2-D network on (N, 3, 1, H, W)."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.network(clips.squeeze(2))
        return out


class TwoRates(nn.Module):
    """A network that takes the slow frames and all of them."""

    def __init__(self, network: nn.Module, alpha: int) -> None:
        super().__init__()
        self.network, self.alpha = network, alpha

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.network([clips[:, :, :: self.alpha], clips])
        return out


class FramesFirst(nn.Module):
    """A network of transformers', which takes (N, T, 3, H, W)."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.network(pixel_values=clips.transpose(1, 2)).logits
        return out


class Pooled(nn.Module):
    """A backbone, its map's mean and a linear layer, as MMAction2's heads have them."""

    def __init__(self, backbone: nn.Module, channels: int) -> None:
        super().__init__()
        self.backbone, self.fc = backbone, nn.Linear(channels, CLASSES)

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        found = self.backbone(clips)
        maps = found if isinstance(found, tuple) else (found,)
        vectors = [each.flatten(2).mean(2) if each.ndim > 2 else each for each in maps]
        out: torch.Tensor = self.fc(torch.cat(vectors, 1))
        return out


def torchvision_video(name: str) -> nn.Module:
    import torchvision.models.video as video

    model: nn.Module = getattr(video, name)(num_classes=CLASSES)
    return model


def torchvision_frames(name: str) -> nn.Module:
    import torchvision.models as models

    return Frames(getattr(models, name)(num_classes=CLASSES))


def pytorchvideo(module: str, name: str, alpha: int = 0) -> nn.Module:
    import importlib

    reach()
    model: nn.Module = getattr(importlib.import_module(f"pytorchvideo.models.hub.{module}"), name)(pretrained=False)
    return TwoRates(model, alpha) if alpha else model


def transformers(prefix: str) -> nn.Module:
    import transformers as library

    config = getattr(library, f"{prefix}Config")(num_labels=CLASSES)
    return FramesFirst(getattr(library, f"{prefix}ForVideoClassification")(config))


def mmaction2(channels: int, frames: bool = False, **backbone: Any) -> nn.Module:
    reach()
    # The released wheel lacks one folder of localizers, and its multimodal part asks for an older transformers.
    for name in ("localizers.drn", "localizers.drn.drn", "multimodal"):
        stand_in: Any = types.ModuleType(f"mmaction.models.{name}")
        stand_in.DRN, stand_in.__all__ = type("DRN", (), {}), []
        sys.modules.setdefault(f"mmaction.models.{name}", stand_in)
    import mmaction.models  # noqa: F401
    from mmaction.registry import MODELS

    model = Pooled(MODELS.build({"pretrained": None, **backbone}), channels)
    return Frames(model) if frames else model


def reach() -> None:
    """Puts the folders of OMNISRC_BENCH_ORIGINS behind what is installed."""
    warnings.simplefilter("ignore")
    for folder in os.environ.get("OMNISRC_BENCH_ORIGINS", "").split(":"):
        if folder and folder not in sys.path:
            sys.path.append(folder)


TV, HF, PTV, MM2 = "torchvision", "transformers", "PyTorchVideo", "MMAction2"
I3D = {
    "type": "ResNet3d", "depth": 50, "pretrained2d": False, "conv1_kernel": (5, 7, 7), "conv1_stride_t": 2,
    "pool1_stride_t": 2, "inflate": ((1, 1, 1), (1, 0, 1, 0), (1, 0, 1, 0, 1, 0), (0, 1, 0)),
}  # fmt: skip
SLOWONLY = {
    "type": "ResNet3dSlowOnly", "lateral": False, "conv1_kernel": (1, 7, 7), "conv1_stride_t": 1, "pool1_stride_t": 1,
    "inflate": (0, 0, 1, 1),
}  # fmt: skip
CSN = {"type": "ResNet3dCSN", "depth": 152, "pretrained2d": False, "with_pool2": False, "bottleneck_mode": "ir"}

CASES = (
    Case("tsn_r50", 8, 1, 224, {
        TV: partial(torchvision_frames, "resnet50"), MM2: partial(mmaction2, 2048, True, type="ResNet", depth=50),
    }),
    Case("slowonly_r50", 1, 8, 224, {
        PTV: partial(pytorchvideo, "resnet", "slow_r50"), MM2: partial(mmaction2, 2048, depth=50, **SLOWONLY),
    }),
    Case("i3d_r50", 1, 32, 224, {MM2: partial(mmaction2, 2048, **I3D)}),  # PyTorchVideo's keeps twice the frames
    Case("c2d_r50", 1, 8, 224, {PTV: partial(pytorchvideo, "resnet", "c2d_r50")}),
    Case("c3d", 1, 16, 112, {MM2: partial(mmaction2, 4096, type="C3D")}),
    Case("slowfast_r50", 1, 32, 224, {PTV: partial(pytorchvideo, "slowfast", "slowfast_r50", 4)}),
    Case("x3d_s", 1, 13, 160, {PTV: partial(pytorchvideo, "x3d", "x3d_s")}),
    Case("x3d_m", 1, 16, 224, {PTV: partial(pytorchvideo, "x3d", "x3d_m")}),
    Case("ircsn_r152", 1, 32, 224, {MM2: partial(mmaction2, 2048, **CSN)}),
    Case("ircsn_r101", 1, 32, 224, {PTV: partial(pytorchvideo, "csn", "csn_r101")}),
    Case("r2plus1d_r50", 1, 16, 224, {PTV: partial(pytorchvideo, "r2plus1d", "r2plus1d_r50")}),
    Case("r3d_18", 1, 16, 112, {TV: partial(torchvision_video, "r3d_18")}),
    Case("mc3_18", 1, 16, 112, {TV: partial(torchvision_video, "mc3_18")}),
    Case("r2plus1d_18", 1, 16, 112, {TV: partial(torchvision_video, "r2plus1d_18")}),
    Case("s3d", 1, 16, 224, {TV: partial(torchvision_video, "s3d")}),
    Case("swin3d_t", 1, 32, 224, {TV: partial(torchvision_video, "swin3d_t")}),
    Case("mvit_v2_s", 1, 16, 224, {TV: partial(torchvision_video, "mvit_v2_s")}),
    Case("timesformer_b", 1, 8, 224, {HF: partial(transformers, "Timesformer")}),
    Case("videomae_b", 1, 16, 224, {HF: partial(transformers, "VideoMAE")}),
)  # fmt: skip
