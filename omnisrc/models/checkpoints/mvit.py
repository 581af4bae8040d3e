"""MViT's files of PySlowFast and of PyTorchVideo, as torchvision's network at the size that their tensors have.

Positions and the class token have axes of size 1 there that torchvision's have not; queries, keys and values may have a
layer each. The norms behind the poolings had an eps of 1e-5, before PySlowFast's version 2 and in PyTorchVideo.
"""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Collection, Mapping
from typing import Any

import torch

from omnisrc.errors import UserError
from omnisrc.models.checkpoints.container import Contents
from omnisrc.models.checkpoints.layout import Layout, Row, State
from omnisrc.models.checkpoints.pytorchvideo import MEAN, STD, named_rate
from omnisrc.models.checkpoints.training_config import pyslowfast_config, pyslowfast_said
from omnisrc.models.families.mvit import PATCH, mvit

APART = re.compile(r"(trunk\.blocks\.\d+\.attn)\.([qkv])\.(weight|bias)")
EARLIER_EPS = 1e-5
PLACES = "trunk.pos_encoding."

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
ALIKE: tuple[tuple[str, str, tuple[Any, ...]], ...] = (
    ("DETECTION", "ENABLE", (False,)),
    ("MVIT", "MODE", ("conv",)),
    ("MVIT", "POOL_FIRST", (False,)),
    ("MVIT", "USE_MEAN_POOLING", (False,)),
    ("MVIT", "PATCH_STRIDE", (list(PATCH),)),
    ("MVIT", "POOL_KV_STRIDE_ADAPTIVE", ([1, 8, 8], None)),
)
"""Settings of PySlowFast that no tensor shows, with the values that the network here has."""


def _as_torchvision(state: State) -> State:
    """Positions without their axes of size 1; queries, keys and values, where each has a layer, as the one they are."""
    changed = {}
    for key, value in state.items():
        found = APART.fullmatch(key)
        if found is None:
            changed[key] = value.flatten(0, -2).squeeze(0) if key.startswith(PLACES) else value
        elif found[2] == "q":
            parts = [state[f"{found[1]}.{part}.{found[3]}"] for part in "qkv"]
            changed[f"{found[1]}.qkv.{found[3]}"] = torch.cat(parts)
    return changed


def _as_pyslowfast(state: State) -> State:
    """Positions with an axis of size 1 before them, the class's with two."""
    return {key: value[(None,) * (3 - value.ndim)] if key.startswith(PLACES) else value for key, value in state.items()}


