"""Any network of timm as a 2-D trunk."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from omnisrc.models.trunks.trunk import Stage, Trunk, fold_frames, unfold_frames


class TimmTrunk(Trunk):
    """A network of timm without its classifier and pooling; what it would pool is the last map.

    Tokens are laid out as the grid that they come from, without the class token; a network that pools by itself gives
    a map of one place. The other stages are the network's `feature_info`, where it can give its intermediate maps.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.net = network
        kept: list[dict[str, Any]] = []
        if hasattr(network, "forward_intermediates"):
            kept = list(getattr(network, "feature_info", []))
        stages = [Stage(f"stage{at + 1}", int(info["num_chs"]), int(info["reduction"])) for at, info in enumerate(kept)]
        channels = int(getattr(network, "head_hidden_size", 0) or network.num_features)  # type: ignore[arg-type]
        self.stages = (*stages, Stage("last", channels, max((stage.stride for stage in stages), default=32)))

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        frames = fold_frames(clips)
        return unfold_frames(self._grid(self.net(frames), frames), clips.shape[2])

    def maps(self, clips: torch.Tensor) -> dict[str, torch.Tensor]:
        frames, found = fold_frames(clips), {}
        if len(self.stages) > 1:
            kept = self.net.forward_intermediates(frames, intermediates_only=True)  # type: ignore[operator]
            for stage, x in zip(self.stages, kept, strict=False):
                found[stage.name] = unfold_frames(x, clips.shape[2])
        return {**found, "last": self.forward(clips)}

    def _grid(self, x: torch.Tensor, frames: torch.Tensor) -> torch.Tensor:
        """What the network gives, as (N, D, H', W')."""
        if x.ndim == 2:
            return x[:, :, None, None]
        if x.ndim == 4:
            return x.permute(0, 3, 1, 2) if getattr(self.net, "output_fmt", "NCHW") == "NHWC" else x
        tokens = x[:, int(getattr(self.net, "num_prefix_tokens", 0)) :]
        patch = (frames.shape[2] * frames.shape[3] / tokens.shape[1]) ** 0.5
        return tokens.transpose(1, 2).reshape(len(x), x.shape[2], round(frames.shape[2] / patch), -1)
