"""Steps from the mix, in order, through torch's loader."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import TypeVar

import cv2
import torch
from torch.utils.data import DataLoader

from omnisrc.data.batch import Batch
from omnisrc.data.mix import Mix
from omnisrc.errors import UserError, WorldError
from omnisrc.media.interrupt_held import interrupt_held

T = TypeVar("T")

PREFETCH = 2  # steps that each loader worker makes ahead


def mixed_steps(mix: Mix, first: int, last: int, workers: int = 0, pin_memory: bool = False) -> Iterator[list[Batch]]:
    """The batches of the steps first .. last - 1, the same whatever the number of workers.

    Raises:
        UserError: the shared memory through which workers hand over their frames is too small.
        WorldError: a source is broken, or a worker died.
    """
    if workers:
        check_shared_memory(workers * PREFETCH * mix.step_bytes, workers)
    loader = DataLoader(
        mix,
        batch_size=None,
        sampler=range(first, last),
        num_workers=workers,
        prefetch_factor=PREFETCH if workers else None,
        pin_memory=pin_memory,
        collate_fn=unchanged,
        worker_init_fn=start_worker,
        generator=torch.Generator().manual_seed(0),  # torch draws a seed from it; not from the run's own generator
    )
    steps = begun(loader)
    while True:
        try:
            batches = next(steps)
        except StopIteration:
            return
        except RuntimeError as error:
            if "DataLoader worker" not in str(error):
                raise
            raise WorldError(f"A loader worker died ({error}); run the same command again to go on.") from error
        if isinstance(batches, WorldError):
            raise batches
        yield batches


def begun(loader: DataLoader[T]) -> Iterator[T]:
    """The loader at its first item, its processes started. Ctrl-C is the main process's to answer."""
    with interrupt_held():
        return iter(loader)


def check_shared_memory(needed: int, workers: int) -> None:
    """Refuses what would end as a bus error in the middle of a run."""
    try:
        there = os.statvfs("/dev/shm")
    except OSError:
        return
    free = there.f_bavail * there.f_frsize
    if needed > free:
        raise UserError(
            f"{workers} loader workers need {needed >> 20} MB of shared memory, and /dev/shm has {free >> 20} MB free;"
            " set train.workers=0, or give the container more (docker run --shm-size)."
        )


def unchanged(made: T) -> T:
    """For `collate_fn`: what the set makes is a batch already."""
    return made


def start_worker(number: int) -> None:
    """For `worker_init_fn`: one thread a worker, and no Ctrl-C for what it starts."""
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