def _network(state: Mapping[str, torch.Tensor], places: str = "") -> tuple[str, dict[str, Any]]:
    """The model and its arguments by names and shapes; `places` is what goes before the positions' names.

    Version 2 has relative positions. The block that widens projects its short cut; where its attention is as narrow as
    its input, what widens is its MLP, for the next block.
    """
    relative = "blocks.0.attn.rel_pos_t" in state
    depth = sum(1 for key in state if re.fullmatch(r"blocks\.\d+\.norm1\.weight", key))
    width = state["blocks.0.norm1.weight"].shape[0]
    projecting = [at for at in range(depth) if f"blocks.{at}.proj.weight" in state]
    late = any(len(state[f"blocks.{at}.norm2.weight"]) > len(state[f"blocks.{at}.norm1.weight"]) for at in projecting)
    if relative:
        frames, rows = (state[f"blocks.0.attn.rel_pos_{axis}"].shape[0] // 2 + 1 for axis in "th")
    else:
        frames = state[f"{places}pos_embed_temporal"].shape[1]
        rows = math.isqrt(state[f"{places}pos_embed_spatial"].shape[1])
    told = {
        "width": width,
        "num_heads": width // state["blocks.0.attn.norm_k.weight"].shape[0],
        "depth": depth,
        "widen_at": [at if late else at + 1 for at in projecting],
        "widen_attention": None if late == relative else late,
        "clip_len": frames * PATCH[0],
        "crop_size": rows * PATCH[1],
        "pools": _pools(state, depth),
    }
    default = {key: given.default for key, given in inspect.signature(mvit).parameters.items()}
    args = {key: value for key, value in told.items() if value != default[key]}
    return "mvit_v2_s" if relative else "mvit_v1_b", args


def _pools(state: Mapping[str, torch.Tensor], depth: int) -> str:
    if state["blocks.0.attn.pool_k.weight"].shape[2] == 1:
        return "fitted"
    return "all" if f"blocks.{depth - 1}.attn.pool_k.weight" in state else "strided"


def _sampling(contents: Contents, args: Mapping[str, Any]) -> dict[str, int]:
    """As long as the positions, by the name as far apart; 16x4 and 32x3 are what was published."""
    frames = args.get("clip_len", 16)
    named = named_rate(contents.path)
    apart = named[1] if named and named[0] == frames else 4 if frames <= 16 else 3
    return {"clip_len": frames, "frame_interval": apart, "num_segments": 1}


def _of_pytorchvideo(contents: Contents) -> Mapping[str, Any]:
    name, args = _network(contents.state, "cls_positional_encoding.")
    sampling = _sampling(contents, args)
    return {
        "mean": MEAN,
        "std": STD,
        "sampling": sampling,
        "model": name,
        "model_args": args | {"pool_eps": EARLIER_EPS},
    }


def _of_pyslowfast(contents: Contents) -> Mapping[str, Any]:
    """`SEPARATE_QKV` came with the eps of 1e-6; the files of version 1 are older, those of version 2 are not."""
    config = pyslowfast_config(contents.beside.get("cfg"))
    unlike = _unlike(contents.state, config)
    if unlike:
        raise UserError(
            f"{contents.path} holds an MViT of PySlowFast {unlike}: of its MViTs those are read that take clips, pool "
            "by convolutions behind one layer of queries, keys and values, and answer by a class token, as MViT-B and "
            "MViTv2-S do"
        )
    name, args = _network(contents.state)
    if name == "mvit_v1_b" and "SEPARATE_QKV" not in _section(config, "MVIT"):
        args["pool_eps"] = EARLIER_EPS
    said = {"mean": MEAN, "std": STD, "sampling": _sampling(contents, args), **pyslowfast_said(config)}
    said["sampling"] |= {"clip_len": args.get("clip_len", 16)}
    return {**said, "model": name, "model_args": args}


def _unlike(state: Mapping[str, torch.Tensor], config: Mapping[str, Any]) -> str:
    """What makes the network none of ours, in words; empty if nothing is seen."""
    if any(key.startswith("rev_backbone.") for key in state):
        return "with reversible blocks"
    if state["patch_embed.proj.weight"].ndim == 4:
        return "for images"
    if "cls_token" not in state:
        return "without a class token"
    if "pos_embed" in state:
        return "with one position for each place of a clip (SEP_POS_EMBED: False)"
    if "blocks.0.attn.pool_k.weight" not in state:
        return "that pools without convolutions"
    if "blocks.0.attn.q.weight" in state and _section(config, "MVIT").get("SEPARATE_QKV") is not True:
        return "with a layer each for queries, keys and values, which may stand before the poolings or behind them"
    for section, key, values in (*ALIKE, ("MVIT", "RESIDUAL_POOLING", ("blocks.0.attn.rel_pos_t" in state,))):
        said = _section(config, section).get(key, values[0])
        said = list(said) if isinstance(said, tuple) else said
        if said not in values:
            return f"made with {section}.{key}: {said}"
    return ""


def _section(config: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = config.get(name)
    return found if isinstance(found, Mapping) else {}


def _is_pyslowfasts(keys: Collection[str]) -> bool:
    own = any(key.startswith(("blocks.0.attn.pool_", "rev_backbone.", "head.projection.")) for key in keys)
    return "patch_embed.proj.weight" in keys and own


PYTORCHVIDEO = Layout(
    "pytorchvideo",
    lambda keys: "cls_positional_encoding.pos_embed_spatial" in keys,
    (
        ("patch_embed.patch_model.{p}", "trunk.conv_proj.{p}"),
        *((f"cls_positional_encoding.{theirs}", f"{PLACES}{ours}") for theirs, ours in POSITIONS),
        *BLOCKS,
        ("norm_embed.{p}", "trunk.norm.{p}"),
        ("head.proj.{p}", "head.fc.{p}"),
    ),
    _of_pytorchvideo,
    change=_as_torchvision,
)
PYSLOWFAST = Layout(
    "pyslowfast",
    _is_pyslowfasts,
    (
        ("patch_embed.proj.{p}", "trunk.conv_proj.{p}"),
        *((theirs, f"{PLACES}{ours}") for theirs, ours in POSITIONS),
        *BLOCKS,
        ("norm.{p}", "trunk.norm.{p}"),
        ("head.projection.{p}", "head.fc.{p}"),
    ),
    _of_pyslowfast,
    WRITES=("mvit",),
    change=_as_torchvision,
    restore=_as_pyslowfast,
)

LAYOUTS = (PYTORCHVIDEO, PYSLOWFAST)
