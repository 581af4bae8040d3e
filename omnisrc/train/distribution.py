"""Where this process stands among those of the run: alone on one device, or one of many under torchrun."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from omnisrc.evaluate.device import choose_device

T = TypeVar("T")

TIMEOUT = timedelta(minutes=20)  # rank 0 may be reading a large catalogue while the others wait


@dataclass(frozen=True)
class Place:
    """Rank `rank` of `world` processes, on `device`."""

    rank: int
    world: int
    device: torch.device

    @property
    def first(self) -> bool:
        return self.rank == 0

    def total(self, values: Tensor) -> Tensor:
        """The sum over all processes."""
        if self.world > 1:
            dist.all_reduce(values)
        return values

    def gather(self, thing: T) -> list[T]:
        """Everybody's `thing`, in the order of ranks."""
        if self.world == 1:
            return [thing]
        things: list[Any] = [None] * self.world
        dist.all_gather_object(things, thing)
        return things

    def share_buffers(self, model: nn.Module) -> None:
        """Gives everybody the first process's buffers (batch norm's statistics are each process's own)."""
        if self.world > 1:
            for buffer in model.buffers():
                dist.broadcast(buffer, 0)

    def barrier(self) -> None:
        if self.world > 1:
            dist.barrier()


@contextmanager
def joined(device: str) -> Iterator[Place]:
    """This process's place, with the process group of torchrun around it where there is one."""
    world = int(os.environ.get("WORLD_SIZE", "1"))
    chosen = choose_device(device, int(os.environ.get("LOCAL_RANK", "0")))
    if chosen.type == "cuda":
        torch.cuda.set_device(chosen)
    if world == 1:
        yield Place(0, 1, chosen)
        return
    dist.init_process_group("nccl" if chosen.type == "cuda" else "gloo", timeout=TIMEOUT)
    try:
        yield Place(dist.get_rank(), dist.get_world_size(), chosen)
    finally:
        dist.destroy_process_group()
