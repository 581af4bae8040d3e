"""Legacy MMAction's TSN on BN-Inception (its UCF-101 files): Caffe's names of the layers, MMAction's of the two parts.

Frames are BGR in 0..255 less (104, 117, 128), by configs/ucf101/tsn_rgb_bninception.py of open-mmlab/mmaction
(`to_rgb=False`), as tsn-pytorch's are.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from omnisrc.errors import UserError
from omnisrc.models.checkpoints import tsn_pytorch
from omnisrc.models.checkpoints.container import Contents
from omnisrc.models.checkpoints.mmaction import sampling_said
from omnisrc.models.checkpoints.openmmlab import openmmlab_meta

NAME = "mmaction"
STEM = "backbone.conv1_7x7_s2.weight"

adapt = tsn_pytorch.adapt


def matches(keys: Collection[str]) -> bool:
    return STEM in keys


def our_key(key: str) -> str | None:
    return tsn_pytorch.our_key(key.removeprefix("backbone.").replace("cls_head.fc_cls.", "fc."))


def meta(contents: Contents) -> Mapping[str, Any]:
    _refuse(contents)
    bare = {key.removeprefix("backbone."): value for key, value in contents.state.items()}
    said = tsn_pytorch.meta(replace(contents, state=bare))
    return {**openmmlab_meta(contents), **sampling_said(contents), **said}


def _refuse(contents: Contents) -> None:
    """Its I3D (backbones/inception_v1_i3d) and SSN (cls_heads/ssn_head) share the names of the layers."""
    if contents.state[STEM].ndim == 5:
        raise UserError(
            f"{contents.path} holds legacy MMAction's I3D on Inception-V1, which no model here is: its I3D on "
            "ResNet-50 is read, as i3d_r50"
        )
    if "cls_head.activity_fc.weight" in contents.state or "cls_head.test_fc.weight" in contents.state:
        raise UserError(
            f"{contents.path} holds legacy MMAction's SSN, which finds actions in time and is no recogniser: its TSN "
            "on BN-Inception is read, as tsn_bninception"
        )
