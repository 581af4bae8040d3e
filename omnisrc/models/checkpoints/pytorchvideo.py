"""PyTorchVideo's `slow_r50` (SLOW_8x8_R50.pyth): the SlowOnly network, its modules counted as blocks."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from omnisrc.models.checkpoints.container import Contents

NAME = "pytorchvideo"

MEAN = [114.75, 114.75, 114.75]
STD = [57.375, 57.375, 57.375]
"""0.45 and 0.225 of frames in 0..1."""

TO_OURS = (
    (r"^blocks\.0\.conv\.", "trunk.conv1."),
    (r"^blocks\.0\.norm\.", "trunk.bn1."),
    (r"^blocks\.5\.proj\.", "head.fc."),
    (r"^blocks\.([1-4])\.res_blocks\.(\d+)\.", r"trunk.layer\1.\2."),
    (r"\.branch1_conv\.", ".downsample.0."),
    (r"\.branch1_norm\.", ".downsample.1."),
    (r"\.branch2\.conv_a\.", ".conv1."),
    (r"\.branch2\.norm_a\.", ".bn1."),
    (r"\.branch2\.conv_b\.", ".conv2."),
    (r"\.branch2\.norm_b\.", ".bn2."),
    (r"\.branch2\.conv_c\.", ".conv3."),
    (r"\.branch2\.norm_c\.", ".bn3."),
)


def matches(keys: Collection[str]) -> bool:
    return "blocks.0.conv.weight" in keys and "blocks.1.res_blocks.0.branch2.conv_a.weight" in keys


def our_key(key: str) -> str | None:
    for pattern, replacement in TO_OURS:
        key = re.sub(pattern, replacement, key)
    return key


def meta(contents: Contents) -> Mapping[str, Any]:
    return {"mean": MEAN, "std": STD}
