"""Heads of video transformers: how their places become one vector."""

from __future__ import annotations

import torch
from torch import nn

from omnisrc.models.heads.linear import LinearHead


class NormHead(LinearHead):
    """Mean over time and space, a layer norm, mean over views, a linear layer (VideoMAE)."""

    def __init__(self, channels: int, num_classes: int, dropout: float, norm: nn.Module) -> None:
        super().__init__(channels, num_classes, dropout)
        self.norm = norm

    def embed(self, maps: torch.Tensor, views: int) -> torch.Tensor:
        normed: torch.Tensor = self.norm(super().embed(maps, 1).to(self.fc.weight.dtype))
        return normed.reshape(-1, views, normed.shape[1]).mean(1)


class AttentiveHead(LinearHead):
    """A learnt query that looks at every place (V-JEPA 2's attentive pooler), mean over views, a linear layer."""

    def __init__(self, channels: int, num_classes: int, dropout: float, pooler: nn.Module) -> None:
        super().__init__(channels, num_classes, dropout)
        self.pooler = pooler

    def embed(self, maps: torch.Tensor, views: int) -> torch.Tensor:
        pooled: torch.Tensor = self.pooler(maps.flatten(2).transpose(1, 2))
        wide = torch.promote_types(pooled.dtype, torch.float32)
        return pooled.reshape(-1, views, pooled.shape[1]).mean(1, dtype=wide)
