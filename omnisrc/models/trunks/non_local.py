"""The non-local block (Wang et al., 2018): every place of a clip asks every other."""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn

Pairwise = Literal["dot", "embedded", "gauss"]


class NonLocal(nn.Module):
    """x + what it gathers from everywhere, through half the channels; (N, C, T, H, W) -> the same.

    How much a place hears of another: `dot`, the product of both embeddings by the number of places; `embedded`, the
    softmax of the products (not scaled by the channels, as in MMAction2's I3D); `gauss`, the softmax without
    embeddings. Keys and values are pooled over 2x2 pixels. The last norm starts at 0, and with it the whole block.

    `pool_first` is PySlowFast's block: pooled before they are embedded, and the softmax's products divided by the root
    of the channels.
    """

    def __init__(self, channels: int, pairwise: Pairwise, pool_first: bool = False) -> None:
        super().__init__()
        inner = max(1, channels // 2)
        self.pool_first = pool_first
        self.scale = inner**-0.5 if pool_first else 1.0
        self.pairwise = pairwise
        self.pool = nn.MaxPool3d((1, 2, 2))
        self.g = nn.Conv3d(channels, inner, 1)
        if pairwise != "gauss":
            self.theta = nn.Conv3d(channels, inner, 1)
            self.phi = nn.Conv3d(channels, inner, 1)
        self.out = nn.Conv3d(inner, channels, 1, bias=False)
        self.bn = nn.BatchNorm3d(channels)

    def reset(self) -> None:
        """The published start: small embeddings, and silence."""
        for name, module in self.named_children():
            if name in ("g", "theta", "phi"):
                nn.init.normal_(module.get_parameter("weight"), std=0.01)
                nn.init.zeros_(module.get_parameter("bias"))
        nn.init.zeros_(self.bn.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        plain = self.pairwise == "gauss"
        seen = self._pooled(x) if self.pool_first else x
        values = self._keys(self.g(seen)).transpose(1, 2)  # (N, keys, inner)
        queries = (x if plain else self.theta(x)).flatten(2).transpose(1, 2)  # (N, places, D)
        keys = self._keys(seen if plain else self.phi(seen))  # (N, D, keys)
        if self.pairwise == "dot":
            # (q k) v = q (k v): no matrix of all places by all places.
            gathered = queries @ ((keys @ values) / keys.shape[2])
        else:
            gathered = (self.scale * queries @ keys).softmax(2) @ values
        heard = gathered.transpose(1, 2).reshape(x.shape[0], -1, *x.shape[2:])
        out: torch.Tensor = x + self.bn(self.out(heard))
        return out

    def _keys(self, embedded: torch.Tensor) -> torch.Tensor:
        return (embedded if self.pool_first else self._pooled(embedded)).flatten(2)

    def _pooled(self, x: torch.Tensor) -> torch.Tensor:
        """A map of one pixel stays: tiny crops have nothing to pool."""
        pooled: torch.Tensor = self.pool(x) if min(x.shape[3:]) > 1 else x
        return pooled
