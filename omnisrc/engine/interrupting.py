"""Ctrl-C and SIGTERM as a question that a loop asks, so that it ends where it may."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

RUNNING = "Stopping: running work is finished or returned (press Ctrl-C again to stop at once)."


@contextmanager
def interruptible(words: str = RUNNING) -> Iterator[Callable[[], bool]]:
    """Ctrl-C and SIGTERM ask for a clean stop, and `words` say so; a second Ctrl-C stops at once."""
    asked: list[int] = []

    def ask(number: int, frame: FrameType | None) -> None:
        asked.append(number)
        if len(asked) > 1:
            raise KeyboardInterrupt
        print(f"\n{words}", file=sys.stderr)

    try:
        before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # not in the main thread: whoever runs us there sees to it
        before = {}
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
