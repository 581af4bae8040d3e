"""What a network is, read from the names and shapes of its weights."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from omnisrc.errors import UserError
from omnisrc.models.create import create_model, model_names

STEM = "trunk.conv1.weight"
HEAD = "head.fc.weight"
COUNTER = "num_batches_tracked"
"""Converted files often lack these counters of batch norm, and nothing here depends on them."""


@dataclass(frozen=True)
class Architecture:
    """A ResNet by its weights, under our names."""

    dims: int
    blocks: tuple[int, ...]
    bottleneck: bool
    width: int

    @property
    def depth(self) -> int:
        """As in the name: 2 or 3 convolutions a block, the stem, the linear layer."""
        return sum(self.blocks) * (3 if self.bottleneck else 2) + 2

    def __str__(self) -> str:
        width = "" if self.width == 64 else f" of width {self.width}"
        return f"a {self.dims}-D ResNet-{self.depth}{width}"


def architecture_of(state: Mapping[str, torch.Tensor]) -> Architecture | None:
    """None if these are not a ResNet's weights."""
    stem = state.get(STEM)
    found = [re.match(r"trunk\.layer([1-4])\.(\d+)\.conv1\.weight$", key) for key in state]
    places = [(int(place[1]), int(place[2])) for place in found if place]
    if stem is None or stem.ndim not in (4, 5) or {stage for stage, _ in places} != {1, 2, 3, 4}:
        return None
    return Architecture(
        dims=stem.ndim - 2,
        blocks=tuple(1 + max(block for stage, block in places if stage == wanted) for wanted in range(1, 5)),
        bottleneck="trunk.layer1.0.conv3.weight" in state,
        width=stem.shape[0],
    )


def classes_of(state: Mapping[str, torch.Tensor]) -> int | None:
    """How many classes the head answers for; None where there is no head."""
    head = state.get(HEAD)
    return None if head is None or head.ndim != 2 else head.shape[0]


def model_for(state: Mapping[str, torch.Tensor]) -> tuple[str, dict[str, Any]] | None:
    """Name and arguments of the model whose every tensor has its name and shape here; None if there is none."""
    architecture, classes = architecture_of(state), classes_of(state)
    if architecture is None or classes is None:
        return None
    args = {} if architecture.width == 64 else {"width": architecture.width}
    wanted = _shapes(state)
    for name in model_names():
        try:
            with torch.device("meta"):
                candidate = create_model(name, classes, **args)
        except UserError:  # it comes in one width, or needs a package that is not there
            continue
        if _shapes(candidate.state_dict()) == wanted:
            return name, args
    return None


def _shapes(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Size]:
    return {key: value.shape for key, value in state.items() if not key.endswith(COUNTER)}
