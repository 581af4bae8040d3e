"""The device that arithmetic runs on, and how many processes feed it."""

from __future__ import annotations

import os

import torch

from omnisrc.errors import UserError


def choose_device(name: str, local_rank: int = 0) -> torch.device:
    """`auto`: CUDA where there is one. Otherwise torch's name of a device.

    Raises:
        UserError: there is no such device here.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UserError(f"There is no device {name!r}; write cpu, cuda or cuda:0.") from error
    if device.type == "cuda":
        if not torch.cuda.is_available():
            raise UserError(f"The device {name} was asked for, but torch finds no CUDA device here; set device=cpu.")
        index = local_rank if device.index is None else device.index
        if index >= torch.cuda.device_count():
            raise UserError(f"There are {torch.cuda.device_count()} CUDA devices here, and cuda:{index} was asked for.")
        return torch.device("cuda", index)
    return device


def loader_workers(asked: int, device: torch.device, world: int) -> int:
    """`train.workers` or `eval.workers` as a number: -1 is one a core on CUDA, at most 8, and none on the CPU, where
    the arithmetic has the cores."""
    if asked >= 0:
        return asked
    if device.type != "cuda":
        return 0
    return max(1, min(8, len(os.sched_getaffinity(0)) // world))
