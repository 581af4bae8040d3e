"""Average, dropout, one linear layer: the head of TSN, SlowOnly, I3D and CSN."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from omnisrc.models.heads.head import Head


class LinearHead(Head):
    """Mean over time, space and views, then dropout, then a linear layer.

    The mean over views comes before the layer, as in TSN: without dropout that equals the mean of the views' logits.
    The first weights have a deviation of 0.01, less under a wide trunk, so that logits start with a deviation of
    about 0.05 and the loss at ln(classes), whatever the draw; 0.01 on 2048 channels starts 10 % above it for few
    classes.
    """

    def __init__(self, channels: int, num_classes: int, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(channels, num_classes)
        nn.init.normal_(self.fc.weight, std=min(0.01, 0.03 / channels**0.5))
        nn.init.zeros_(self.fc.bias)

    def embed(self, maps: torch.Tensor, views: int) -> torch.Tensor:
        # Sums over thousands of places keep 32 bits where the maps have 16.
        wide = torch.promote_types(maps.dtype, torch.float32)
        return maps.mean((2, 3, 4), dtype=wide).reshape(-1, views, maps.shape[1]).mean(1)

    def forward(self, embedding: torch.Tensor) -> torch.Tensor:
        return self.judged(self._logits, embedding)

    def judged(self, judge: Callable[[torch.Tensor], torch.Tensor], embedding: torch.Tensor) -> torch.Tensor:
        """Logits keep the weights' precision under autocast: they are compared, stored and exponentiated."""
        device = embedding.device.type
        if not (torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)):
            return judge(embedding)
        with torch.autocast(device, enabled=False):
            return judge(embedding.to(self.fc.weight.dtype))

    def _logits(self, embedding: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.fc(self.dropout(embedding))
        return logits
