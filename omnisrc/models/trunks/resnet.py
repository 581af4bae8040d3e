"""The residual network of every family here: TSN, TSM, SlowOnly, I3D, R(2+1)D, CSN, the pathways of SlowFast.

He et al., 2016; what differs between the families is their `Design`.
"""

from __future__ import annotations

import torch
from torch import nn

from omnisrc.models.trunks.blocks import BasicBlock, Block, Bottleneck, Layer
from omnisrc.models.trunks.design import Design
from omnisrc.models.trunks.non_local import NonLocal
from omnisrc.models.trunks.trunk import Stage, Trunk, fold_frames, unfold_frames


class ResNet(Trunk):
    """(N, 3, T, H, W) -> (N, channels, T / temporal stride, H/32, W/32)."""

    added: tuple[str, ...] = (r"\.non_local\.",)
    """Names that weights of the plain network lack, and that may then stay as they start."""

    def __init__(self, design: Design) -> None:
        super().__init__()
        self.design, self.dims = design, design.dims
        through = design.stem_strides[0]
        self.conv1 = design.convolve(3, design.width, (design.stem_frames, 7, 7), (through, 2, 2))
        self.bn1 = design.norm(design.width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = _stem_pool(design)
        self.pool2 = nn.MaxPool3d((2, 1, 1)) if design.pool2 else None
        kind = Bottleneck if design.bottleneck else BasicBlock
        inputs, layers = design.width, []
        for at in range(4):
            layers.append(_layer(design, kind, at, inputs + design.lateral[at]))
            inputs = design.width * 2**at * kind.expansion
        self.layer1, self.layer2, self.layer3, self.layer4 = layers
        self.stages = _stages(design, kind.expansion)

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        x = self.stem(clips)
        for at in range(4):
            x = self.stage(at, x, clips.shape[2])
        return unfold_frames(x, clips.shape[2]) if self.dims == 2 else x

    def maps(self, clips: torch.Tensor) -> dict[str, torch.Tensor]:
        x, found = self.stem(clips), {}
        for at, stage in enumerate(self.stages):
            x = self.stage(at, x, clips.shape[2])
            found[stage.name] = unfold_frames(x, clips.shape[2]) if self.dims == 2 else x
        return found

    def stem(self, clips: torch.Tensor) -> torch.Tensor:
        """What layer1 is given; a 2-D network's frames are folded into the batch."""
        x = fold_frames(clips) if self.dims == 2 else clips
        out: torch.Tensor = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        return out

    def stage(self, at: int, x: torch.Tensor, clip_len: int = 1) -> torch.Tensor:
        """The layer `at`, counted from 0. Single frames are never pooled away."""
        if at == 1 and self.pool2 is not None and x.shape[2] > 1:
            x = self.pool2(x)
        out: torch.Tensor = (self.layer1, self.layer2, self.layer3, self.layer4)[at](x, clip_len)
        return out


def initialise(trunk: nn.Module, zero_init_gamma: bool = False) -> None:
    """He initialisation by fan-out, norms to the identity; gammas of the last norms to 0 if asked (Goyal et al., 2017).

    Without `zero_init_gamma` this is torchvision's and MMAction2's start, but that the fan-out of a depthwise
    convolution is its own.
    """
    for module in trunk.modules():
        if isinstance(module, nn.Conv2d | nn.Conv3d):
            fan_out = module.weight[:, 0].numel() // module.groups
            nn.init.normal_(module.weight, std=(2 / fan_out) ** 0.5)
    for module in trunk.modules():
        if isinstance(module, NonLocal):
            module.reset()
        if isinstance(module, Block) and zero_init_gamma:
            nn.init.zeros_(module.last_norm().get_parameter("weight"))


def _layer(design: Design, kind: type[BasicBlock | Bottleneck], at: int, inputs: int) -> Layer:
    channels, layer = design.width * 2**at, Layer()
    frames, shifts, non_local = design.frames[at], design.shift[at], design.non_local[at]
    for index in range(design.blocks[at]):
        across = design.strides[at] if index == 0 else 1
        through = design.temporal_strides[at] if index == 0 else 1
        layer.append(
            kind(
                design,
                inputs,
                channels,
                (through, across, across),
                frames[index % len(frames)],
                shifts[index % len(shifts)],
                bool(non_local[index % len(non_local)]),
            )
        )
        inputs = channels * kind.expansion
    return layer


def _stem_pool(design: Design) -> nn.Module:
    if not design.stem_pool:
        return nn.Identity()
    if design.dims == 2:
        return nn.MaxPool2d(3, 2, 1)
    return nn.MaxPool3d((1, 3, 3), (design.stem_strides[1], 2, 2), (0, 1, 1))


def _stages(design: Design, expansion: int) -> tuple[Stage, ...]:
    stages = []
    across = 4 if design.stem_pool else 2
    through = design.stem_strides[0] * (design.stem_strides[1] if design.stem_pool else 1)
    for at in range(4):
        across *= design.strides[at]
        through *= design.temporal_strides[at] * (2 if at == 1 and design.pool2 else 1)
        stages.append(Stage(f"layer{at + 1}", design.width * 2**at * expansion, across, through))
    return tuple(stages)
