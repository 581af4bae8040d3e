"""One embedding, several label sets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import torch
from torch import nn

from omnisrc.errors import UserError
from omnisrc.models.heads.head import Head
from omnisrc.models.heads.linear import LinearHead
from omnisrc.models.heads.per_source import PerSourceHead


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

    def alone(self, name: str) -> Head:
        """One of the heads, which gives the logits that it gives beside the others."""
        maker, head = self.heads[self.first], self.heads[name]
        takes_means = type(maker).embed is type(head).embed is LinearHead.embed
        return head if name == self.first or takes_means else OneHead(maker, head)


class OneHead(Head):
    """A head over the embedding that another one makes."""

    def __init__(self, maker: Head, head: Head) -> None:
        super().__init__()
        self.maker, self.head, self.exclusive = maker, head, head.exclusive

    def embed(self, maps: torch.Tensor, views: int) -> torch.Tensor:
        return self.maker.embed(maps, views)

    def forward(self, embedding: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(embedding)
        return logits


def several(first: Head, classes: Mapping[str, int], told: str) -> SeveralHeads:
    """Heads for so many classes each: `first`, which bears the first name, and linear layers on the embedding that it
    makes.

    Raises:
        UserError: a name that cannot be, or a recogniser (`told`) whose head is no linear layer on an embedding.
    """
    if not isinstance(first, LinearHead) or isinstance(first, PerSourceHead):
        raise UserError(f"model {told} has a head of its own kind and takes no others: use another model for several")
    others = list(classes.items())[1:]
    heads: dict[str, Head] = {next(iter(classes)): first}
    heads |= {name: LinearHead(first.fc.in_features, count, first.dropout.p) for name, count in others}
    try:
        return SeveralHeads(heads)
    except KeyError as error:
        raise UserError(f"model {told} cannot have a head of that name: {error.args[0]}") from error
