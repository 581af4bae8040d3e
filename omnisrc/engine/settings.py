"""Settings of the engine."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class EngineSettings:
    """How work is run on one machine."""

    io_workers: int = 1  # processes that ask the web; each fetches many items at once
    cpu_workers: int = 0  # processes for segment and pack; 0: one a core, at most 4
    gpu_workers: int = 1  # processes that hold a teacher
    lease_s: float = 60.0  # a worker that is silent for so long has lost its job
    broker: str = ""  # Celery broker URL; empty: OMNISRC_BROKER_URL, else redis://127.0.0.1:6379/0
    deadline_s: float = 3600.0  # a Celery worker that is at one job for so long is ended; 0: never
    attempts: int = 3  # runs of a job that end in an error before it is given up

    def __post_init__(self) -> None:
        if min(self.io_workers, self.gpu_workers, self.attempts) < 1:
            raise ValueError("io_workers, gpu_workers and attempts are at least 1")
        if self.cpu_workers < 0 or self.deadline_s < 0:
            raise ValueError("cpu_workers and deadline_s are at least 0 (0: one a core, at most 4; never)")
        if self.lease_s <= 0:
            raise ValueError("lease_s is more than 0")
