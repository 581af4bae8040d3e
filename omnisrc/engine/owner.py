"""Who holds a lease: a process, named so that another process on the same machine can tell whether it still lives."""

from __future__ import annotations

import functools
import os
import socket
from pathlib import Path


@functools.cache
def _machine() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        boot = "unknown"
    return f"{socket.gethostname()}|{boot}"


def _started(pid: int) -> str:
    """The process's start time in clock ticks since boot, or `` where it is gone or the system does not tell."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] == "Z" else fields[19]


def this_process() -> str:
    """The name of this process: host, boot, process id and start time."""
    return f"{_machine()}|{os.getpid()}|{_started(os.getpid())}"


def is_dead(owner: str) -> bool:
    """Whether `owner` is a process of this machine that no longer lives. Processes elsewhere are never called dead."""
    machine, _, rest = owner.rpartition("|")
    machine, _, pid = machine.rpartition("|")
    if not pid.isdigit():
        return False
    host, _, boot = machine.partition("|")
    here, _, this_boot = _machine().partition("|")
    if host != here:
        return False
    if boot != this_boot:
        return True  # the machine was started anew since
    if Path("/proc/self/stat").exists():
        return _started(int(pid)) != rest
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
