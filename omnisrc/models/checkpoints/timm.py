"""State dicts of timm, for TSN on its networks. Those of its ResNets have torchvision's names and are read so."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from omnisrc.models.checkpoints.container import Contents

NAME = "timm"

FIRST = (
    "patch_embed.proj.weight",
    "patch_embed.proj.0.weight",
    "conv_stem.weight",
    "stem.0.weight",
    "stem.conv.weight",
    "stem.conv1.weight",
    "stem.conv1.conv.weight",
    "stem_0.weight",
    "conv1.0.weight",
    "features.conv0.weight",
)
"""First weights of timm's networks."""

CLASSIFIERS = ("head.fc.", "head.", "classifier.", "fc.")


def matches(keys: Collection[str]) -> bool:
    return any(first in keys for first in FIRST)


def our_key(key: str) -> str | None:
    for classifier in CLASSIFIERS:
        if key in (f"{classifier}weight", f"{classifier}bias"):
            return f"head.fc.{key.removeprefix(classifier)}"
    return f"trunk.net.{key}"


def meta(contents: Contents) -> Mapping[str, Any]:
    """The scaling is the network's own, which the model that is filled knows."""
    return {"family": "tsn"}
