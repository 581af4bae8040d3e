"""Video transformers as trunks: tokens in, feature maps out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from omnisrc.errors import UserError
from omnisrc.models.trunks.trunk import Stage, Trunk


@dataclass(frozen=True)
class Grid:
    """Clips of `frames` frames of `size` x `size` pixels, cut into tubes of `tubelet` frames and `patch` x `patch`
    pixels. `any_length`: clips may have more or fewer frames."""

    frames: int
    size: int
    tubelet: int
    patch: int
    any_length: bool = False


class TokenTrunk(Trunk):
    """A transformers' video model: (N, 3, T, H, W) -> (N, D, T / tubelet, H / patch, W / patch).

    `net(clips (N, T, 3, H, W))` gives tokens (N, [1 +] places, D); `blocks` are its layers, each one a stage; the last
    stage is what `net` gives, after its last norm. The class token, where there is one, is no part of the maps.
    """

    def __init__(self, net: nn.Module, blocks: nn.ModuleList, grid: Grid, channels: int, class_token: bool) -> None:
        super().__init__()
        self.net, self.grid, self.has_class_token = net, grid, class_token
        self.stages = tuple(
            Stage(f"block{number}", channels, grid.patch, grid.tubelet) for number in range(1, len(blocks) + 1)
        )
        self._blocks = [blocks]  # in a list, so that its weights have one name

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        return self.as_map(self.tokens(clips), clips)

    def maps(self, clips: torch.Tensor) -> dict[str, torch.Tensor]:
        found: dict[str, torch.Tensor] = {}

        def keep(name: str) -> Any:
            def hook(_module: nn.Module, _given: object, made: Any) -> None:
                found[name] = self.as_map(made[0] if isinstance(made, tuple) else made, clips)

            return hook

        hooks = [
            block.register_forward_hook(keep(stage.name))
            for block, stage in zip(self._blocks[0], self.stages, strict=True)
        ]
        try:
            found[self.stages[-1].name] = self(clips)
        finally:
            for hook in hooks:
                hook.remove()
        return found

    def class_token(self, clips: torch.Tensor) -> torch.Tensor:
        """(N, 3, T, H, W) -> the first token (N, D), after the last norm."""
        return self.tokens(clips)[:, 0]

    def tokens(self, clips: torch.Tensor) -> torch.Tensor:
        """All tokens, as the network gives them.

        Raises:
            UserError: clips of another length or size than its positions were made for.
        """
        self._check(clips)
        found: torch.Tensor = self.net(clips.transpose(1, 2)).last_hidden_state
        return found

    def as_map(self, tokens: torch.Tensor, clips: torch.Tensor) -> torch.Tensor:
        """Tokens (N, [1 +] T'*H'*W', D) -> (N, D, T', H', W')."""
        places = tokens[:, 1:] if self.has_class_token else tokens
        t, h, w = self._places(clips)
        return self._unrolled(places, t, h, w)

    def _unrolled(self, places: torch.Tensor, t: int, h: int, w: int) -> torch.Tensor:
        return places.reshape(-1, t, h, w, places.shape[-1]).permute(0, 4, 1, 2, 3)

    def _places(self, clips: torch.Tensor) -> tuple[int, int, int]:
        grid, (t, h, w) = self.grid, clips.shape[2:]
        return max(1, t // grid.tubelet), h // grid.patch, w // grid.patch

    def _check(self, clips: torch.Tensor) -> None:
        grid, (t, h, w) = self.grid, clips.shape[2:]
        length = t == grid.frames or (grid.any_length and (t == 1 or t % grid.tubelet == 0))
        if length and h == w == grid.size:
            return
        frames = f"a multiple of {grid.tubelet}" if grid.any_length else str(grid.frames)
        raise UserError(
            f"This network takes clips of {frames} frames of {grid.size} x {grid.size} pixels, not of {t} frames of"
            f" {w} x {h}; set clip_len and crop_size so, or make the network for that size (model_args.config)."
        )


class FrameLastTrunk(TokenTrunk):
    """TimeSformer lays its tokens out place by place, the frames of each place together."""

    def _unrolled(self, places: torch.Tensor, t: int, h: int, w: int) -> torch.Tensor:
        return places.reshape(-1, h, w, t, places.shape[-1]).permute(0, 4, 3, 1, 2)


class FrameAloneTrunk(TokenTrunk):
    """TimeSformer without time: every frame has its own class token, and their mean is the clip's."""

    def as_map(self, tokens: torch.Tensor, clips: torch.Tensor) -> torch.Tensor:
        t, h, w = self._places(clips)
        return self._unrolled(tokens[:, 1:], t, h, w)

    def class_token(self, clips: torch.Tensor) -> torch.Tensor:
        return self.tokens(clips)[:, 0].reshape(len(clips), -1, self.channels).mean(1)
