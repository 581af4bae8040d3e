"""Logits of regions of a clip: persons, objects, parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import nn

from omnisrc.models.trunks.trunk import Stage


class RegionHead(nn.Module):
    """RoIAlign on one stage of any trunk: the mean over time, `size` x `size` cells of each box, their maximum,
    dropout, a linear layer (as SlowFast has it for AVA: Feichtenhofer et al., 2019, section 5).

    `ratio` samples a side are taken of each cell; 0: as many as the box is large.
    """

    def __init__(self, stage: Stage, num_classes: int, *, size: int = 7, ratio: int = 0, dropout: float = 0.5) -> None:
        super().__init__()
        self.stage, self.size, self.ratio = stage, size, ratio
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(stage.channels, num_classes)
        nn.init.normal_(self.fc.weight, std=min(0.01, 0.1 / stage.channels**0.5))
        nn.init.zeros_(self.fc.bias)

    def embed(self, maps: Mapping[str, torch.Tensor], boxes: Sequence[torch.Tensor]) -> torch.Tensor:
        """What `Trunk.maps` gave of N clips, and boxes (K_n, 4) of each clip as (left, top, right, bottom) in pixels of
        the clip -> (sum of K_n, D), clip after clip."""
        from torchvision.ops import roi_align

        frame = maps[self.stage.name].mean(2)  # (N, D, H', W')
        cells: torch.Tensor = roi_align(
            frame, [box.to(frame) for box in boxes], self.size, 1 / self.stage.stride, self.ratio, aligned=True
        )
        return cells.amax((2, 3))

    def forward(self, maps: Mapping[str, torch.Tensor], boxes: Sequence[torch.Tensor]) -> torch.Tensor:
        """-> logits (sum of K_n, classes)."""
        logits: torch.Tensor = self.fc(self.dropout(self.embed(maps, boxes)))
        return logits
