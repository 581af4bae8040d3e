"""X3D (Feichtenhofer, 2020, table 1): a thin 3-D residual network with depthwise convolutions.

Every third layer's work is channel-wise: a block widens by 2.25, sees 3x3x3 places in each channel alone, weighs the
channels (squeeze and excitation, every second block) and narrows again. Layout and numbers are PyTorchVideo's.
"""

from __future__ import annotations

import math

import torch
from torch import nn

from omnisrc.models.trunks.trunk import Stage, Trunk

BLOCKS = (1, 2, 5, 3)
"""Blocks in layer1 to layer4 before the expansion in depth (2.2 for XS, S and M; 5 for L)."""

BOTTLENECK = 2.25
SQUEEZE = 1 / 16


def even_width(channels: float) -> int:
    """The multiple of 8 nearest to `channels`, at least 8, and never below nine tenths of it."""
    near = max(8, int(channels + 4) // 8 * 8)
    return near + 8 if near < 0.9 * channels else near


class SqueezeExcitation(nn.Module):
    """Scales each channel by a number in (0, 1) that the means of all channels decide (Hu et al., 2018)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        squeezed = even_width(channels * SQUEEZE)
        self.fc1 = nn.Conv3d(channels, squeezed, 1)
        self.relu = nn.ReLU(inplace=True)
        self.fc2 = nn.Conv3d(squeezed, channels, 1)
        self.sigmoid = nn.Sigmoid()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        means = x.mean((2, 3, 4), keepdim=True)
        scaled: torch.Tensor = x * self.sigmoid(self.fc2(self.relu(self.fc1(means))))
        return scaled


class Block(nn.Module):
    """Widen, a depthwise 3x3x3 convolution, weigh the channels, narrow; a short cut around it all."""

    def __init__(self, inputs: int, outputs: int, stride: int, squeezes: bool, normed: bool) -> None:
        super().__init__()
        inner, strides = int(BOTTLENECK * outputs), (1, stride, stride)
        self.conv1 = nn.Conv3d(inputs, inner, 1, bias=False)
        self.bn1 = nn.BatchNorm3d(inner)
        self.relu1 = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv3d(inner, inner, 3, strides, 1, groups=inner, bias=False)
        self.bn2 = nn.BatchNorm3d(inner)
        self.se = SqueezeExcitation(inner) if squeezes else None
        self.swish = nn.SiLU(inplace=True)
        self.conv3 = nn.Conv3d(inner, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm3d(outputs)
        self.downsample: nn.Module | None = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(nn.Conv3d(inputs, outputs, 1, strides, bias=False))
            if normed or inputs != outputs:
                self.downsample.append(nn.BatchNorm3d(outputs))
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        short_cut = x if self.downsample is None else self.downsample(x)
        x = self.bn2(self.conv2(self.relu1(self.bn1(self.conv1(x)))))
        x = self.swish(x if self.se is None else self.se(x))
        out: torch.Tensor = self.relu(self.bn3(self.conv3(x)) + short_cut)
        return out


class X3D(Trunk):
    """`width` is the stem's channels (24 as published), `depth` the expansion of BLOCKS, `normed` whether layer1's
    short cut, which keeps its channels, has a norm as the other layers' have (PySlowFast's and MMAction2's).

    (N, 3, T, H, W) -> (N, 18 * width, T, H/32, W/32): time is never strided.
    """

    def __init__(self, depth: float, width: int = 24, normed: bool = False) -> None:
        super().__init__()
        self.conv1_xy = nn.Conv3d(3, width, (1, 3, 3), (1, 2, 2), (0, 1, 1), bias=False)
        self.conv1_t = nn.Conv3d(width, width, (5, 1, 1), padding=(2, 0, 0), groups=width, bias=False)
        self.bn1 = nn.BatchNorm3d(width)
        self.relu = nn.ReLU(inplace=True)
        widths = [width * 2**stage for stage in range(4)]
        layers = [
            nn.Sequential(
                *(
                    Block(outputs if index else inputs, outputs, 1 if index else 2, index % 2 == 0, normed)
                    for index in range(math.ceil(depth * blocks))
                )
            )
            for inputs, outputs, blocks in zip((width, *widths), widths, BLOCKS, strict=False)
        ]
        self.layer1, self.layer2, self.layer3, self.layer4 = layers
        last = int(BOTTLENECK * widths[-1])
        self.conv5 = nn.Conv3d(widths[-1], last, 1, bias=False)
        self.bn5 = nn.BatchNorm3d(last)
        self.relu5 = nn.ReLU(inplace=True)
        layer_stages = (Stage(f"layer{at + 1}", widths[at], 4 * 2**at) for at in range(4))
        self.stages = (*layer_stages, Stage("conv5", last, 32))

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        return self._last(self.layer4(self.layer3(self.layer2(self.layer1(self._stem(clips))))))

    def maps(self, clips: torch.Tensor) -> dict[str, torch.Tensor]:
        x, found = self._stem(clips), {}
        for stage, layer in zip(self.stages, (self.layer1, self.layer2, self.layer3, self.layer4), strict=False):
            x = layer(x)
            found[stage.name] = x
        return {**found, "conv5": self._last(x)}

    def _stem(self, clips: torch.Tensor) -> torch.Tensor:
        stem: torch.Tensor = self.relu(self.bn1(self.conv1_t(self.conv1_xy(clips))))
        return stem

    def _last(self, x: torch.Tensor) -> torch.Tensor:
        last: torch.Tensor = self.relu5(self.bn5(self.conv5(x)))
        return last


def initialise(trunk: X3D, zero_init_gamma: bool = False) -> None:
    """He initialisation by the fan-out of one group, so that depthwise convolutions keep the deviation as others do."""
    for module in trunk.modules():
        if isinstance(module, nn.Conv3d):
            fan_out = module.out_channels // module.groups * math.prod(module.kernel_size)
            nn.init.normal_(module.weight, std=(2 / fan_out) ** 0.5)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif zero_init_gamma and isinstance(module, Block):
            nn.init.zeros_(module.bn3.weight)
