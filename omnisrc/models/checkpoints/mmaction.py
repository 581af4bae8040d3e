"""Legacy MMAction (2018-20), the framework of the paper's experiments: MMAction2's prefixes, torchvision's names.

open-mmlab/mmaction, mmaction/models/tenons: backbones/resnet, resnet_i3d and resnet_i3d_slowfast,
cls_heads/cls_head.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from omnisrc.errors import UserError
from omnisrc.models.checkpoints.container import Contents
from omnisrc.models.checkpoints.layout import Layout, Row, State
from omnisrc.models.checkpoints.openmmlab import openmmlab_meta
from omnisrc.models.checkpoints.pytorchvideo import pathways_of, two_rates
from omnisrc.models.released import Sampling

NAME = "mmaction"

NAMED = re.compile(r"seg(\d{1,2})_f(\d{1,2})s(\d{1,2})(?!\d)")
SHORT = re.compile(r"(?<![0-9a-z])(\d{1,2})x(\d{1,2})(?![0-9a-z])")
NO_RECOGNISERS = (
    ("bbox_head.", "detector for AVA, which answers for boxes and is no recogniser"),
    (".nonlocal_block.", "non-local blocks, which pool otherwise than those of the models here"),
)
"""Part of a name in the file, and what it is then."""


def _sign(keys: Collection[str]) -> bool:
    return "backbone.conv1.weight" in keys


def sampling_said(contents: Contents) -> dict[str, Any]:
    """By the file's name: seg3_f1s1 (segments, frames, their distance), or 4x16 for 4 frames, 16 apart."""
    long, short = NAMED.search(contents.path.name), SHORT.search(contents.path.name)
    if long:
        segments, frames, apart = (int(number) for number in long.groups())
        return {"sampling": Sampling(frames, apart, segments)._asdict()}
    return {"sampling": Sampling(int(short[1]), int(short[2]), 1)._asdict()} if short else {}


def _about(contents: Contents) -> Mapping[str, Any]:
    for part, what in NO_RECOGNISERS:
        if any(part in key for key in contents.state):
            raise UserError(f"{contents.path} holds legacy MMAction's {what}: its I3D on ResNet-50 is read, as i3d_r50")
    return {**sampling_said(contents), **openmmlab_meta(contents)}


def _of_pathways(contents: Contents) -> Mapping[str, Any]:
    """Frames of the slow pathway by their stride, its channels first, laterals without norms."""
    rates = two_rates(contents.path)
    told = pathways_of(TWO_PATHWAYS, contents, LATERAL)
    told["model_args"] |= {"alpha": rates.alpha, "lateral_norm": False, "slow_frames": "stride"}
    return {**openmmlab_meta(contents), **told, "sampling": rates.sampling._asdict()}


def _used(state: State) -> State:
    """Its networks have a lateral behind layer4 too, whose output nothing takes."""
    return {key: value for key, value in state.items() if not key.startswith("trunk.laterals.4.")}


LATERAL = "backbone.slow_path.conv1_lateral.weight"
HEAD: Row = ("cls_head.fc_cls.{p}", "head.fc.{p}")
LAYOUT = Layout(NAME, _sign, (("backbone.{rest}", "trunk.{rest}"), HEAD), _about)
TWO_PATHWAYS = Layout(
    NAME,
    lambda keys: LATERAL in keys,
    (
        ("backbone.slow_path.conv1_lateral.{p}", "trunk.laterals.0.conv.{p}"),
        ("backbone.slow_path.layer{n}_lateral.{p}", "trunk.laterals.{n}.conv.{p}"),
        ("backbone.{way}_path.{rest}", "trunk.{way}.{rest}"),
        HEAD,
    ),
    _of_pathways,
    change=_used,
)
