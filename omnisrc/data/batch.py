"""What a loader gives a step: one batch for each source."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True)
class Skip:
    """A sample that could not be decoded; another stood in for it."""

    sample: int
    path: str
    error: str


@dataclass(frozen=True)
class Batch:
    """Samples of one source.

    frames  # (B, V, C, T, H, W) uint8 RGB, or x and y of flow; in memory the channels come last
    labels  # task -> (B,) int64, or (B, classes) float where they are soft, or several (NaN: nobody has said)
    weights  # (B,) float32, of each sample in the loss
    ids  # (B,) int64, of the sample or the target item
    seeds  # (B,) uint64, of the augmentation that is left to the device
    load_s  # seconds that it took to make
    """

    source: str
    frames: Tensor
    labels: dict[str, Tensor]
    weights: Tensor
    ids: Tensor
    seeds: NDArray[np.uint64]
    skips: tuple[Skip, ...] = ()
    load_s: float = 0.0

    def __len__(self) -> int:
        return len(self.ids)

    def to(self, device: torch.device) -> Batch:
        """The batch with its frames, labels and weights on a device."""
        return replace(
            self,
            frames=self.frames.to(device, non_blocking=True),
            labels={task: label.to(device, non_blocking=True) for task, label in self.labels.items()},
            weights=self.weights.to(device, non_blocking=True),
        )

    def pin_memory(self) -> Batch:
        """Called by torch's loader so that the copy to a CUDA device need not wait."""
        return replace(
            self,
            frames=self.frames.pin_memory(),
            labels={task: label.pin_memory() for task, label in self.labels.items()},
            weights=self.weights.pin_memory(),
        )
