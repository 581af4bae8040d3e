"""PySlowFast's own networks of one pathway (`.pyth`), and the Caffe2 blobs that it was ported from (`.pkl`).

Both count the stages from s1, the stem, to s5 and letter the convolutions of a block a, b, c. SlowFast's kinetics
models take RGB, the Caffe2 ones too (facebookresearch/SlowFast, issue 298; its `REVERSE_INPUT_CHANNEL` says otherwise).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from omnisrc.models.checkpoints.container import Contents
from omnisrc.models.checkpoints.pytorchvideo import MEAN, STD
from omnisrc.models.checkpoints.training_config import pyslowfast_said

NAME = "pyslowfast"

FROM_BLOBS = (
    (r"^res_conv1_bn_", "s1.pathway0_stem.bn."),
    (r"^conv1_", "s1.pathway0_stem.conv."),
    (r"^res(\d)_(\d+)_branch2([abc])_bn_", r"s\1.pathway0_res\2.branch2.\3_bn."),
    (r"^res(\d)_(\d+)_branch2([abc])_", r"s\1.pathway0_res\2.branch2.\3."),
    (r"^res(\d)_(\d+)_branch1_bn_", r"s\1.pathway0_res\2.branch1_bn."),
    (r"^res(\d)_(\d+)_branch1_", r"s\1.pathway0_res\2.branch1."),
    (r"^pred_", "head.projection."),
    (r"\.(?:s|w)$", ".weight"),
    (r"\.b$", ".bias"),
    (r"\.rm$", ".running_mean"),
    (r"\.riv$", ".running_var"),
)
TO_OURS = (
    (r"^s1\.pathway0_stem\.conv\.", "trunk.conv1."),
    (r"^s1\.pathway0_stem\.bn\.", "trunk.bn1."),
    (r"^head\.projection\.", "head.fc."),
    (r"\.branch1\.", ".downsample.0."),
    (r"\.branch1_bn\.", ".downsample.1."),
)
BLOCK = re.compile(r"^s([2-5])\.pathway0_res(\d+)\.")
LETTERED = re.compile(r"\.branch2\.([abc])(_bn)?\.")


def matches(keys: Collection[str]) -> bool:
    fast = "s1.pathway1_stem.conv.weight" in keys or "t_conv1_w" in keys
    return not fast and ("s1.pathway0_stem.conv.weight" in keys or ("conv1_w" in keys and "pred_w" in keys))


def our_key(key: str) -> str | None:
    """None for what Caffe2 keeps beside a network's blobs (learning rate, iterations)."""
    if not re.match(r"s\d\.|head\.", key):
        key = _renamed(key, FROM_BLOBS)
        if not re.match(r"s\d\.|head\.", key):
            return None
    key = LETTERED.sub(lambda found: f".{'bn' if found[2] else 'conv'}{'abc'.index(found[1]) + 1}.", key)
    return BLOCK.sub(lambda found: f"trunk.layer{int(found[1]) - 1}.{found[2]}.", _renamed(key, TO_OURS))


def meta(contents: Contents) -> Mapping[str, Any]:
    return {"mean": MEAN, "std": STD, **pyslowfast_said(contents.beside.get("cfg"))}


def _renamed(key: str, rules: Collection[tuple[str, str]]) -> str:
    for pattern, replacement in rules:
        key = re.sub(pattern, replacement, key)
    return key
