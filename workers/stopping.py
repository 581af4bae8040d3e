"""Whether this worker was told to stop: running jobs then finish or return their work."""

from __future__ import annotations

import threading
from typing import Any

from celery.signals import worker_process_init, worker_shutting_down

_told = threading.Event()


@worker_process_init.connect  # type: ignore[untyped-decorator]
def _fresh(**_: Any) -> None:
    _told.clear()


@worker_shutting_down.connect  # type: ignore[untyped-decorator]
def _tell(**_: Any) -> None:
    _told.set()


def stopping() -> bool:
    return _told.is_set()
