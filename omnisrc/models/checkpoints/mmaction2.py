"""MMAction2 0.x and 1.x: a convolution and its norm sit in one ConvModule. Also trunk-only files, without prefix."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from omnisrc.models.checkpoints.container import Contents
from omnisrc.models.checkpoints.openmmlab import openmmlab_meta

NAME = "mmaction2"

TO_OURS = (
    (r"^cls_head\.fc_cls\.", "head.fc."),
    (r"^backbone\.", ""),
    (r"downsample\.conv\.", "downsample.0."),
    (r"downsample\.bn\.", "downsample.1."),
    (r"conv(\d)\.conv\.", r"conv\1."),
    (r"conv(\d)\.bn\.", r"bn\1."),
)
FROM_OURS = (
    (r"^head\.fc\.", "cls_head.fc_cls."),
    (r"^trunk\.", "backbone."),
    (r"downsample\.0\.", "downsample.conv."),
    (r"downsample\.1\.", "downsample.bn."),
    (r"\bconv(\d)\.", r"conv\1.conv."),
    (r"\bbn(\d)\.", r"conv\1.bn."),
)


def matches(keys: Collection[str]) -> bool:
    return "backbone.conv1.conv.weight" in keys or "conv1.conv.weight" in keys


def our_key(key: str) -> str | None:
    if key.startswith("data_preprocessor."):
        return None
    renamed = _renamed(key, TO_OURS)
    return renamed if key.startswith("cls_head.") else f"trunk.{renamed}"


def their_key(key: str) -> str:
    """MMAction2's name of our `key`."""
    return _renamed(key, FROM_OURS)


def meta(contents: Contents) -> Mapping[str, Any]:
    return openmmlab_meta(contents)


def _renamed(key: str, rules: Collection[tuple[str, str]]) -> str:
    for pattern, replacement in rules:
        key = re.sub(pattern, replacement, key)
    return key
