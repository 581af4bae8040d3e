"""torch.compile for inference: a recogniser's trunk, compiled once for each shape of frames."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable

import torch

from omnisrc.errors import UserError
from omnisrc.models.recogniser import Recogniser

Forward = Callable[[torch.Tensor], torch.Tensor]


class SteadyBatches:
    """`forward` of batches that are all as long as the longest yet of their shape, with the channels last in memory: a
    shorter one, as the last of a job is, is filled up with zeros, so that it needs no kernels of its own."""

    def __init__(self, forward: Forward) -> None:
        self.forward = forward
        self.longest: dict[torch.Size, int] = {}

    def __call__(self, clips: torch.Tensor) -> torch.Tensor:
        """(N, C, T, H, W) -> (N, ...)."""
        count, shape = len(clips), clips.shape[1:]
        size = self.longest[shape] = max(count, self.longest.get(shape, 0))
        whole = torch.empty(
            (size, *shape), dtype=clips.dtype, device=clips.device, memory_format=torch.channels_last_3d
        )
        if count == size and clips.stride() == whole.stride():
            return self.forward(clips)
        whole[:count], whole[count:] = clips, 0
        return self.forward(whole)[:count]


def compile_trunk(model: Recogniser) -> None:
    """Has the trunk compiled when it is first called, about half a minute's work; the head is left as it is.

    Raises:
        UserError: this machine has no compiler of C++, which torch.compile calls.
    """
    if isinstance(model.trunk.forward, SteadyBatches):
        return
    compilers = (os.environ.get("CXX", "g++"), "clang++")
    if not any(shutil.which(name) for name in compilers):
        raise UserError(
            "To compile the network takes a C++ compiler, and none is here: install g++, or set compile=false."
        )
    setattr(model.trunk, "forward", SteadyBatches(torch.compile(model.trunk.forward, dynamic=False)))  # noqa: B010
