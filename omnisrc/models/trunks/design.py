"""What makes one residual network differ from another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from torch import nn

from omnisrc.models.trunks.convolutions import Convolve, Norm, flat, solid
from omnisrc.models.trunks.non_local import Pairwise

BLOCKS = {
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}
"""Blocks in layer1 to layer4, by depth."""

Pattern = Sequence[Sequence[int]]
"""A number for every block, by layer; within a layer the numbers are cycled over the blocks."""

NOWHERE = ((0,), (0,), (0,), (0,))
FLAT = ((1,), (1,), (1,), (1,))
SLOWONLY = ((1,), (1,), (3,), (3,))
EVERYWHERE = ((3,), (3,), (3,), (3,))
I3D = ((3,), (3, 1), (3, 1), (1, 3))
"""Frames that the temporal convolutions see."""


@dataclass(frozen=True)
class Design:
    """A ResNet's shape; the defaults are the 3-D network that never looks at two frames together.

    width: channels of the stem, 64 as published.
    frames: temporal extent of each block: of the first convolution of a bottleneck, of both of a basic block.
    middle, middle_frames: how a bottleneck's second convolution is made, and its temporal extent.
    stem_frames: temporal extent of the stem's convolution; its strides in time, and those of the pooling behind it.
    pool2: halves the frames after layer1.
    lateral: channels that come to those of the layer before from beside (SlowFast), by layer.
    shift: one n-th of the channels comes from the next frame and one from the last, 0 for none (TSM).
    non_local: 1 for the blocks with a non-local one behind them; `pairwise` and `pool_first` are its own.
    """

    depth: int
    width: int = 64
    frames: Pattern = FLAT
    dims: int = 3
    convolve: Convolve = solid
    middle: Convolve | None = None
    middle_frames: int = 1
    norm: Norm = nn.BatchNorm3d
    stem_frames: int = 1
    stem_strides: tuple[int, int] = (1, 1)
    stem_pool: bool = True
    pool2: bool = False
    strides: tuple[int, int, int, int] = (1, 2, 2, 2)
    temporal_strides: tuple[int, int, int, int] = (1, 1, 1, 1)
    lateral: tuple[int, int, int, int] = (0, 0, 0, 0)
    shift: Pattern = NOWHERE
    non_local: Pattern = NOWHERE
    pairwise: Pairwise = "dot"
    pool_first: bool = False

    @property
    def blocks(self) -> tuple[int, int, int, int]:
        return BLOCKS[self.depth]

    @property
    def bottleneck(self) -> bool:
        return self.depth >= 50


flat_design = partial(Design, dims=2, convolve=flat, norm=nn.BatchNorm2d)
"""A 2-D network."""
