"""torchvision's state dicts (timm's ResNets have the same names): image and video networks, or a trunk alone."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

import torch

from omnisrc.models.checkpoints.container import Contents
from omnisrc.models.families.torchvision_video import GREY_MEAN, GREY_STD, KINETICS_MEAN, KINETICS_STD
from omnisrc.models.inputs import IMAGENET_MEAN, IMAGENET_STD

NAME = "torchvision"

SIGNS = (
    {"conv1.weight", "layer1.0.conv1.weight"},  # ResNet
    {"stem.0.weight", "layer1.0.conv1.0.weight"},  # R3D, MC3
    {"stem.0.weight", "layer1.0.conv1.0.0.weight"},  # R(2+1)D
    {"features.0.0.0.weight", "features.5.branch0.0.weight"},  # S3D
    {"features.0.0.attn.relative_position_bias_table"},  # Swin3D
    {"features.1.0.attn.relative_position_bias_table"},  # Swin
    {"conv_proj.weight", "pos_encoding.class_token"},  # MViT
    {"features.0.0.weight", "features.0.1.weight"},  # EfficientNet, MobileNet, ConvNeXt
)
"""Names that a network of torchvision has together."""

HEAD = re.compile(r"(?:fc|head|head\.1|classifier|classifier\.\d)\.(weight|bias)")
WINDOWED = "features.5.branch0.0.weight"


def matches(keys: Collection[str]) -> bool:
    return any(sign <= set(keys) for sign in SIGNS)


def our_key(key: str) -> str | None:
    head = HEAD.fullmatch(key)
    return f"head.fc.{head[1]}" if head else f"trunk.{key}"


def adapt(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """S3D's classifier is a convolution of one place, ours a linear layer."""
    return {key: value.flatten(1) if key == "head.fc.weight" else value for key, value in state.items()}


def meta(contents: Contents) -> Mapping[str, Any]:
    keys = contents.state.keys()
    if "pos_encoding.class_token" in keys:
        mean, std = GREY_MEAN, GREY_STD
    elif "stem.0.weight" in keys or WINDOWED in keys:
        mean, std = KINETICS_MEAN, KINETICS_STD
    else:
        mean, std = IMAGENET_MEAN, IMAGENET_STD
    return {"mean": list(mean), "std": list(std)}


def their_key(key: str, head: str = "fc") -> str:
    """torchvision's name of our `key`, in a network whose classifier is called `head`."""
    return key.replace("head.fc.", f"{head}.") if key.startswith("head.") else key.removeprefix("trunk.")
