"""Logits along a clip: one row for each window of time, for temporal localisation."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from omnisrc.models.trunks.trunk import Stage


class WindowHead(nn.Module):
    """The mean over space of one stage of any trunk, dropout, a linear layer for each moment.

    `windows` parts of equal length are averaged over time; 0: as many as the stage has moments, each of
    `stage.temporal_stride` frames.
    """

    def __init__(self, stage: Stage, num_classes: int, *, windows: int = 0, dropout: float = 0.5) -> None:
        super().__init__()
        self.stage, self.windows = stage, windows
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(stage.channels, num_classes)
        nn.init.normal_(self.fc.weight, std=min(0.01, 0.1 / stage.channels**0.5))
        nn.init.zeros_(self.fc.bias)

    def embed(self, maps: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """What `Trunk.maps` gave of N clips -> the features of each window (N, W, D)."""
        moments = maps[self.stage.name].mean((3, 4))  # (N, D, T')
        if self.windows:
            moments = nn.functional.adaptive_avg_pool1d(moments, self.windows)
        return moments.transpose(1, 2)

    def forward(self, maps: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """-> logits (N, W, classes)."""
        logits: torch.Tensor = self.fc(self.dropout(self.embed(maps)))
        return logits
