"""The contract of a head."""

from __future__ import annotations

import torch
from torch import nn


class Head(nn.Module):
    """Feature maps to an embedding (`embed`), the embedding to logits (`forward`).

    A head that answers for several label sets returns a dict of logits by name.
    """

    exclusive = True
    """Whether the logits are a softmax's (one of the classes is true), or each is a sigmoid's (none may be)."""

    def embed(self, maps: torch.Tensor, views: int) -> torch.Tensor:
        """(B*views, D, T, H, W) -> (B, E)."""
        raise NotImplementedError

    def forward(self, embedding: torch.Tensor) -> torch.Tensor:
        """(B, E) -> (B, classes)."""
        raise NotImplementedError
