"""SlowFast (Feichtenhofer et al., 2019): many channels at few frames, few channels at many, joined after each layer."""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn
from torch.nn.functional import avg_pool3d

from omnisrc.models.trunks.convolutions import solid
from omnisrc.models.trunks.design import BLOCKS, EVERYWHERE, SLOWONLY, Design, Pattern
from omnisrc.models.trunks.resnet import ResNet
from omnisrc.models.trunks.trunk import Stage, Trunk

SlowFrames = Literal["linspace", "stride"]
"""Which of the T frames the slow pathway sees: spread from the first to the last (PySlowFast, PyTorchVideo), or every
alpha-th from the first on (MMAction2)."""
Order = Literal["slow-fast", "fast-slow"]
"""Which pathway's channels come first: PyTorchVideo's head and the paper, or MMAction2's."""

BETA = 8  # the fast pathway has 1/8 of the slow one's channels


class Lateral(nn.Module):
    """The fast pathway's map at the slow one's frames, with twice its channels (time-strided convolution)."""

    def __init__(self, channels: int, kernel: int, alpha: int, norm: bool) -> None:
        super().__init__()
        self.conv = solid(channels, 2 * channels, (kernel, 1, 1), (alpha, 1, 1))
        self.bn = nn.BatchNorm3d(2 * channels) if norm else nn.Identity()
        self.relu = nn.ReLU(inplace=True) if norm else nn.Identity()

    def forward(self, fast: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.relu(self.bn(self.conv(fast)))
        return out


class SlowFast(Trunk):
    """(N, 3, T, H, W), the fast pathway's frames -> (N, slow + fast channels, ceil(T / alpha), H/32, W/32).

    The map joins the slow pathway's with the mean of the fast one's over each alpha frames, so that its mean over all
    is that of both pathways' heads, and a head for regions finds both at one place. So are the maps of the layers.
    """

    entrances = ("fast.conv1", "slow.conv1")

    def __init__(
        self, depth: int, fast_depth: int, width: int, alpha: int, lateral_kernel: int, lateral_norm: bool,
        slow_frames: SlowFrames, order: Order, slow_timed: int, fast_timed: int,
    ) -> None:  # fmt: skip
        super().__init__()
        self.alpha, self.slow_frames, self.order = alpha, slow_frames, order
        thin = max(1, width // BETA)
        self.fast = ResNet(Design(fast_depth, thin, frames=timed(EVERYWHERE, fast_depth, fast_timed), stem_frames=5))
        fast = (thin, *(stage.channels for stage in self.fast.stages))
        lateral = (2 * fast[0], 2 * fast[1], 2 * fast[2], 2 * fast[3])
        self.slow = ResNet(Design(depth, width, frames=timed(SLOWONLY, depth, slow_timed), lateral=lateral))
        self.laterals = nn.ModuleList(Lateral(fast[at], lateral_kernel, alpha, lateral_norm) for at in range(4))
        self.stages = tuple(
            Stage(slow.name, slow.channels + fast.channels, slow.stride, alpha)
            for slow, fast in zip(self.slow.stages, self.fast.stages, strict=True)
        )

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        slow, fast = self._stems(clips)
        for at in range(4):
            slow, fast = self._stage(at, slow, fast)
        return self._joined(slow, fast)

    def maps(self, clips: torch.Tensor) -> dict[str, torch.Tensor]:
        (slow, fast), found = self._stems(clips), {}
        for at, stage in enumerate(self.stages):
            slow, fast = self._stage(at, slow, fast)
            found[stage.name] = self._joined(slow, fast)
        return found

    def _stems(self, clips: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        chosen = slow_indices(clips.shape[2], self.alpha, self.slow_frames)
        return self.slow.stem(clips[:, :, chosen]), self.fast.stem(clips)

    def _stage(self, at: int, slow: torch.Tensor, fast: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        joined = torch.cat([slow, self.laterals[at](fast)], 1)
        return self.slow.stage(at, joined), self.fast.stage(at, fast)

    def _joined(self, slow: torch.Tensor, fast: torch.Tensor) -> torch.Tensor:
        alike = avg_pool3d(fast, (min(self.alpha, fast.shape[2]), 1, 1), ceil_mode=True)
        return torch.cat([slow, alike] if self.order == "slow-fast" else [alike, slow], 1)


def timed(frames: Pattern, depth: int, blocks: int) -> Pattern:
    """`frames` with but the first `blocks` of layer3 seeing others than their own; 0: as it is."""
    if not blocks:
        return frames
    first, second, third, last = frames
    return first, second, (third[0],) * blocks + (1,) * (BLOCKS[depth][2] - blocks), last


def slow_indices(frames: int, alpha: int, how: SlowFrames) -> list[int]:
    """ceil(frames / alpha) of the frames: of 32 by 4, `linspace` takes 0 4 8 13 17 22 26 31, `stride` 0 4 8 ... 28."""
    count = -(-frames // alpha)
    if how == "stride" or count == 1:
        return [alpha * at for at in range(count)]
    return [at * (frames - 1) // (count - 1) for at in range(count)]
