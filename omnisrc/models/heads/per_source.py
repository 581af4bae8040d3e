"""One head for stills and one for clips, on one trunk (MMAction2 1.x, OmniHead)."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.functional import batch_norm

from omnisrc.models.heads.linear import LinearHead


class RowNorm(nn.BatchNorm1d):
    """Batch norm that takes its running statistics for one row alone, which has no deviation."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.training and len(x) == 1:
            return batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
        return super().forward(x)


class PerSourceHead(LinearHead):
    """Clips: a hidden layer of twice the classes, norm, ReLU, dropout, linear. Stills: norm, dropout, linear.

    `embed` is the mean, for both.
    """

    def __init__(self, channels: int, num_classes: int, dropout: float, image_classes: int) -> None:
        super().__init__(2 * num_classes, num_classes, dropout)
        self.hidden = nn.Linear(channels, 2 * num_classes)
        self.bn = RowNorm(2 * num_classes)
        self.relu = nn.ReLU(inplace=True)
        self.image_bn = RowNorm(channels)
        self.image_dropout = nn.Dropout(min(0.2, dropout))
        self.image_fc = nn.Linear(channels, image_classes)
        nn.init.normal_(self.image_fc.weight, std=min(0.01, 0.03 / channels**0.5))
        nn.init.zeros_(self.image_fc.bias)

    def stills(self, embedding: torch.Tensor) -> torch.Tensor:
        """(B, E) of single frames -> (B, image classes)."""
        return self.judged(self._of_stills, embedding)

    def _logits(self, embedding: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.fc(self.dropout(self.relu(self.bn(self.hidden(embedding)))))
        return logits

    def _of_stills(self, embedding: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.image_fc(self.image_dropout(self.image_bn(embedding)))
        return logits
