"""Legacy MMAction's TSN on BN-Inception (its UCF-101 files): Caffe's names of the layers, MMAction's of the two parts.

Frames are BGR in 0..255 less (104, 117, 128), by configs/ucf101/tsn_rgb_bninception.py of open-mmlab/mmaction
(`to_rgb=False`), as tsn-pytorch's are.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from omnisrc.models.checkpoints import tsn_pytorch
from omnisrc.models.checkpoints.container import Contents
from omnisrc.models.checkpoints.mmaction import sampling_said
from omnisrc.models.checkpoints.openmmlab import openmmlab_meta

NAME = "mmaction"

adapt = tsn_pytorch.adapt


def matches(keys: Collection[str]) -> bool:
    return "backbone.conv1_7x7_s2.weight" in keys


def our_key(key: str) -> str | None:
    return tsn_pytorch.our_key(key.removeprefix("backbone.").replace("cls_head.fc_cls.", "fc."))


def meta(contents: Contents) -> Mapping[str, Any]:
    bare = {key.removeprefix("backbone."): value for key, value in contents.state.items()}
    said = tsn_pytorch.meta(replace(contents, state=bare))
    return {**openmmlab_meta(contents), **sampling_said(contents), **said}
