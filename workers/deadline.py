"""The end of patience with one job: a worker that hangs ends itself, and so counts as dead.

Celery's time limits are heeded by the prefork pool alone, and a thread of Python cannot act while a library holds the
interpreter. This watchdog is a thread of C, so it works in the solo pool of a GPU too.
"""

from __future__ import annotations

import faulthandler
import sys


class Deadline:
    """Ends this process, with a traceback of all its threads on stderr, unless the block is left within `seconds`.

    0: never. One at a time a process, so it is for the pools prefork and solo.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def __enter__(self) -> None:
        if self.seconds > 0:
            faulthandler.dump_traceback_later(self.seconds, exit=True, file=sys.__stderr__ or sys.stderr)

    def __exit__(self, *_: object) -> None:
        faulthandler.cancel_dump_traceback_later()
