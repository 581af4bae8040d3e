"""torchvision's plain ResNet state dicts (and timm's, which has the same names): ImageNet, or a trunk alone."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from omnisrc.models.checkpoints.container import Contents
from omnisrc.models.inputs import IMAGENET_MEAN, IMAGENET_STD

NAME = "torchvision"

HEAD = "fc."


def matches(keys: Collection[str]) -> bool:
    return "conv1.weight" in keys and "layer1.0.conv1.weight" in keys


def our_key(key: str) -> str | None:
    return f"head.{key}" if key.startswith(HEAD) else f"trunk.{key}"


def meta(contents: Contents) -> Mapping[str, Any]:
    return {"mean": list(IMAGENET_MEAN), "std": list(IMAGENET_STD)}
