"""Residual blocks, 2-D or 3-D, as their design says. Modules are named as torchvision names them."""

from __future__ import annotations

import torch
from torch import nn

from omnisrc.models.trunks.convolutions import Convolve, Size
from omnisrc.models.trunks.design import Design
from omnisrc.models.trunks.non_local import NonLocal
from omnisrc.models.trunks.shift import shift

POINT: Size = (1, 1, 1)


class Block(nn.Module):
    """What both kinds share: convolutions joined by ReLU, a short cut, ReLU; a shift before and a non-local block
    behind where the design has them.

    The ReLUs are modules of their own, one a place, so that explanations can hook each of them.
    """

    expansion: int

    def __init__(self, design: Design, inputs: int, outputs: int, stride: Size, part: int, non_local: bool) -> None:
        super().__init__()
        self.part = part
        self.downsample: nn.Module | None = None
        if stride != POINT or inputs != outputs:
            self.downsample = nn.Sequential(design.convolve(inputs, outputs, POINT, stride), design.norm(outputs))
        self.relu = nn.ReLU(inplace=True)
        self.non_local = NonLocal(outputs, design.pairwise, design.pool_first) if non_local else None

    def last_norm(self) -> nn.Module:
        """The norm before the sum; its gamma decides how much of the block is heard at the start."""
        raise NotImplementedError

    def residual(self, x: torch.Tensor) -> torch.Tensor:
        raise NotImplementedError

    def forward(self, x: torch.Tensor, clip_len: int = 1) -> torch.Tensor:
        """`clip_len`: how many rows of a 2-D network's batch are one clip."""
        short_cut = x if self.downsample is None else self.downsample(x)
        seen = shift(x, clip_len, self.part) if self.part else x
        out: torch.Tensor = self.residual(seen)
        out += short_cut  # in its place: a new map for the sum costs a tenth of the pass on a CPU
        out = self.relu(out)
        return out if self.non_local is None else self.non_local(out)


class BasicBlock(Block):
    """Two 3x3 convolutions that both see `frames` frames (MMAction2's BasicBlock3d)."""

    expansion = 1

    def __init__(
        self, design: Design, inputs: int, channels: int, stride: Size, frames: int, part: int, non_local: bool
    ) -> None:
        super().__init__(design, inputs, channels, stride, part, non_local)
        self.conv1 = design.convolve(inputs, channels, (frames, 3, 3), stride)
        self.bn1 = design.norm(channels)
        self.relu1 = nn.ReLU(inplace=True)
        self.conv2 = design.convolve(channels, channels, (frames, 3, 3), POINT)
        self.bn2 = design.norm(channels)

    def last_norm(self) -> nn.Module:
        return self.bn2

    def residual(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.bn2(self.conv2(self.relu1(self.bn1(self.conv1(x)))))
        return out


class Bottleneck(Block):
    """1x1, 3x3, 1x1 convolutions; the first sees `frames` frames, the second has the strides."""

    expansion = 4

    def __init__(
        self, design: Design, inputs: int, channels: int, stride: Size, frames: int, part: int, non_local: bool
    ) -> None:
        outputs = channels * self.expansion
        super().__init__(design, inputs, outputs, stride, part, non_local)
        middle: Convolve = design.middle or design.convolve
        self.conv1 = design.convolve(inputs, channels, (frames, 1, 1), POINT)
        self.bn1 = design.norm(channels)
        self.relu1 = nn.ReLU(inplace=True)
        self.conv2 = middle(channels, channels, (design.middle_frames, 3, 3), stride)
        self.bn2 = design.norm(channels)
        self.relu2 = nn.ReLU(inplace=True)
        self.conv3 = design.convolve(channels, outputs, POINT, POINT)
        self.bn3 = design.norm(outputs)

    def last_norm(self) -> nn.Module:
        return self.bn3

    def residual(self, x: torch.Tensor) -> torch.Tensor:
        x = self.relu1(self.bn1(self.conv1(x)))
        x = self.relu2(self.bn2(self.conv2(x)))
        out: torch.Tensor = self.bn3(self.conv3(x))
        return out


class Layer(nn.Sequential):
    """Blocks in a row, each told how many frames a clip has."""

    def forward(self, x: torch.Tensor, clip_len: int = 1) -> torch.Tensor:
        for block in self:
            x = block(x, clip_len)
        return x
