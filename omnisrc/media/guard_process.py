"""One guard process, seen from the project: start it, ask it, end it."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import omnisrc
from omnisrc.media.source import MediaRef, Source
from omnisrc.media.wire import Buffer, WireError, WireTimeout, receive, send

START_TIMEOUT_S = 120.0
PIPE_BYTES = 1 << 20
INHERITED = ("PATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "TZ", "SYSTEMROOT")
"""The environment that a guard process gets; nothing else, for there are secrets in it."""

THREADS = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
MALLOC = {
    "MALLOC_TRIM_THRESHOLD_": "268435456",
    "MALLOC_MMAP_THRESHOLD_": "33554432",
    "MALLOC_TOP_PAD_": "16777216",
    "MALLOC_ARENA_MAX": "1",
}
"""Has glibc keep freed memory: giving a picture's pages back and faulting them in again for the next one costs as much
as decoding it (2.6 ms of system time for a 90 KB JPEG, measured). In one arena, for those of a decoder's threads, which
come and go, keep it apart; and not too much of it (see `heap`)."""


class Killed(Exception):
    """A guard process died of a signal before it had begun to work."""

    def __init__(self, death: signal.Signals) -> None:
        super().__init__(death.name)
        self.death = death


class GuardProcess:
    """A running guard process. `ask` is for one thread at a time.

    It dies with the thread that made this object, not only with the process (the kernel's rule for PDEATHSIG), so that
    thread must live as long as the guard is wanted. A subclass may run another `module` with the same protocol.
    """

    module = "omnisrc.media.guard_child"

    def __init__(self, memory_mb: int) -> None:
        self.calls = 0
        self._max_bytes = memory_mb << 20
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", self.module, str(os.getpid()), str(memory_mb)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(),
            process_group=0,  # Ctrl-C in the terminal is for us, and we end it in good order
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._to, self._from = self._process.stdin.fileno(), self._process.stdout.fileno()
        os.set_blocking(self._to, False)
        for pipe in (self._to, self._from):
            widen(pipe)

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait_ready(self) -> None:
        """Return when it answers; `RuntimeError` with what it printed if it cannot start, `Killed` if it was ended."""
        try:
            receive(self._from, time.monotonic() + START_TIMEOUT_S)
        except (WireError, WireTimeout) as error:
            death = self.kill()
            if death is not None and isinstance(error, WireError):
                raise Killed(death) from error
            assert self._process.stderr is not None
            printed = self._process.stderr.read().decode(errors="replace")
            raise RuntimeError(f"a guard process did not start: {printed.strip() or error}") from error

    def ask(
        self, task: str, source: Source, params: dict[str, Any], timeout_s: float
    ) -> tuple[dict[str, Any], list[Buffer]]:
        """One request and its answer. `WireError` when it died, `WireTimeout` when it takes too long; then `kill`."""
        deadline = time.monotonic() + timeout_s
        self.calls += 1
        place: list[Any] | None = None
        if isinstance(source, MediaRef):
            place = [os.path.abspath(source.path), source.offset, source.length]
        elif isinstance(source, Path):
            place = [os.path.abspath(source)]
        request = {"task": task, "source": place, "params": params}
        send(self._to, request, [source] if isinstance(source, bytes) else [], deadline)
        return receive(self._from, deadline, self._max_bytes)

    def kill(self) -> signal.Signals | None:
        """End it at once; the signal that it had died of before, if any."""
        self._process.poll()
        self._process.kill()
        code = self._process.wait()
        self._close_pipes()
        return signal.Signals(-code) if code < 0 else None

    def close(self) -> None:
        """End an idle one: it leaves when its stdin closes."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(timeout=2.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._close_pipes()

    def _close_pipes(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


def environment() -> dict[str, str]:
    """What a guard process may know: how to find its libraries, and to use one thread."""
    kept = {name: os.environ[name] for name in INHERITED if name in os.environ}
    home = str(Path(omnisrc.__file__).parents[1])
    path = os.pathsep.join([home, *(entry for entry in sys.path if entry and entry != home)])
    return {**kept, **THREADS, **MALLOC, "PYTHONPATH": path}


def widen(pipe: int) -> None:
    """Let a pipe hold more than 64 KB at once; a system that allows less keeps its own size."""
    if sys.platform == "linux":
        try:
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        except OSError:
            return
