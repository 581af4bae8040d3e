"""TRN: relations among two, three and more frames (Zhou et al., 2018, equations 1 to 3)."""

from __future__ import annotations

from itertools import combinations

import torch
from torch import nn
from torch.nn.functional import linear

from omnisrc.errors import UserError
from omnisrc.models.heads.frames import frame_features
from omnisrc.models.heads.head import Head

DRAWN = 3
"""Relations of a scale that count, of all that there are."""


class Relation(nn.Module):
    """What `frames` ordered frames say together: their features side by side, one hidden layer, the classes."""

    def __init__(self, frames: int, channels: int, hidden: int, num_classes: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(frames * channels, hidden)
        self.fc2 = nn.Linear(hidden, num_classes)

    def forward(self, chosen: torch.Tensor) -> torch.Tensor:
        """(N, relations, frames, channels), rectified -> (N, relations, hidden)."""
        return torch.relu(self.fc1(chosen.flatten(2)))


class RelationHead(Head):
    """Multi-scale TRN: the sum over scales (all frames, all but one, ... two) of what their relations say.

    A scale has many relations, each an ordered choice of frames. Training sums DRAWN of them, drawn anew in each step;
    evaluation takes the mean over all of them DRAWN times, which is what the sum is on average, so that a score does
    not depend on chance. The embedding holds the hidden layers of all scales, (B, (frames - 1) * hidden); as what
    follows is linear, averaging the views' embeddings averages their logits.

    Names and sizes are those of MMAction2's TRNHead; features and layers of 256.
    """

    def __init__(
        self, channels: int, num_classes: int, dropout: float, frames: int = 8, features: int = 256, hidden: int = 256
    ) -> None:
        super().__init__()
        self.frames = frames
        self.dropout = nn.Dropout(dropout)
        self.fc_frame = nn.Linear(channels, features)
        scales = range(frames, 1, -1)
        self.relations = nn.ModuleList(Relation(scale, features, hidden, num_classes) for scale in scales)
        self.choices = [torch.tensor(list(combinations(range(frames), scale)), device="cpu") for scale in scales]
        self._initialise(channels)

    def _initialise(self, channels: int) -> None:
        nn.init.normal_(self.fc_frame.weight, std=channels**-0.5)
        nn.init.zeros_(self.fc_frame.bias)
        for relation in self.relations:
            nn.init.kaiming_normal_(relation.fc1.weight, nonlinearity="relu")
            nn.init.zeros_(relation.fc1.bias)
            # Some twenty relations are summed: each begins small, and their sum like other heads' logits.
            nn.init.normal_(relation.fc2.weight, std=0.001)
            nn.init.zeros_(relation.fc2.bias)

    def counted(self, scale: int) -> int:
        """How many relations of a scale are summed."""
        return min(DRAWN, len(self.choices[scale]))

    def embed(self, maps: torch.Tensor, views: int) -> torch.Tensor:
        if maps.shape[2] != self.frames:
            raise UserError(f"this network relates {self.frames} frames, not {maps.shape[2]}: set clip_len={self.frames}")
        features = torch.relu(self.fc_frame(self.dropout(frame_features(maps))))  # (B*V, T, features)
        parts = [self._part(at, features) for at in range(len(self.relations))]
        return torch.cat(parts, dim=1).unflatten(0, (-1, views)).mean(1)

    def _part(self, scale: int, features: torch.Tensor) -> torch.Tensor:
        choices, counted = self.choices[scale].to(features.device), self.counted(scale)
        if self.training:
            choices = choices[torch.randperm(len(choices))[:counted].to(features.device)]
        mean: torch.Tensor = self.relations[scale](features[:, choices]).mean(1)
        return mean * counted

    def forward(self, embedding: torch.Tensor) -> torch.Tensor:
        parts = embedding.unflatten(1, (len(self.relations), -1)).unbind(1)
        logits = embedding.new_zeros(())
        for scale, (relation, part) in enumerate(zip(self.relations, parts, strict=True)):
            layer = relation.fc2
            logits = logits + linear(part, layer.weight) + self.counted(scale) * layer.bias
        return logits
