"""Average, hidden layers, one linear layer: the heads of X3D and C3D."""

from __future__ import annotations

import torch
from torch import nn

from omnisrc.models.heads.linear import LinearHead


class ProjectedHead(LinearHead):
    """X3D's: the mean over time and space is projected to `hidden` channels, without a bias, before the classes.

    The views' projections are averaged, so that without dropout the logits are the mean of the views' logits.
    """

    def __init__(self, channels: int, num_classes: int, dropout: float, hidden: int = 2048) -> None:
        super().__init__(hidden, num_classes, dropout)
        self.fc1 = nn.Linear(channels, hidden, bias=False)
        self.relu = nn.ReLU(inplace=True)
        nn.init.normal_(self.fc1.weight, std=(2 / hidden) ** 0.5)

    def embed(self, maps: torch.Tensor, views: int) -> torch.Tensor:
        hidden: torch.Tensor = self.relu(self.fc1(super().embed(maps, 1)))
        return hidden.reshape(-1, views, hidden.shape[1]).mean(1)


class FlattenedHead(LinearHead):
    """C3D's: pool5, two hidden layers over all places of the clip, then the classes.

    The first layer has weights for each place, so the map must be `channels` x 2 x 7 x 7, that of a clip of 16 frames
    of 112 x 112 pixels. Of the 7 rows and columns pool5 makes 4: by an edge on both sides, or (`ceil`) by a last one
    that is a maximum over what is left.
    """

    def __init__(self, channels: int, num_classes: int, dropout: float, hidden: int = 4096, ceil: bool = False) -> None:
        super().__init__(hidden, num_classes, dropout)
        self.pool5 = nn.MaxPool3d(2, 2, 0 if ceil else (0, 1, 1), ceil_mode=ceil)
        self.fc6 = nn.Linear(channels * 16, hidden)
        self.relu6 = nn.ReLU(inplace=True)
        self.dropout6 = nn.Dropout(dropout)
        self.fc7 = nn.Linear(hidden, hidden)
        self.relu7 = nn.ReLU(inplace=True)
        for layer in (self.fc6, self.fc7):
            # A tenth of He's variance, about MMAction2's: five maxima below have made the maps larger than they were.
            nn.init.normal_(layer.weight, std=(0.2 / layer.in_features) ** 0.5)
            nn.init.zeros_(layer.bias)

    def embed(self, maps: torch.Tensor, views: int) -> torch.Tensor:
        hidden = self.relu6(self.fc6(self.pool5(maps).flatten(1)))
        out: torch.Tensor = self.relu7(self.fc7(self.dropout6(hidden)))
        return out.reshape(-1, views, out.shape[1]).mean(1)
