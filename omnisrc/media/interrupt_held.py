"""Child processes to which Ctrl-C is nothing from their first instruction on."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def interrupt_held() -> Iterator[None]:
    """Holds Ctrl-C back while child processes start; they inherit that, and this one answers it at the end.

    A terminal sends it to the whole group, and a child that has not yet come to ignoring it would answer with a
    traceback.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
