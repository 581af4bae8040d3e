"""PyTorchVideo's MViT v1 (`MVIT_B_16x4.pyth`), as torchvision's.

Positions and the class token have axes of size 1 there that torchvision's have not; queries, keys and values may have a
layer each; the norms behind their poolings have another eps.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch

from omnisrc.models.checkpoints.container import Contents
from omnisrc.models.checkpoints.layout import Layout, Row, State
from omnisrc.models.checkpoints.pytorchvideo import MEAN, STD

MODEL = "mvit_v1_b"
APART = re.compile(r"(trunk\.blocks\.\d+\.attn)\.([qkv])\.(weight|bias)")
SAMPLING = {"clip_len": 16, "frame_interval": 4, "num_segments": 1}

BLOCKS: tuple[Row, ...] = (
    ("blocks.{b}.attn.proj.{p}", "trunk.blocks.{b}.attn.project.0.{p}"),
    ("blocks.{b}.attn.pool_{h}.{p}", "trunk.blocks.{b}.attn.pool_{h}.pool.{p}"),
    ("blocks.{b}.attn.norm_{h}.{p}", "trunk.blocks.{b}.attn.pool_{h}.norm_act.0.{p}"),
    ("blocks.{b}.mlp.fc1.{p}", "trunk.blocks.{b}.mlp.0.{p}"),
    ("blocks.{b}.mlp.fc2.{p}", "trunk.blocks.{b}.mlp.3.{p}"),
    ("blocks.{b}.proj.{p}", "trunk.blocks.{b}.project.{p}"),
    ("blocks.{b}.{rest}", "trunk.blocks.{b}.{rest}"),
)
POSITIONS = (
    ("cls_token", "class_token"),
    ("pos_embed_spatial", "spatial_pos"),
    ("pos_embed_temporal", "temporal_pos"),
    ("pos_embed_class", "class_pos"),
)


def _as_torchvision(state: State) -> State:
    """Positions without their axes of size 1; queries, keys and values, where each has a layer, as the one they are."""
    changed = {}
    for key, value in state.items():
        found = APART.fullmatch(key)
        if found is None:
            changed[key] = value.flatten(0, -2).squeeze(0) if key.startswith("trunk.pos_encoding.") else value
        elif found[2] == "q":
            parts = [state[f"{found[1]}.{part}.{found[3]}"] for part in "qkv"]
            changed[f"{found[1]}.qkv.{found[3]}"] = torch.cat(parts)
    return changed


def _about(contents: Contents) -> Mapping[str, Any]:
    args = {"pool_eps": 1e-5}
    return {"mean": MEAN, "std": STD, "sampling": SAMPLING, "model": MODEL, "model_args": args}


LAYOUT = Layout(
    "pytorchvideo",
    lambda keys: "cls_positional_encoding.pos_embed_spatial" in keys,
    (
        ("patch_embed.patch_model.{p}", "trunk.conv_proj.{p}"),
        *((f"cls_positional_encoding.{theirs}", f"trunk.pos_encoding.{ours}") for theirs, ours in POSITIONS),
        *BLOCKS,
        ("norm_embed.{p}", "trunk.norm.{p}"),
        ("head.proj.{p}", "head.fc.{p}"),
    ),
    _about,
    change=_as_torchvision,
)
