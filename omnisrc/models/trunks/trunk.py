"""The contract of a trunk, and the folding that lets a 2-D network keep it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


@dataclass(frozen=True)
class Stage:
    """A feature map that a trunk gives: (N, channels, T / temporal_stride, H / stride, W / stride).

    Sizes round up where they do not divide, unless the trunk says otherwise.
    """

    name: str
    channels: int
    stride: int
    temporal_stride: int = 1


class Trunk(nn.Module):
    """Clips to feature maps: `forward((N, C, T, H, W)) -> (N, channels, T', H', W')`.

    2-D trunks keep the same contract and fold the frames themselves, so that a trunk which mixes neighbouring frames
    (a temporal shift) knows where a clip begins, and heads never ask which kind they sit on.
    """

    stages: tuple[Stage, ...]
    """What `maps` gives, from the input to the output; the last is what `forward` gives."""

    added: tuple[str, ...] = ()
    """Patterns of the names (`trunk.*`) that the network it is made of lacks, such as non-local blocks: they may stay
    as they are where weights of that network start this one."""

    entrances: tuple[str, ...] = ()
    """Names of the convolutions that see the frames, where they are not the only one of three channels."""

    frozen = False
    partial_norm = False

    @property
    def channels(self) -> int:
        """Channels of the last feature map."""
        return self.stages[-1].channels

    def maps(self, clips: torch.Tensor) -> dict[str, torch.Tensor]:
        """(N, C, T, H, W) -> the map of every stage by its name, each (N, D, T', H', W')."""
        raise NotImplementedError

    def freeze(self) -> None:
        """No gradients, and no statistics: batch norms keep theirs bit for bit, whatever `train` is told."""
        self.frozen = True
        self.requires_grad_(False)
        self.eval()

    def keep_statistics(self, affine: bool = False) -> None:
        """Partial batch norm (Wang et al., 2016, section 3.2): from now on all batch norms but the first keep their
        statistics, whatever `train` is told; with `affine` they keep gamma and beta too."""
        self.partial_norm = True
        for norm in batch_norms(self)[1:]:
            norm.eval()
            if affine:
                norm.requires_grad_(False)

    def train(self, mode: bool = True) -> Trunk:
        super().train(mode and not self.frozen)
        for norm in batch_norms(self)[1:] if self.partial_norm else ():
            norm.eval()
        return self


def batch_norms(module: nn.Module) -> list[_BatchNorm]:
    """All batch norms of a module, the first being that of the stem."""
    return [found for found in module.modules() if isinstance(found, _BatchNorm)]


def fold_frames(clips: torch.Tensor) -> torch.Tensor:
    """(N, C, T, H, W) -> (N*T, C, H, W); no copy where the channels lie last in memory."""
    n, c, t, h, w = clips.shape
    return clips.transpose(1, 2).reshape(n * t, c, h, w)


def unfold_frames(maps: torch.Tensor, frames: int) -> torch.Tensor:
    """(N*T, D, H, W) -> (N, D, T, H, W), a view."""
    return maps.reshape(-1, frames, *maps.shape[1:]).transpose(1, 2)
