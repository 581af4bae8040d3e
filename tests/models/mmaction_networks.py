"""Legacy MMAction's irCSN and C3D written again from their description, small, for their names and outputs.

open-mmlab/mmaction, mmaction/models/tenons: backbones (resnet_r3d, c3d), utils/resnet_r3d_utils, cls_heads/cls_head.
"""

from __future__ import annotations

from itertools import product
from string import ascii_lowercase

import torch
from torch import nn
from torch.nn.functional import max_pool3d, relu

BLOCKS = {50: (3, 4, 6, 3), 152: (3, 8, 36, 3)}


def norm(channels: int) -> nn.BatchNorm3d:
    return nn.BatchNorm3d(channels, eps=1e-3)


class Bottleneck(nn.Module):
    """`3d-sep`: the middle convolution is depthwise, and strides in time too."""

    def __init__(self, inputs: int, inner: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv0, self.bn0 = nn.Conv3d(inputs, inner, 1, bias=False), norm(inner)
        self.conv1, self.bn1 = nn.Conv3d(inner, inner, 3, stride, 1, groups=inner, bias=False), norm(inner)
        self.conv2, self.bn2 = nn.Conv3d(inner, outputs, 1, bias=False), norm(outputs)
        self.changes = stride > 1 or inputs != outputs
        if self.changes:
            self.conv3, self.bn3 = nn.Conv3d(inputs, outputs, 1, stride, bias=False), norm(outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = relu(self.bn0(self.conv0(x)))
        out = self.bn2(self.conv2(relu(self.bn1(self.conv1(out)))))
        return relu(out + (self.bn3(self.conv3(x)) if self.changes else x))


class Head(nn.Module):
    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.fc_cls = nn.Linear(channels, classes)


class CsnTrunk(nn.Module):
    def __init__(self, depth: int, width: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv3d(3, width, (3, 7, 7), (1, 2, 2), (1, 3, 3), bias=False), norm(width)
        inputs = width
        for at, count in enumerate(BLOCKS[depth]):
            names = ascii_lowercase if count < 26 else ["".join(pair) for pair in product(ascii_lowercase, repeat=2)]
            layer = nn.Sequential()
            for number in range(count):
                inner = width * 2**at
                layer.add_module(names[number], Bottleneck(inputs, inner, 4 * inner, 2 if at and not number else 1))
                inputs = 4 * inner
            self.add_module(f"layer{at + 1}", layer)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = max_pool3d(relu(self.bn1(self.conv1(x))), (1, 3, 3), (1, 2, 2), (0, 1, 1))
        for at in range(1, 5):
            x = self.get_submodule(f"layer{at}")(x)
        return x


class IrCsn(nn.Module):
    def __init__(self, depth: int, classes: int, width: int = 4) -> None:
        super().__init__()
        self.backbone, self.cls_head = CsnTrunk(depth, width), Head(32 * width, classes)

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.cls_head.fc_cls(self.backbone(clips).mean((2, 3, 4)))
        return logits


class C3dTrunk(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        channels, inputs = {"1a": 1, "2a": 2, "3a": 4, "3b": 4, "4a": 8, "4b": 8, "5a": 8, "5b": 8}, 3
        for name, wide in channels.items():
            self.add_module(f"conv{name}", nn.Conv3d(inputs, wide * width, 3, padding=1))
            inputs = wide * width
        self.fc6, self.fc7 = nn.Linear(16 * inputs, 64 * width), nn.Linear(64 * width, 64 * width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for name in ("1a", "2a", "3a", "3b", "4a", "4b", "5a", "5b"):
            x = relu(self.get_submodule(f"conv{name}")(x))
            if name not in ("3a", "4a", "5a"):
                kernel = (1, 2, 2) if name == "1a" else (2, 2, 2)
                x = max_pool3d(x, kernel, kernel, ceil_mode=True)
        return relu(self.fc7(relu(self.fc6(x.flatten(1)))))


class C3d(nn.Module):
    """For frames in the order blue, green, red."""

    def __init__(self, classes: int, width: int = 2) -> None:
        super().__init__()
        self.backbone, self.cls_head = C3dTrunk(width), Head(64 * width, classes)

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.cls_head.fc_cls(self.backbone(clips))
        return logits
