"""One guard pool a process: its children live from job to job, because starting one takes as long as many images."""

from __future__ import annotations

import functools

from omnisrc.media.guard import GuardPool, cores
from omnisrc.media.settings import MediaSettings


@functools.cache
def _pool(processes: int, memory_mb: int, timeout_s: float) -> GuardPool:
    return GuardPool(processes, memory_mb, timeout_s)


def shared_pool(settings: MediaSettings, spare: int = 0) -> GuardPool:
    """This process's pool with these settings; never to be closed. Its children end with the process.

    `spare` processes are added to one for each core, where the settings leave the number open.
    """
    processes = settings.guard_processes or cores() + spare
    return _pool(processes, settings.guard_memory_mb, settings.guard_timeout_s)
