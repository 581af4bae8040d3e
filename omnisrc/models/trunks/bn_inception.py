"""BN-Inception (Ioffe and Szegedy, 2015, appendix): the trunk of TSN's and the two-stream networks' own weights.

Layers and their order are those of the published Caffe network: convolutions have biases, poolings round up.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.functional import pad

from omnisrc.models.trunks.trunk import Stage, Trunk, fold_frames, unfold_frames

# name: (1x1, (3x3 reduced, 3x3), (double reduced, double), what is pooled, channels of the pooled projection).
# Without a 1x1 the block halves the map, and the pooled map is taken as it is.
BLOCKS: dict[str, tuple[int, tuple[int, int], tuple[int, int], str, int]] = {
    "3a": (64, (64, 64), (64, 96), "mean", 32),
    "3b": (64, (64, 96), (64, 96), "mean", 64),
    "3c": (0, (128, 160), (64, 96), "max", 0),
    "4a": (224, (64, 96), (96, 128), "mean", 128),
    "4b": (192, (96, 128), (96, 128), "mean", 128),
    "4c": (160, (128, 160), (128, 160), "mean", 128),
    "4d": (96, (128, 192), (160, 192), "mean", 128),
    "4e": (0, (128, 192), (192, 256), "max", 0),
    "5a": (352, (192, 320), (160, 224), "mean", 128),
    "5b": (352, (192, 320), (192, 224), "max", 128),
}

STAGES = (("conv2", 4), ("3b", 8), ("4d", 16), ("5b", 32))
"""The last map of each size, and its stride."""


class ConvNorm(nn.Module):
    """A convolution with a bias, its norm, ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2)
        self.bn = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.relu(self.bn(self.conv(x)))
        return out


class HalvingPool(nn.Module):
    """The greatest of 3x3 at stride 2, rounded up as convolutions of odd sides are, so that branches agree."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = nn.MaxPool2d(3, 2, ceil_mode=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        # What comes here is rectified, so zeros beyond the border win no maximum.
        out: torch.Tensor = self.pool(pad(x, (0, x.shape[-1] % 2, 0, x.shape[-2] % 2)))
        return out


class Block(nn.Module):
    """Four branches side by side: 1x1; 3x3; two 3x3; pooled."""

    def __init__(self, name: str, inputs: int, width: int) -> None:
        super().__init__()
        point, (reduced, single), (double_reduced, double), pooled, projected = BLOCKS[name]
        stride = 1 if point else 2
        point, reduced, single, double_reduced, double, projected = (
            max(size * width // 64, min(size, 1))
            for size in (point, reduced, single, double_reduced, double, projected)
        )
        self.point = ConvNorm(inputs, point, 1) if point else None
        self.once = nn.Sequential(ConvNorm(inputs, reduced, 1), ConvNorm(reduced, single, 3, stride))
        self.twice = nn.Sequential(
            ConvNorm(inputs, double_reduced, 1),
            ConvNorm(double_reduced, double, 3),
            ConvNorm(double, double, 3, stride),
        )
        self.pool: nn.Module = HalvingPool()
        if projected:
            pool = nn.AvgPool2d(3, 1, 1) if pooled == "mean" else nn.MaxPool2d(3, 1, 1)
            self.pool = nn.Sequential(pool, ConvNorm(inputs, projected, 1))
        self.channels = point + single + double + (projected or inputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        branches = [self.once(x), self.twice(x), self.pool(x)]
        if self.point is not None:
            branches.insert(0, self.point(x))
        return torch.cat(branches, dim=1)


class BNInception(Trunk):
    """`width` scales all channels (64 as published: 1024 at the end); `in_channels` is 3, or 2 for each field of flow.

    (N, in_channels, T, H, W) -> (N, 16 * width, T, H/32, W/32)
    """

    def __init__(self, width: int = 64, in_channels: int = 3) -> None:
        super().__init__()
        self.conv1 = ConvNorm(in_channels, width, 7, 2)
        self.pool1 = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.conv2_reduce = ConvNorm(width, width, 1)
        self.conv2 = ConvNorm(width, 3 * width, 3)
        self.pool2 = nn.MaxPool2d(3, 2, ceil_mode=True)
        channels = {"conv2": 3 * width}
        inputs = 3 * width
        for name in BLOCKS:
            block = Block(name, inputs, width)
            self.add_module(f"inception_{name}", block)
            channels[name] = inputs = block.channels
        self.stages = tuple(Stage(name, channels[name], stride) for name, stride in STAGES)

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        x = self.pool2(self._stem(clips))
        for name in BLOCKS:
            x = self.get_submodule(f"inception_{name}")(x)
        return unfold_frames(x, clips.shape[2])

    def maps(self, clips: torch.Tensor) -> dict[str, torch.Tensor]:
        x = self._stem(clips)
        found, wanted = {"conv2": x}, {stage.name for stage in self.stages}
        x = self.pool2(x)
        for name in BLOCKS:
            x = self.get_submodule(f"inception_{name}")(x)
            if name in wanted:
                found[name] = x
        return {name: unfold_frames(each, clips.shape[2]) for name, each in found.items()}

    def _stem(self, clips: torch.Tensor) -> torch.Tensor:
        stem: torch.Tensor = self.conv2(self.conv2_reduce(self.pool1(self.conv1(fold_frames(clips)))))
        return stem


def initialise(trunk: BNInception) -> None:
    """He initialisation by fan-out."""
    for module in trunk.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            nn.init.zeros_(module.bias)  # type: ignore[arg-type]
