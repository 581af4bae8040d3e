"""BN-Inception under Caffe's names: tsn-pytorch's and TRN-pytorch's files, and the ImageNet and Kinetics trunks.

These networks were trained on frames in 0..255 in the order blue, green, red, less their means; those of flow on
fields in 0..255 less 128.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

import torch

from omnisrc.models.checkpoints.container import Contents

NAME = "tsn-pytorch"

STEMS = {"conv1_7x7_s2": "conv1", "conv2_3x3_reduce": "conv2_reduce", "conv2_3x3": "conv2"}
BRANCHES = {
    "1x1": "point",
    "3x3_reduce": "once.0",
    "3x3": "once.1",
    "double_3x3_reduce": "twice.0",
    "double_3x3_1": "twice.1",
    "double_3x3_2": "twice.2",
    "pool_proj": "pool.1",
}
"""Their layer of a block, our module of it."""

SCALES = re.compile(r"(?:consensus\.)?fc_fusion_scales\.(\d+)\.([13])\.(\w+)")
LAYER = {"1": "fc1", "3": "fc2"}
MEAN_BGR = [104.0, 117.0, 128.0]


def matches(keys: Collection[str]) -> bool:
    return bool({"conv1_7x7_s2.weight", "base_model.conv1_7x7_s2.weight"} & set(keys))


def our_key(key: str) -> str | None:
    relation = SCALES.fullmatch(key)
    if relation:
        return f"head.relations.{relation[1]}.{LAYER[relation[2]]}.{relation[3]}"
    layer, _, parameter = key.removeprefix("base_model.").rpartition(".")
    if layer in ("new_fc", "fc", "last_linear", "fc_action"):
        return f"head.fc.{parameter}"
    part = "bn" if layer.endswith("_bn") else "conv"
    layer = layer.removesuffix("_bn")
    block = re.fullmatch(r"inception_(\d[a-e])_(\w+)", layer)
    if block and block[2] in BRANCHES:
        return f"trunk.inception_{block[1]}.{BRANCHES[block[2]]}.{part}.{parameter}"
    return f"trunk.{STEMS.get(layer, layer)}.{part}.{parameter}"


def their_key(key: str) -> str:
    """tsn-pytorch's name of our `key`; TRN-pytorch's of a head over relations."""
    relation = re.fullmatch(r"head\.relations\.(\d+)\.(fc[12])\.(\w+)", key)
    if relation:
        return f"consensus.fc_fusion_scales.{relation[1]}.{'1' if relation[2] == 'fc1' else '3'}.{relation[3]}"
    if key.startswith("head."):
        return f"new_fc.{key.rpartition('.')[2]}"
    module, part, parameter = key.removeprefix("trunk.").rsplit(".", 2)
    block = re.fullmatch(r"(inception_\d[a-e])\.(.+)", module)
    if block:
        layer = f"{block[1]}_{ {ours: theirs for theirs, ours in BRANCHES.items()}[block[2]] }"
    else:
        layer = {ours: theirs for theirs, ours in STEMS.items()}[module]
    return f"base_model.{layer}{'_bn' if part == 'bn' else ''}.{parameter}"


def adapt(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Old files keep the norms' vectors as rows. Over relations, `new_fc` is the features of a frame."""
    related = any(key.startswith("head.relations.") for key in state)
    frame = {"head.fc.weight": "head.fc_frame.weight", "head.fc.bias": "head.fc_frame.bias"} if related else {}
    return {
        frame.get(key, key): value.flatten() if ".bn." in key and value.ndim == 2 else value
        for key, value in state.items()
    }


def meta(contents: Contents) -> Mapping[str, Any]:
    stem = next(value for key, value in contents.state.items() if key.endswith("conv1_7x7_s2.weight"))
    family = "trn" if any(SCALES.fullmatch(key) for key in contents.state) else "tsn"
    if stem.shape[1] != 3:
        return {"mean": [128.0] * 3, "std": [1.0] * 3, "family": family}
    return {"mean": MEAN_BGR, "std": [1.0] * 3, "channel_order": "bgr", "family": family}
