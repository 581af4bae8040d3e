"""Heads that project each frame's features before they look at the frames together: late fusion and LRCN."""

from __future__ import annotations

import torch
from torch import nn

from omnisrc.models.heads.linear import LinearHead


def frame_features(maps: torch.Tensor) -> torch.Tensor:
    """(N, D, T, H, W) -> (N, T, D), the mean over space in 32 bits."""
    wide = torch.promote_types(maps.dtype, torch.float32)
    return maps.mean((3, 4), dtype=wide).transpose(1, 2)


class FusionHead(LinearHead):
    """Late fusion: each frame's features to `hidden` and through a ReLU, the mean over frames and views, the classes.

    The mean does not ask in which order the frames come.
    """

    def __init__(self, channels: int, num_classes: int, dropout: float, hidden: int = 512) -> None:
        super().__init__(hidden, num_classes, dropout)
        self.fc1 = nn.Linear(channels, hidden)
        self.relu = nn.ReLU(inplace=True)
        nn.init.kaiming_normal_(self.fc1.weight, nonlinearity="relu")
        nn.init.zeros_(self.fc1.bias)

    def embed(self, maps: torch.Tensor, views: int) -> torch.Tensor:
        frames: torch.Tensor = self.relu(self.fc1(frame_features(maps)))  # (B*V, T, hidden)
        return frames.reshape(-1, views, *frames.shape[1:]).mean((1, 2))


class RecurrentHead(LinearHead):
    """LRCN (Donahue et al., 2015): each frame's features to `hidden`, an LSTM over a view's frames, the classes.

    The embedding is what each direction holds after its whole way: forwards at the last frame, backwards at the first.
    (The backward state at the last frame, which some implementations take, has seen that one frame only.) Views are
    averaged after the LSTM.
    """

    def __init__(
        self,
        channels: int,
        num_classes: int,
        dropout: float,
        hidden: int = 512,
        state: int = 256,
        layers: int = 2,
        bidirectional: bool = True,
    ) -> None:
        directions = 2 if bidirectional else 1
        super().__init__(state * directions, num_classes, dropout)
        self.directions = directions
        self.fc1 = nn.Linear(channels, hidden)
        self.lstm = nn.LSTM(hidden, state, layers, batch_first=True, bidirectional=bidirectional)
        nn.init.normal_(self.fc1.weight, std=channels**-0.5)
        nn.init.zeros_(self.fc1.bias)
        # States are small numbers (a sigmoid times a tanh), so the classes begin with larger weights than on a trunk.
        nn.init.normal_(self.fc.weight, std=(state * directions) ** -0.5)

    def embed(self, maps: torch.Tensor, views: int) -> torch.Tensor:
        _, (last, _) = self.lstm(self.fc1(frame_features(maps)))  # (layers * directions, B*V, state)
        state = torch.cat(last[-self.directions :].unbind(0), dim=1)
        return state.reshape(-1, views, state.shape[1]).mean(1)
