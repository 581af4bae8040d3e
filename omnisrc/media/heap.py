"""Freed memory that glibc keeps, given back before it becomes much.

glibc before 2.38 does not find again what was freed of aligned memory (its bug 14581), which is what decoders ask for:
a process that is told to keep freed memory can grow with each video by as much as its first frame takes.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

SLACK_MB = 32
EVERY = 50  # calls from one look to the next: pages that are given back must be faulted in again by who needs as many


class Heap:
    """This process's resident memory between two items, held within `SLACK_MB` of what it needs.

    A libc without `malloc_trim` is left alone.
    """

    def __init__(self) -> None:
        self._trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        self._needed, self._calls = 0.0, 0

    def tidy(self) -> None:
        """To be called before each item: now and then it gives back what has come together since the last time."""
        self._calls += 1
        if self._trim is None or self._calls % EVERY != 1:
            return
        if not self._needed:
            self._needed = resident_mb()
        elif resident_mb() > self._needed + SLACK_MB:
            self._trim(0)
            self._needed = resident_mb()


def resident_mb(pid: int | str = "self") -> float:
    """Resident memory of a process, in MB, on Linux."""
    pages = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE") / 1e6
