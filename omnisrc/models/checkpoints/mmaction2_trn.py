"""MMAction2's TRN: its ResNet, and a head whose `fc_cls` is no classifier but the features of a frame."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from omnisrc.models.checkpoints import mmaction2
from omnisrc.models.checkpoints.container import Contents
from omnisrc.models.checkpoints.openmmlab import openmmlab_meta

NAME = "mmaction2"
WRITES = ("trn_r",)

SCALES = "cls_head.consensus.fc_fusion_scales."
LAYER = {"1": "fc1", "3": "fc2"}


def matches(keys: Collection[str]) -> bool:
    return any(key.startswith(SCALES) for key in keys)


def our_key(key: str) -> str | None:
    scale = re.fullmatch(re.escape(SCALES) + r"(\d+)\.([13])\.(\w+)", key)
    if scale:
        return f"head.relations.{scale[1]}.{LAYER[scale[2]]}.{scale[3]}"
    if key.startswith("cls_head.fc_cls."):
        return key.replace("cls_head.fc_cls.", "head.fc_frame.")
    return mmaction2.RESNET_LAYOUT.our_key(key)


def their_key(key: str) -> str:
    """MMAction2's name of our `key`."""
    scale = re.fullmatch(r"head\.relations\.(\d+)\.(fc[12])\.(\w+)", key)
    if scale:
        return f"{SCALES}{scale[1]}.{'1' if scale[2] == 'fc1' else '3'}.{scale[3]}"
    if key.startswith("head.fc_frame."):
        return key.replace("head.fc_frame.", "cls_head.fc_cls.")
    return mmaction2.RESNET_LAYOUT.their_key(key)


def meta(contents: Contents) -> Mapping[str, Any]:
    """The frames are segments of one view; "1x1x8" in the file's name counts them."""
    frames = 1 + len({key.split(".")[3] for key in contents.state if key.startswith(SCALES)})
    sampling = {"clip_len": frames, "frame_interval": 0, "num_segments": 1}
    return {**openmmlab_meta(contents), "sampling": sampling, "family": "trn"}
