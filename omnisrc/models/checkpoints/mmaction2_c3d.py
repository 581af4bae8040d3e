"""C3D: MMAction2's files, and the state dicts that were made from the Caffe network with its own names."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from omnisrc.models.checkpoints.container import Contents
from omnisrc.models.checkpoints.openmmlab import openmmlab_meta
from omnisrc.models.families.c3d import MEAN, STD

NAME = "mmaction2"
WRITES = ("c3d",)

SAMPLING = {"clip_len": 16, "frame_interval": 1, "num_segments": 1}


def matches(keys: Collection[str]) -> bool:
    return "backbone.conv1a.conv.weight" in keys or "conv1a.conv.weight" in keys


def our_key(key: str) -> str | None:
    """Files of the trunk alone have no prefix, and their fc6 and fc7, as everywhere, are our head's."""
    if key.startswith("data_preprocessor."):
        return None
    key = key.removeprefix("backbone.")
    if key.startswith("conv"):
        return f"trunk.{key.replace('.conv.', '.', 1)}"
    return re.sub(r"^cls_head\.fc_cls\.", "head.fc.", key) if key.startswith("cls_head.") else f"head.{key}"


def their_key(key: str) -> str:
    """MMAction2's name of our `key`."""
    if key.startswith("head.fc."):
        return key.replace("head.fc.", "cls_head.fc_cls.")
    return re.sub(r"^trunk\.(conv\d[ab])\.", r"backbone.\1.conv.", key).replace("head.", "backbone.")


def meta(contents: Contents) -> Mapping[str, Any]:
    return {**openmmlab_meta(contents), "mean": list(MEAN), "std": list(STD), "sampling": SAMPLING}
