"""One embedding, several label sets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import torch
from torch import nn

from omnisrc.models.heads.head import Head


class SeveralHeads(Head):
    """Heads by name over one embedding, which the first of them makes: two class lists, the levels of a hierarchy.

    `forward` gives {name: logits (B, classes of that head)}. A loss on one name leaves the other heads untouched.
    """

    heads: Mapping[str, Head]

    def __init__(self, heads: Mapping[str, Head]) -> None:
        super().__init__()
        self.first = next(iter(heads))
        self.heads = cast(Mapping[str, Head], nn.ModuleDict(heads))

    def embed(self, maps: torch.Tensor, views: int) -> torch.Tensor:
        return self.heads[self.first].embed(maps, views)

    def forward(self, embedding: torch.Tensor) -> dict[str, torch.Tensor]:  # type: ignore[override]
        return {name: head(embedding) for name, head in self.heads.items()}
