"""Legacy MMAction's C3D (open-mmlab/mmaction, mmaction/models/tenons/backbones/c3d), whole or its trunk alone.

Its last pooling has no padding and keeps the row and the column that are left over, as Caffe's does. Frames are BGR
(configs/C3D, `to_rgb=False`) less a mean for each place of the clip, which no file holds: the means of all places are
taken, those of MMAction2.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from omnisrc.models.checkpoints.container import Contents
from omnisrc.models.checkpoints.mmaction2_c3d import SAMPLING
from omnisrc.models.checkpoints.openmmlab import openmmlab_meta
from omnisrc.models.families.c3d import MEAN, STD

NAME = "mmaction"


def matches(keys: Collection[str]) -> bool:
    return "backbone.conv1a.weight" in keys or "conv1a.weight" in keys


def our_key(key: str) -> str | None:
    """fc6 and fc7, there the trunk's, are our head's."""
    key = re.sub(r"^cls_head\.fc_cls\.", "head.fc.", key.removeprefix("backbone."))
    return f"trunk.{key}" if key.startswith("conv") else f"head.{key}" if key.startswith(("fc6.", "fc7.")) else key


def meta(contents: Contents) -> Mapping[str, Any]:
    width = next(value for key, value in contents.state.items() if key.endswith("conv1a.bias")).shape[0]
    args = {"last_pool": "ceil"} | ({} if width == 64 else {"width": width})
    said = {"mean": list(MEAN), "std": list(STD), "sampling": SAMPLING, "channel_order": "bgr"}
    return {**openmmlab_meta(contents), **said, "model": "c3d", "model_args": args}
