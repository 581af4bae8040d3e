"""MViT: torchvision's modules under our names, at any depth and width, for clips of one length and size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from torch import nn

from omnisrc.errors import UserError
from omnisrc.models.families.torchvision_video import GREY_MEAN, GREY_STD
from omnisrc.models.heads.linear import LinearHead
from omnisrc.models.inputs import InputSpec
from omnisrc.models.recogniser import Recogniser
from omnisrc.models.trunks.torchvision_video import MViT

if TYPE_CHECKING:
    from torchvision.models.video.mvit import MSBlockConfig

CUBE = [3, 3, 3]
POOL_EPS = 1e-6
WIDEN_AT = [1, 3, 14]
POOLS = ("all", "strided", "fitted")
PATCH, FIRST_STRIDE = (2, 4, 4), 8
"""Frames, rows and columns between two tokens; between two keys of the first block, in tokens."""


def mvit(
    version: int,
    num_classes: int,
    *,
    dropout: float = 0.5,
    pool_eps: float = POOL_EPS,
    width: int = 96,
    num_heads: int = 1,
    depth: int = 16,
    widen_at: Sequence[int] = WIDEN_AT,
    clip_len: int = 16,
    crop_size: int = 224,
    widen_attention: bool | None = None,
    pools: str = "all",
) -> Recogniser:
    """MViT (Fan et al., 2021; version 2: Li et al., 2022) for clips of one length and size: its positions are learnt.

    MViTv2-B is version 2 with a depth of 24, widened at 2, 5 and 21, for 32 frames; MViTv2-L has a width of 144, 2
    heads, a depth of 48, is widened at 2, 8 and 44, for 40 frames of 312 x 312 pixels (facebookresearch/SlowFast,
    configs/Kinetics/MVITv2_*.yaml, and by its published 217.6 million parameters before the attention).

    Args:
        pool_eps: of the norms behind the poolings of queries, keys and values; PyTorchVideo has 1e-5.
        width, num_heads: of the first block; both double, and rows and columns halve, at the blocks `widen_at`.
        widen_attention: whether channels double in the attention of these blocks, or in the MLP before; None: in the
            attention of version 2.
        pools: which keys and values are pooled: "all", by 3x3x3; those that are "strided", by 3x3x3; or these by
            kernels that are "fitted", one longer than their strides.
    """
    inner, late = all(0 < at < depth for at in widen_at), version == 2 if widen_attention is None else widen_attention
    empty = min(num_heads, clip_len, crop_size) < 1
    if empty or not inner or width % num_heads or clip_len % PATCH[0] or crop_size % PATCH[1] or pools not in POOLS:
        raise UserError(
            f"there is no MViT of width {width}, {num_heads} heads, {depth} blocks widened at {list(widen_at)}, pools "
            f"{pools!r}, for {clip_len} frames of {crop_size} pixels: heads divide the width, blocks behind the first "
            f"widen, pools are {', '.join(POOLS)}, frames go by {PATCH[0]} and pixels by {PATCH[1]}"
        )
    spec = InputSpec("3d", clip_len, 4, 1, GREY_MEAN, GREY_STD, crop_size=crop_size, fixed=True)
    spec = replace(spec, short_side=crop_size * spec.short_side // 224)
    blocks = partial(_blocks, version, late, depth, width, num_heads, widen_at, pools)
    trunk = MViT(lambda: _network(version, late, blocks(), spec), clip_len, crop_size)
    for path, module in trunk.named_modules():
        if isinstance(module, nn.LayerNorm) and ".pool_" in path:
            module.eps = pool_eps
    return Recogniser(trunk, LinearHead(trunk.channels, num_classes, dropout), spec, num_classes)


def _network(version: int, widen_attention: bool, blocks: list[MSBlockConfig], spec: InputSpec) -> nn.Module:
    """As torchvision's `mvit_v1_b` and `mvit_v2_s` are made."""
    from torchvision.models.video.mvit import MViT as Network

    network: nn.Module = Network(
        spatial_size=(spec.crop_size, spec.crop_size),
        temporal_size=spec.clip_len,
        block_setting=blocks,
        residual_pool=version == 2,
        residual_with_cls_embed=False,
        rel_pos_embed=version == 2,
        proj_after_attn=widen_attention,
        stochastic_depth_prob=0.2,
    )
    return network


def _blocks(
    version: int, widen_attention: bool, depth: int, width: int, num_heads: int, widen_at: Sequence[int], pools: str
) -> list[MSBlockConfig]:
    """Channels double in a block's attention or in the MLP before it; heads and strides with the attention."""
    from torchvision.models.video.mvit import MSBlockConfig

    blocks, apart, heads, inputs = [], FIRST_STRIDE, num_heads, width
    for at in range(depth):
        strided = at in widen_at
        heads, apart = (2 * heads, max(apart // 2, 1)) if strided else (heads, apart)
        outputs = inputs * (2 if (at if widen_attention else at + 1) in widen_at else 1)
        queries = [1, 2, 2] if strided else [1, 1, 1] if version == 2 else []
        blocks.append(
            MSBlockConfig(
                num_heads=heads,
                input_channels=inputs,
                output_channels=outputs,
                kernel_q=([1, 3, 3] if pools == "fitted" else CUBE) if queries else [],
                kernel_kv=_kernel(pools, apart),
                stride_q=queries,
                stride_kv=[1, apart, apart],
            )
        )
        inputs = outputs
    return blocks


def _kernel(pools: str, apart: int) -> list[int]:
    """Of keys and values that lie `apart`; none where they are not pooled."""
    if pools == "all" or (pools == "strided" and apart > 1):
        return CUBE
    return [1, apart + 1, apart + 1] if apart > 1 else []


MODELS = {"mvit_v1_b": partial(mvit, 1), "mvit_v2_s": partial(mvit, 2)}
