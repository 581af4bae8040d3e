"""The resident memory of a process and its descendants, over time."""

from __future__ import annotations

import threading
from pathlib import Path


class Memory:
    """Once a second the sum of proportional resident memory over a process and its descendants, in MB.

    To look costs the kernel milliseconds for each process.
    """

    def __init__(self, pid: int) -> None:
        self.pid, self.series, self.over = pid, [0.0], threading.Event()
        self.thread = threading.Thread(target=self._watch, daemon=True)
        self.thread.start()

    def _watch(self) -> None:
        while not self.over.wait(1.0):
            self.series.append(sum(map(_memory, _family(self.pid))))

    def stop(self) -> list[float]:
        self.over.set()
        self.thread.join()
        return self.series


def _family(pid: int) -> list[int]:
    found = [pid]
    for parent in found:
        for task in Path(f"/proc/{parent}/task").glob("*/children"):
            try:
                found += [int(child) for child in task.read_text().split()]
            except OSError:
                continue
    return found


def _memory(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024
