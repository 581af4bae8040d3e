"""C3D under Caffe's names (conv1, conv3a, fc6, fc8), as `c3d.pickle` and its descendants have them.

The network was trained on frames in the order blue, green, red.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from omnisrc.models.checkpoints.container import Contents
from omnisrc.models.checkpoints.mmaction2_c3d import SAMPLING
from omnisrc.models.families.c3d import MEAN, STD

NAME = "caffe-c3d"

MODULES = {
    "conv1": "trunk.conv1a",
    "conv2": "trunk.conv2a",
    "fc6": "head.fc6",
    "fc7": "head.fc7",
    "fc8": "head.fc",
}


def matches(keys: Collection[str]) -> bool:
    return {"conv1.weight", "conv3a.weight", "fc6.weight"} <= set(keys)


def our_key(key: str) -> str | None:
    module, _, parameter = key.partition(".")
    return f"{MODULES.get(module, f'trunk.{module}')}.{parameter}"


def their_key(key: str) -> str:
    """Caffe's name of our `key`."""
    module, _, parameter = key.rpartition(".")
    theirs = {ours: name for name, ours in MODULES.items()}.get(module, module.removeprefix("trunk."))
    return f"{theirs}.{parameter}"


def meta(contents: Contents) -> Mapping[str, Any]:
    return {"mean": list(MEAN), "std": list(STD), "sampling": SAMPLING, "channel_order": "bgr"}
