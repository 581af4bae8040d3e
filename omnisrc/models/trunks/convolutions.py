"""The convolutions that residual networks are made of. Kernels and strides are written (time, height, width).

None has a bias, and at stride 1 all keep the size (odd kernels).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

Size = tuple[int, int, int]  # (time, height, width)
Convolve = Callable[[int, int, Size, Size], nn.Module]
"""(input channels, output channels, kernel, stride) -> a module."""
Norm = Callable[[int], nn.Module]


def flat(inputs: int, outputs: int, kernel: Size, stride: Size) -> nn.Conv2d:
    """On frames alone."""
    assert kernel[0] == 1 and stride[0] == 1, "a 2-D convolution has no time"
    return nn.Conv2d(inputs, outputs, kernel[1:], stride[1:], (kernel[1] // 2, kernel[2] // 2), bias=False)


def solid(inputs: int, outputs: int, kernel: Size, stride: Size, groups: int = 1) -> nn.Conv3d:
    pad = (kernel[0] // 2, kernel[1] // 2, kernel[2] // 2)
    return nn.Conv3d(inputs, outputs, kernel, stride, pad, groups=groups, bias=False)


def depthwise(inputs: int, outputs: int, kernel: Size, stride: Size) -> nn.Conv3d:
    """Each channel by itself: irCSN's (Tran et al., 2019, "interaction-reduced")."""
    return solid(inputs, outputs, kernel, stride, groups=inputs)


def separated(norm: Norm) -> Convolve:
    """ipCSN's ("interaction-preserved"): channels mix at one place, are normed, and then each sees its surroundings."""

    def convolve(inputs: int, outputs: int, kernel: Size, stride: Size) -> nn.Module:
        mix = solid(inputs, outputs, (1, 1, 1), (1, 1, 1))
        return nn.Sequential(mix, norm(outputs), depthwise(outputs, outputs, kernel, stride))

    return convolve


class Factorised(nn.Module):
    """A convolution over space and one over time with norm and ReLU between them (R(2+1)D, Tran et al., 2018).

    Space first, the channels between them are as many as give the whole the parameters of the solid convolution over
    three frames (section 3.5 of the paper); `time_first`, PyTorchVideo's order, they are the outputs.
    """

    def __init__(self, inputs: int, outputs: int, kernel: Size, stride: Size, time_first: bool = False) -> None:
        super().__init__()
        between = outputs if time_first else matched_channels(inputs, outputs, kernel)
        space, time = ((between, outputs), (inputs, between)) if time_first else ((inputs, between), (between, outputs))
        self.time_first = time_first
        self.conv_s = solid(*space, (1, kernel[1], kernel[2]), (1, stride[1], stride[2]))
        self.bn = nn.BatchNorm3d(between)
        self.relu = nn.ReLU(inplace=True)
        self.conv_t = solid(*time, (kernel[0], 1, 1), (stride[0], 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first, second = (self.conv_t, self.conv_s) if self.time_first else (self.conv_s, self.conv_t)
        out: torch.Tensor = second(self.relu(self.bn(first(x))))
        return out


def matched_channels(inputs: int, outputs: int, kernel: Size) -> int:
    """floor(3 i o h w / (i h w + 3 o)): MMAction2 counts three frames, whatever the kernel has."""
    area = kernel[1] * kernel[2]
    return max(1, 3 * inputs * outputs * area // (inputs * area + 3 * outputs))


def time_then_space(inputs: int, outputs: int, kernel: Size, stride: Size) -> nn.Module:
    return Factorised(inputs, outputs, kernel, stride, time_first=True)
