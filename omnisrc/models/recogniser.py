"""A recogniser: a trunk, a head, and what it expects of its input."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from omnisrc.errors import UserError
from omnisrc.models.heads.head import Head
from omnisrc.models.inputs import InputSpec
from omnisrc.models.trunks.trunk import Trunk


class Recogniser(nn.Module):
    """`forward((B, V, C, T, H, W)) -> (B, classes)`: V views (segments, clips, crops), normalised as `input` says.

    An image is V = T = 1 for a 2-D trunk; for a 3-D trunk the caller replicates it. Parameters are named `trunk.*`
    and `head.*` in every family. `name`, `args` and `num_classes` are what `create_model` needs to build it again.
    """

    def __init__(self, trunk: Trunk, head: Head, input: InputSpec, num_classes: int) -> None:
        super().__init__()
        self.trunk = trunk
        self.head = head
        self.input = input
        self.num_classes = num_classes
        self.name = ""
        self.args: Mapping[str, Any] = {}

    @property
    def memory_format(self) -> torch.memory_format:
        """The layout that convolutions like best: `model.to(memory_format=model.memory_format)`."""
        solid = any(weight.ndim == 5 for weight in self.trunk.parameters())
        return torch.channels_last_3d if solid else torch.channels_last

    def features(self, views: torch.Tensor) -> torch.Tensor:
        """(B, V, C, T, H, W) -> (B, E), the embedding that the head classifies."""
        if views.ndim != 6:
            raise ValueError(f"a recogniser takes (B, V, C, T, H, W), not a tensor of shape {tuple(views.shape)}")
        self._check_size(views.shape)
        return self.head.embed(self.trunk(views.flatten(0, 1)), views.shape[1])

    def _check_size(self, shape: torch.Size) -> None:
        spec = self.input
        frames = shape[3] if spec.dims == "2d" else spec.clip_len
        asked = (frames, spec.crop_size, spec.crop_size)
        if spec.fixed and tuple(shape[3:]) != asked:
            given, own = ("{} frames of {} x {} pixels".format(*size) for size in (shape[3:], asked))
            raise UserError(f"{self.name} takes clips of {own} and no others, not {given}: set clip_len and crop_size")

    def forward(self, views: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.features(views))
        return logits
