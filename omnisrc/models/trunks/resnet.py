"""ResNet, in two dimensions or three (He et al., 2016; SlowOnly: Feichtenhofer et al., 2019, table 1, slow pathway).

Modules are named as torchvision names them. Kernels and strides are written (time, height, width); a 2-D network has
no time. Strides are in the 3x3 convolution, convolutions have no bias.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from omnisrc.models.trunks.trunk import Stage, Trunk, fold_frames, unfold_frames

Size = tuple[int, int, int]  # (time, height, width)

BLOCKS = {
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}
"""Blocks in layer1 to layer4, by depth."""

FLAT = ((1,), (1,), (1,), (1,))
SLOWONLY = ((1,), (1,), (3,), (3,))
"""Frames that the temporal convolutions see, by stage; within a stage the tuple is cycled over the blocks."""


def conv(dims: int, inputs: int, outputs: int, kernel: Size, stride: Size = (1, 1, 1)) -> nn.Conv2d | nn.Conv3d:
    """A convolution without bias that keeps the size at stride 1 (odd kernels)."""
    pad = (kernel[0] // 2, kernel[1] // 2, kernel[2] // 2)
    if dims == 3:
        return nn.Conv3d(inputs, outputs, kernel, stride, pad, bias=False)
    assert kernel[0] == 1 and stride[0] == 1, "a 2-D convolution has no time"
    return nn.Conv2d(inputs, outputs, kernel[1:], stride[1:], pad[1:], bias=False)


def norm(dims: int, channels: int) -> nn.BatchNorm2d | nn.BatchNorm3d:
    return nn.BatchNorm3d(channels) if dims == 3 else nn.BatchNorm2d(channels)


class Block(nn.Module):
    """What both kinds share: convolutions joined by ReLU, a short cut, ReLU.

    The ReLUs are modules of their own, one a place, so that explanations can hook each of them.
    """

    expansion: int

    def __init__(self, dims: int, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.downsample: nn.Module | None = None
        if stride != 1 or inputs != outputs:
            short_cut = conv(dims, inputs, outputs, (1, 1, 1), (1, stride, stride))
            self.downsample = nn.Sequential(short_cut, norm(dims, outputs))
        self.relu = nn.ReLU(inplace=True)

    def last_norm(self) -> nn.Module:
        """The norm before the sum; its gamma decides how much of the block is heard at the start."""
        raise NotImplementedError

    def residual(self, x: torch.Tensor) -> torch.Tensor:
        raise NotImplementedError

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        short_cut = x if self.downsample is None else self.downsample(x)
        out: torch.Tensor = self.relu(self.residual(x) + short_cut)
        return out


class BasicBlock(Block):
    """Two 3x3 convolutions; with `frames` > 1 both see that many frames (MMAction2's BasicBlock3d)."""

    expansion = 1

    def __init__(self, dims: int, inputs: int, channels: int, stride: int, frames: int) -> None:
        super().__init__(dims, inputs, channels, stride)
        self.conv1 = conv(dims, inputs, channels, (frames, 3, 3), (1, stride, stride))
        self.bn1 = norm(dims, channels)
        self.relu1 = nn.ReLU(inplace=True)
        self.conv2 = conv(dims, channels, channels, (frames, 3, 3))
        self.bn2 = norm(dims, channels)

    def last_norm(self) -> nn.Module:
        return self.bn2

    def residual(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.bn2(self.conv2(self.relu1(self.bn1(self.conv1(x)))))
        return out


class Bottleneck(Block):
    """1x1, 3x3, 1x1 convolutions; with `frames` > 1 the first sees that many frames."""

    expansion = 4

    def __init__(self, dims: int, inputs: int, channels: int, stride: int, frames: int) -> None:
        super().__init__(dims, inputs, channels * self.expansion, stride)
        self.conv1 = conv(dims, inputs, channels, (frames, 1, 1))
        self.bn1 = norm(dims, channels)
        self.relu1 = nn.ReLU(inplace=True)
        self.conv2 = conv(dims, channels, channels, (1, 3, 3), (1, stride, stride))
        self.bn2 = norm(dims, channels)
        self.relu2 = nn.ReLU(inplace=True)
        self.conv3 = conv(dims, channels, channels * self.expansion, (1, 1, 1))
        self.bn3 = norm(dims, channels * self.expansion)

    def last_norm(self) -> nn.Module:
        return self.bn3

    def residual(self, x: torch.Tensor) -> torch.Tensor:
        x = self.relu1(self.bn1(self.conv1(x)))
        x = self.relu2(self.bn2(self.conv2(x)))
        out: torch.Tensor = self.bn3(self.conv3(x))
        return out


class ResNet(Trunk):
    """depth 18, 50 or 101; `width` is the stem's channels (64 as published); `frames` as in SLOWONLY above.

    (N, 3, T, H, W) -> (N, channels, T, H/32, W/32): time is never strided.
    """

    def __init__(self, depth: int, dims: int, width: int = 64, frames: Sequence[Sequence[int]] = FLAT) -> None:
        super().__init__()
        self.depth, self.dims, self.width = depth, dims, width
        self.conv1 = conv(dims, 3, width, (1, 7, 7), (1, 2, 2))
        self.bn1 = norm(dims, width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool: nn.Module = nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1))
        if dims == 2:
            self.maxpool = nn.MaxPool2d(3, 2, 1)
        kind = BasicBlock if depth < 50 else Bottleneck
        outputs = [width * 2**stage * kind.expansion for stage in range(4)]
        self.stages = tuple(Stage(f"layer{at + 1}", outputs[at], 4 * 2**at) for at in range(4))
        layers = [self._layer(kind, at, (width, *outputs)[at], frames[at]) for at in range(4)]
        self.layer1, self.layer2, self.layer3, self.layer4 = layers

    def _layer(
        self, kind: type[BasicBlock | Bottleneck], stage: int, inputs: int, frames: Sequence[int]
    ) -> nn.Sequential:
        channels = self.width * 2**stage
        layer = nn.Sequential()
        for index in range(BLOCKS[self.depth][stage]):
            stride = 2 if stage > 0 and index == 0 else 1
            layer.append(kind(self.dims, inputs, channels, stride, frames[index % len(frames)]))
            inputs = channels * kind.expansion
        return layer

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        x = self._stem(clips)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return unfold_frames(x, clips.shape[2]) if self.dims == 2 else x

    def maps(self, clips: torch.Tensor) -> dict[str, torch.Tensor]:
        x, found = self._stem(clips), {}
        for stage, layer in zip(self.stages, (self.layer1, self.layer2, self.layer3, self.layer4), strict=True):
            x = layer(x)
            found[stage.name] = unfold_frames(x, clips.shape[2]) if self.dims == 2 else x
        return found

    def _stem(self, clips: torch.Tensor) -> torch.Tensor:
        x = fold_frames(clips) if self.dims == 2 else clips
        stem: torch.Tensor = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        return stem


def initialise(trunk: ResNet, zero_init_gamma: bool = False) -> None:
    """He initialisation by fan-out, norms to the identity; gammas of the last norms to 0 if asked (Goyal et al., 2017).

    Without `zero_init_gamma` this is torchvision's and MMAction2's start.
    """
    for module in trunk.modules():
        if isinstance(module, nn.Conv2d | nn.Conv3d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    if zero_init_gamma:
        for module in trunk.modules():
            if isinstance(module, Block):
                nn.init.zeros_(module.last_norm().get_parameter("weight"))
