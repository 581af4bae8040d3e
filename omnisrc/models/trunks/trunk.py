"""The contract of a trunk, and the folding that lets a 2-D network keep it."""

from __future__ import annotations

import torch
from torch import nn


class Trunk(nn.Module):
    """Clips to feature maps: `forward((N, C, T, H, W)) -> (N, channels, T', H', W')`.

    2-D trunks keep the same contract and fold the frames themselves, so that a trunk which mixes neighbouring frames
    (a temporal shift) knows where a clip begins, and heads never ask which kind they sit on.
    """

    channels: int
    """Channels of the last feature map."""


def fold_frames(clips: torch.Tensor) -> torch.Tensor:
    """(N, C, T, H, W) -> (N*T, C, H, W); no copy where the channels lie last in memory."""
    n, c, t, h, w = clips.shape
    return clips.transpose(1, 2).reshape(n * t, c, h, w)


def unfold_frames(maps: torch.Tensor, frames: int) -> torch.Tensor:
    """(N*T, D, H, W) -> (N, D, T, H, W), a view."""
    return maps.reshape(-1, frames, *maps.shape[1:]).transpose(1, 2)
