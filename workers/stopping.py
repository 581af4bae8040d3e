"""Whether this worker was told to stop: running jobs then finish or return their work."""

from __future__ import annotations

import mmap
import os
from typing import Any

from celery.signals import worker_process_init, worker_shutting_down

_told = mmap.mmap(-1, 1)
"""One byte shared by the main process, which hears the signal, and the children that it forks, which work."""

_parent = 0


@worker_process_init.connect  # type: ignore[untyped-decorator]
def _born(**_: Any) -> None:
    global _parent
    _parent = os.getppid()


@worker_shutting_down.connect  # type: ignore[untyped-decorator]
def _tell(**_: Any) -> None:
    _told[0] = 1


def stopping() -> bool:
    """True too in a child whose main process was killed."""
    return bool(_told[0]) or (_parent != 0 and os.getppid() != _parent)
