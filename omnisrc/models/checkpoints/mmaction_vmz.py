"""Legacy MMAction's networks from Facebook's VMZ: irCSN is read; ipCSN and R(2+1)D are not what they are elsewhere.

open-mmlab/mmaction, mmaction/models/tenons: backbones/resnet_r3d and utils/resnet_r3d_utils. Blocks are lettered from
a, or from aa in a layer of 26 and more; their convolutions are counted from 0, and conv3 is the short cut's.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from string import ascii_lowercase
from typing import Any

from omnisrc.errors import UserError
from omnisrc.models.checkpoints.container import Contents
from omnisrc.models.checkpoints.openmmlab import openmmlab_meta
from omnisrc.models.released import Sampling

NAME = "mmaction"

BLOCK = re.compile(r"backbone\.layer(\d)\.([a-z]{1,2})\.(conv|bn)([0-3])\.(\w+)")
SHORT_CUT = {"conv": "downsample.0", "bn": "downsample.1"}
NAMED = re.compile(r"_f(\d{1,2})s(\d{1,2})(?!\d)")
OTHERS = (
    (
        "backbone.conv1_s.weight",
        "R(2+1)D, whose short cuts are not factorised: MMAction2's R(2+1)D is read, and torchvision's r2plus1d_18",
    ),
    (
        ".conv_T.weight",
        "ipCSN, which has a ReLU behind its pointwise convolutions: its irCSN is read, and MMAction2's ipCSN",
    ),
)
"""A name in the file, the network and what is read instead."""


def matches(keys: Collection[str]) -> bool:
    return "backbone.conv1_s.weight" in keys or "backbone.layer1.a.conv0.weight" in keys


def our_key(key: str) -> str | None:
    found = BLOCK.fullmatch(key)
    if found is None:
        return re.sub(r"^cls_head\.fc_cls\.", "head.fc.", re.sub(r"^backbone\.", "trunk.", key))
    layer, letters, kind, number, parameter = found.groups()
    part = SHORT_CUT[kind] if number == "3" else f"{kind}{int(number) + 1}"
    return f"trunk.layer{layer}.{_counted(letters)}.{part}.{parameter}"


def _counted(letters: str) -> int:
    places = [ascii_lowercase.index(letter) for letter in letters]
    return places[-1] + (len(ascii_lowercase) * places[0] if len(places) == 2 else 0)


def meta(contents: Contents) -> Mapping[str, Any]:
    """A clip's frames and their distance by the "f32s2" in the file's name."""
    for sign, instead in OTHERS:
        if any(key.endswith(sign) for key in contents.state):
            raise UserError(f"{contents.path} holds legacy MMAction's {instead}")
    named = NAMED.search(contents.path.name)
    said = {"sampling": Sampling(int(named[1]), int(named[2]), 1)._asdict()} if named else {}
    return {**said, **openmmlab_meta(contents), "family": "ircsn"}
