"""Whether this worker was told to stop: running jobs then finish or return their work."""

from __future__ import annotations

import mmap
import os
import signal
import threading
import time
from typing import Any

from celery.signals import worker_process_init, worker_ready, worker_shutting_down

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


@worker_ready.connect  # type: ignore[untyped-decorator]
def _stay_with_supervisor(**_: Any) -> None:
    """Where `omnisrc worker` started us and was killed, nobody would ever stop us: we do so ourselves."""
    supervisor = int(os.environ.get("OMNISRC_WORKER_PARENT", "0"))
    if supervisor:
        threading.Thread(target=_watch, args=(supervisor,), daemon=True).start()


def _watch(supervisor: int) -> None:
    while os.getppid() == supervisor:
        time.sleep(1.0)
    os.kill(os.getpid(), signal.SIGTERM)


def stopping() -> bool:
    """True too in a child whose main process was killed."""
    return bool(_told[0]) or (_parent != 0 and os.getppid() != _parent)
