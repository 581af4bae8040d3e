"""PyTorchVideo's X3D (X3D_XS.pyth, X3D_S, X3D_M, X3D_L)."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from omnisrc.models.checkpoints.container import Contents
from omnisrc.models.checkpoints.layout import State
from omnisrc.models.families.x3d import MEAN, STD

NAME = "pytorchvideo"
WRITES = ("x3d",)

PARTS = (
    ("blocks.0.conv.conv_t", "trunk.conv1_xy"),  # their first convolution sees space, whatever it is called
    ("blocks.0.conv.conv_xy", "trunk.conv1_t"),
    ("blocks.0.norm", "trunk.bn1"),
    ("blocks.5.pool.pre_conv", "trunk.conv5"),
    ("blocks.5.pool.pre_norm", "trunk.bn5"),
    ("blocks.5.pool.post_conv", "head.fc1"),
    ("blocks.5.proj", "head.fc"),
)
IN_BLOCK = (
    ("branch1_conv", "downsample.0"),
    ("branch1_norm", "downsample.1"),
    ("branch2.conv_a", "conv1"),
    ("branch2.norm_a", "bn1"),
    ("branch2.conv_b", "conv2"),
    ("branch2.norm_b.0", "bn2"),
    ("branch2.norm_b.1.block.0", "se.fc1"),
    ("branch2.norm_b.1.block.2", "se.fc2"),
    ("branch2.conv_c", "conv3"),
    ("branch2.norm_c", "bn3"),
)
"""Their module, our module."""

THEIR_BLOCK = re.compile(r"blocks\.([1-4])\.res_blocks\.(\d+)\.(.+)")
OUR_BLOCK = re.compile(r"trunk\.layer([1-4])\.(\d+)\.(.+)")
PROJECTION = "head.fc1.weight"
LARGE = 900
"""Entries of a state dict: 563 of XS, S and M, 1141 of L (fewer without counters)."""


def matches(keys: Collection[str]) -> bool:
    return "blocks.0.conv.conv_t.weight" in keys


def our_key(key: str) -> str | None:
    module, _, parameter = key.rpartition(".")
    place = THEIR_BLOCK.fullmatch(module)
    if place:
        part = dict(IN_BLOCK).get(place[3], place[3])
        return f"trunk.layer{place[1]}.{place[2]}.{part}.{parameter}"
    return f"{dict(PARTS).get(module, module)}.{parameter}"


def their_key(key: str) -> str:
    """PyTorchVideo's name of our `key`."""
    module, _, parameter = key.rpartition(".")
    place = OUR_BLOCK.fullmatch(module)
    if place:
        part = {ours: theirs for theirs, ours in IN_BLOCK}[place[3]]
        return f"blocks.{place[1]}.res_blocks.{place[2]}.{part}.{parameter}"
    return f"{ {ours: theirs for theirs, ours in PARTS}[module] }.{parameter}"


def adapt(state: State) -> State:
    """Their projection is a convolution of one place, ours a linear layer."""
    return {key: value.flatten(1) if key == PROJECTION else value for key, value in state.items()}


def unadapt(state: State) -> State:
    """`adapt`, back."""
    return {key: value[:, :, None, None, None] if key == PROJECTION else value for key, value in state.items()}


def meta(contents: Contents) -> Mapping[str, Any]:
    width = contents.state["blocks.0.norm.weight"].shape[0]
    return {"mean": list(MEAN), "std": list(STD), **named_x3d(contents.path, len(contents.state), width)}


def named_x3d(path: Path, entries: int, width: int, **args: Any) -> dict[str, Any]:
    """XS, S and M are one network, and but the name of the file tells how long and large its clips were: without it, S.

    L has more `entries`.
    """
    if width != 24:
        args["width"] = width
    named = re.search(r"x3d_(xs|s|m|l)(?![a-z])", path.stem.lower())
    kind = named[1] if named else "l" if entries > LARGE else "s"
    return {"model": f"x3d_{kind}", "model_args": args}
