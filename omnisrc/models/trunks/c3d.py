"""C3D (Tran et al., 2015): eight 3x3x3 convolutions without norms, pooled by two in time and space."""

from __future__ import annotations

import torch
from torch import nn

from omnisrc.models.trunks.trunk import Stage, Trunk

LAYERS = (("conv1a",), ("conv2a",), ("conv3a", "conv3b"), ("conv4a", "conv4b"), ("conv5a", "conv5b"))
"""The convolutions between two poolings."""

WIDTHS = (1, 2, 4, 8, 8)
"""Channels of each row of LAYERS, in widths (64 as published)."""


class C3D(Trunk):
    """(N, 3, T, H, W) -> (N, 8 * width, T // 8, H // 16, W // 16), the map before pool5, which is the head's."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        inputs, stages = 3, []
        for at, (names, wide) in enumerate(zip(LAYERS, WIDTHS, strict=True)):
            outputs = width * wide
            for name in names:
                self.add_module(name, nn.Conv3d(inputs, outputs, 3, padding=1))
                self.add_module(f"relu{name[4:]}", nn.ReLU(inplace=True))
                inputs = outputs
            if at < len(LAYERS) - 1:
                kernel = (1, 2, 2) if at == 0 else (2, 2, 2)  # pool1 keeps time, not to merge it too early
                self.add_module(f"pool{at + 1}", nn.MaxPool3d(kernel, kernel))
            stages.append(Stage(f"conv{at + 1}", outputs, 2**at, 2 ** max(0, at - 1)))
        self.stages = tuple(stages)

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        for at in range(len(LAYERS)):
            clips = self._row(at, clips)
        return clips

    def maps(self, clips: torch.Tensor) -> dict[str, torch.Tensor]:
        found = {}
        for at, stage in enumerate(self.stages):
            clips = self._row(at, clips)
            found[stage.name] = clips
        return found

    def _row(self, at: int, x: torch.Tensor) -> torch.Tensor:
        if at > 0:
            x = self.get_submodule(f"pool{at}")(x)
        for name in LAYERS[at]:
            x = self.get_submodule(f"relu{name[4:]}")(self.get_submodule(name)(x))
        return x


def initialise(trunk: C3D, deviation: float) -> None:
    """He initialisation. The first kernels take back the input's `deviation`, as there is no norm to do it."""
    for name, module in trunk.named_modules():
        if isinstance(module, nn.Conv3d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            nn.init.zeros_(module.bias)  # type: ignore[arg-type]
            if name == LAYERS[0][0]:
                with torch.no_grad():
                    module.weight.div_(deviation)
