"""Child processes to which Ctrl-C is nothing from their first instruction on."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def interrupt_held() -> Iterator[None]:
    """Holds Ctrl-C back while child processes start; they inherit that, and this one answers it at the end.

    A terminal sends it to the whole group, and a child that has not yet come to ignoring it would answer with a
    traceback. The mask is what children inherit; another thread of ours may take the signal all the same, so the
    handler waits too: half-made loaders answer an interrupt with a traceback of their own.
    """
    came: list[int] = []
    main = threading.current_thread() is threading.main_thread()
    handler = signal.signal(signal.SIGINT, lambda number, _: came.append(number)) if main else None
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        if main:
            signal.signal(signal.SIGINT, handler)
            if came:
                signal.raise_signal(signal.SIGINT)
