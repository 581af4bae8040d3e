"""PySlowFast's MViT written again from its description, at any size, for its names and outputs.

facebookresearch/SlowFast, slowfast/models: video_model_builder (MViT), attention, stem_helper (PatchEmbed), head_helper
(TransformerBasicHead), at the commit that brought version 2. Modules have its names, and so do their state dicts;
arguments are its settings of `MVIT`.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import torch
from torch import nn
from torch.nn.functional import interpolate, max_pool3d

Size = tuple[int, int, int]


@dataclass(frozen=True)
class Settings:
    """`widen`: the blocks of DIM_MUL, HEAD_MUL and POOL_Q_STRIDE. `kernel`: POOL_KVQ_KERNEL's, 0 where that is None.

    `in_attention` is DIM_MUL_IN_ATT, `separate` SEPARATE_QKV, `relative` REL_POS_* with RESIDUAL_POOLING.
    """

    relative: bool = False
    embed_dim: int = 16
    num_heads: int = 1
    depth: int = 5
    widen: tuple[int, ...] = (1, 3, 4)
    frames: int = 4
    side: int = 32
    kernel: int = 3
    kernel_where_unstrided: bool = True
    separate: bool = False
    eps: float = 1e-6
    in_attention: bool = False


def pooled(x: torch.Tensor, size: Size, pool: nn.Module | None, norm: nn.Module | None) -> tuple[torch.Tensor, Size]:
    """(B, heads, 1 + THW, C): the class token goes past the pooling, and through the norm."""
    if pool is None:
        return x, size
    (b, n, _, c), token, rest = x.shape, x[:, :, :1], x[:, :, 1:]
    maps = pool(rest.transpose(2, 3).reshape(b * n, c, *size))
    x = torch.cat([token, maps.reshape(b, n, c, -1).transpose(2, 3)], 2)
    return (x if norm is None else norm(x)), tuple(maps.shape[2:])


def distances(table: torch.Tensor, queries: int, keys: int) -> torch.Tensor:
    """(queries, keys, C): the row of the table for the distance of each pair, on the finer of both grids."""
    rows = 2 * max(queries, keys) - 1
    if len(table) != rows:
        table = interpolate(table.T[None], size=rows, mode="linear")[0].T
    coarse_q, coarse_k = max(keys / queries, 1.0), max(queries / keys, 1.0)
    q, k = torch.arange(queries)[:, None] * coarse_q, torch.arange(keys)[None] * coarse_k
    return table[(q - k + (keys - 1) * coarse_k).long()]


class Attention(nn.Module):
    def __init__(
        self, of: Settings, inputs: int, outputs: int, heads: int, size: Size, stride_q: int, stride_kv: int
    ) -> None:
        super().__init__()
        self.heads, self.relative, self.separate = heads, of.relative, of.separate
        width = outputs // heads
        if of.separate:
            self.q, self.k, self.v = (nn.Linear(inputs, outputs) for _ in range(3))
        else:
            self.qkv = nn.Linear(inputs, 3 * outputs)
        self.proj = nn.Linear(outputs, outputs)
        for part, stride, wanted in (
            ("q", stride_q, of.relative or stride_q > 1),
            ("k", stride_kv, of.kernel_where_unstrided or stride_kv > 1),
            ("v", stride_kv, of.kernel_where_unstrided or stride_kv > 1),
        ):
            kernel = (of.kernel,) * 3 if of.kernel else (1, stride + 1, stride + 1) if stride > 1 else (1, 1, 1)
            has = wanted and prod(kernel) * stride > 1
            padding = tuple(each // 2 for each in kernel)
            conv = nn.Conv3d(width, width, kernel, (1, stride, stride), padding, groups=width, bias=False)
            setattr(self, f"pool_{part}", conv if has else None)
            setattr(self, f"norm_{part}", nn.LayerNorm(width, of.eps) if has else None)
        if of.relative:
            rows = 2 * max(size[1] // stride_q, size[1] // stride_kv) - 1
            self.rel_pos_h, self.rel_pos_w = (nn.Parameter(torch.zeros(rows, width)) for _ in "hw")
            self.rel_pos_t = nn.Parameter(torch.zeros(2 * size[0] - 1, width))

    def forward(self, x: torch.Tensor, size: Size) -> tuple[torch.Tensor, Size]:
        made = (self.q(x), self.k(x), self.v(x)) if self.separate else self.qkv(x).chunk(3, -1)
        q, k, v = (each.unflatten(-1, (self.heads, -1)).transpose(1, 2) for each in made)
        q, of_q = pooled(q, size, self.pool_q, self.norm_q)
        k, of_k = pooled(k, size, self.pool_k, self.norm_k)
        v, _ = pooled(v, size, self.pool_v, self.norm_v)
        scores = q @ k.transpose(2, 3) / q.shape[-1] ** 0.5
        if self.relative:
            at = q[:, :, 1:].unflatten(2, of_q)
            t, h, w = (
                torch.einsum(f"bnthwc,{axis}kc->bnthwk", at, distances(table, here, there))
                for axis, table, here, there in zip(
                    "thw", (self.rel_pos_t, self.rel_pos_h, self.rel_pos_w), of_q, of_k, strict=True
                )
            )
            bias = t[..., :, None, None] + h[..., None, :, None] + w[..., None, None, :]
            scores[:, :, 1:, 1:] += bias.flatten(5).flatten(2, 4)
        x = scores.softmax(-1) @ v
        if self.relative:
            x[:, :, 1:] += q[:, :, 1:]
        return self.proj(x.transpose(1, 2).flatten(2)), of_q


class Mlp(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(inputs, 4 * inputs), nn.Linear(4 * inputs, outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc2(nn.functional.gelu(self.fc1(x)))


class Block(nn.Module):
    """Widens in its attention or in its MLP."""

    def __init__(
        self, of: Settings, inputs: int, outputs: int, heads: int, size: Size, stride_q: int, stride_kv: int
    ) -> None:
        super().__init__()
        inner = outputs if of.in_attention else inputs
        self.in_attention, self.stride = of.in_attention, stride_q
        self.norm1, self.norm2 = nn.LayerNorm(inputs, 1e-6), nn.LayerNorm(inner, 1e-6)
        self.attn = Attention(of, inputs, inner, heads, size, stride_q, stride_kv)
        self.mlp = Mlp(inner, outputs)
        self.proj = nn.Linear(inputs, outputs) if inputs != outputs else None

    def skip(self, maps: torch.Tensor) -> torch.Tensor:
        return max_pool3d(maps, (1, 3, 3), (1, self.stride, self.stride), (0, 1, 1))

    def forward(self, x: torch.Tensor, size: Size) -> tuple[torch.Tensor, Size]:
        normed = self.norm1(x)
        attended, smaller = self.attn(normed, size)
        if self.proj is not None and self.in_attention:
            x = self.proj(normed)
        if self.stride > 1:
            x = pooled(x[:, None], size, self.skip, None)[0][:, 0]
        x = x + attended
        normed = self.norm2(x)
        if self.proj is not None and not self.in_attention:
            x = self.proj(normed)
        return x + self.mlp(normed), smaller


class PatchEmbed(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv3d(3, width, (3, 7, 7), (2, 4, 4), (1, 3, 3))

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        return self.proj(clips).flatten(2).transpose(1, 2)


class Head(nn.Module):
    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.projection = nn.Linear(width, classes)


class MViT(nn.Module):
    def __init__(self, classes: int, of: Settings) -> None:
        super().__init__()
        self.size = size = (of.frames // 2, of.side // 4, of.side // 4)
        self.relative, width, heads, stride_kv = of.relative, of.embed_dim, of.num_heads, 8
        self.patch_embed = PatchEmbed(width)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        if not of.relative:
            self.pos_embed_spatial = nn.Parameter(torch.zeros(1, size[1] * size[2], width))
            self.pos_embed_temporal = nn.Parameter(torch.zeros(1, size[0], width))
            self.pos_embed_class = nn.Parameter(torch.zeros(1, 1, width))
        self.blocks = nn.ModuleList()
        for at in range(of.depth):
            stride = 2 if at in of.widen else 1
            heads, stride_kv = heads * stride, max(stride_kv // stride, 1)
            widens = (at if of.in_attention else at + 1) in of.widen
            outputs = 2 * width if widens else width
            self.blocks.append(Block(of, width, outputs, heads, size, stride, stride_kv))
            width, size = outputs, (size[0], size[1] // stride, size[2] // stride)
        self.norm, self.head = nn.LayerNorm(width, 1e-6), Head(width, classes)

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        x, size = self.patch_embed(clips), self.size
        x = torch.cat([self.cls_token.expand(len(x), -1, -1), x], 1)
        if not self.relative:
            spatial, temporal = self.pos_embed_spatial[0], self.pos_embed_temporal[0]
            places = (temporal[:, None] + spatial[None]).flatten(0, 1)
            x = x + torch.cat([self.pos_embed_class[0], places])
        for block in self.blocks:
            x, size = block(x, size)
        logits: torch.Tensor = self.head.projection(self.norm(x)[:, 0])
        return logits
