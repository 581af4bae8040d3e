"""The temporal shift (TSM, Lin et al., 2019): a 2-D network sees its neighbours in time at no cost."""

from __future__ import annotations

import torch


def shift(frames: torch.Tensor, clip_len: int, part: int) -> torch.Tensor:
    """(N*clip_len, C, H, W) -> the same: the first 1/part of the channels from the next frame, the second from the
    last one, zeros beyond the ends of a clip."""
    moved = frames.shape[1] // part
    if moved == 0:
        return frames
    clips = frames.reshape(-1, clip_len, *frames.shape[1:])
    nothing = torch.zeros_like(clips[:, :1, :moved])
    ahead = torch.cat([clips[:, 1:, :moved], nothing], 1).flatten(0, 1)
    behind = torch.cat([nothing, clips[:, :-1, moved : 2 * moved]], 1).flatten(0, 1)
    if frames.is_contiguous(memory_format=torch.channels_last):  # else the whole would lose the order
        ahead, behind = (moving.contiguous(memory_format=torch.channels_last) for moving in (ahead, behind))
    return torch.cat([ahead, behind, frames[:, 2 * moved :]], 1)
