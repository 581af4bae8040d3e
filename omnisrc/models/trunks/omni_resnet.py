"""What lets one set of 3-D weights take stills at the price of a 2-D network (MMAction2 1.x, OmniResNet).

A still is a clip of one frame. It meets kernels summed over time, which say of it what the kernels say of the inner
frames of a still clip.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.functional import batch_norm, conv3d

from omnisrc.models.trunks.convolutions import Size


class SummedConv3d(nn.Conv3d):
    """A 3-D convolution without temporal stride, of one frame with its kernel summed over time."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.shape[2] > 1 or self.kernel_size[0] == 1:
            return super().forward(x)
        across = (0, self.padding[1], self.padding[2])
        return conv3d(x, self.weight.sum(2, keepdim=True), None, self.stride, across)  # type: ignore[arg-type]


class ClipNorm3d(nn.BatchNorm3d):
    """Batch norm whose running statistics are the clips' alone: in training stills are normed by their own batch."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.shape[2] > 1 or not self.training:
            return super().forward(x)
        return batch_norm(x, None, None, self.weight, self.bias, training=True, eps=self.eps)


def summed(inputs: int, outputs: int, kernel: Size, stride: Size) -> nn.Module:
    assert stride[0] == 1, "time is never strided"
    pad = (kernel[0] // 2, kernel[1] // 2, kernel[2] // 2)
    return SummedConv3d(inputs, outputs, kernel, stride, pad, bias=False)


def clip_norm(momentum: float, channels: int) -> nn.Module:
    return ClipNorm3d(channels, momentum=momentum)
