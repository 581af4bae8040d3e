"""TRN: relations among two, three and more frames (Zhou et al., 2018, equations 1 to 3)."""

from __future__ import annotations

from collections.abc import Iterator
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

    def __init__(self, frames: int, features: int, hidden: int, num_classes: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(frames * features, hidden)
        self.fc2 = nn.Linear(hidden, num_classes)
        nn.init.kaiming_normal_(self.fc1.weight, nonlinearity="relu")
        nn.init.zeros_(self.fc1.bias)
        # Some twenty relations are summed: each begins small, and their sum like other heads' logits.
        nn.init.normal_(self.fc2.weight, std=0.0003)
        nn.init.zeros_(self.fc2.bias)

    def forward(self, chosen: torch.Tensor) -> torch.Tensor:
        """(N, relations, frames, features), rectified -> (N, hidden), the mean over the relations."""
        return torch.relu(self.fc1(chosen.flatten(2))).mean(1)

    def answer(self, hidden: torch.Tensor, relations: int) -> torch.Tensor:
        """The logits of `relations` relations whose hidden layers sum to `hidden` (N, hidden)."""
        return linear(hidden, self.fc2.weight) + relations * self.fc2.bias


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
        nn.init.normal_(self.fc_frame.weight, std=channels**-0.5)
        nn.init.zeros_(self.fc_frame.bias)

    def counted(self, scale: int) -> int:
        """How many relations of a scale are summed."""
        return min(DRAWN, len(self.choices[scale]))

    def embed(self, maps: torch.Tensor, views: int) -> torch.Tensor:
        if maps.shape[2] != self.frames:
            raise UserError(
                f"this network relates {self.frames} frames, not {maps.shape[2]}: set clip_len={self.frames}"
            )
        features = torch.relu(self.fc_frame(self.dropout(frame_features(maps))))  # (B*V, T, features)
        parts = torch.cat([self._part(at, relation, features) for at, relation in self._scales()], dim=1)
        return parts.reshape(-1, views, parts.shape[1]).mean(1)

    def _scales(self) -> Iterator[tuple[int, Relation]]:
        return ((at, relation) for at, relation in enumerate(self.relations) if isinstance(relation, Relation))

    def _part(self, scale: int, relation: Relation, features: torch.Tensor) -> torch.Tensor:
        choices, counted = self.choices[scale].to(features.device), self.counted(scale)
        if self.training:
            choices = choices[torch.randperm(len(choices))[:counted].to(features.device)]
        mean: torch.Tensor = relation(features[:, choices])
        return mean * counted

    def forward(self, embedding: torch.Tensor) -> torch.Tensor:
        parts = embedding.reshape(len(embedding), len(self.relations), -1).unbind(1)
        answers = [relation.answer(parts[at], self.counted(at)) for at, relation in self._scales()]
        return torch.stack(answers).sum(0)
