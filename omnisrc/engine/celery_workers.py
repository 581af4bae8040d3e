"""Celery workers of this machine: one for each queue, one for each GPU, started, watched and stopped together."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from omnisrc.engine.doorbell import broker_url
from omnisrc.engine.interrupting import interruptible
from omnisrc.engine.settings import EngineSettings
from omnisrc.study import Study

TICK_S = 0.5
STOP_S = 60.0  # a drain ends within seconds, a decode within its own deadline
LONGEST_PAUSE_S = 60.0
STEADY_S = 60.0  # who lived so long starts again at once


@dataclass(frozen=True)
class Post:
    """One Celery worker to be kept alive."""

    name: str
    queue: str
    pool: str
    processes: int
    env: dict[str, str] = field(default_factory=dict)

    def command(self) -> list[str]:
        return [
            sys.executable, "-m", "celery", "-A", "workers", "worker", "-Q", self.queue, "-P", self.pool,
            "-c", str(self.processes), "-n", f"{self.name}-{os.getpid()}@%h", "-l", "INFO", "--without-mingle",
        ]  # fmt: skip


def posts(queues: Sequence[str], settings: EngineSettings, devices: Sequence[str], cores: int) -> list[Post]:
    """Who works here: io and cpu in forked children; a process of its own for each GPU, since CUDA survives no fork."""
    found = {
        "io": [Post("io", "io", "prefork", settings.io_workers)],
        "cpu": [Post("cpu", "cpu", "prefork", settings.cpu_workers or min(4, cores))],
        "gpu": [Post(f"gpu{at}", "gpu", "solo", 1, {"CUDA_VISIBLE_DEVICES": name}) for at, name in enumerate(devices)]
        or [Post("gpu", "gpu", "solo", 1)],
    }
    return [post for queue in queues for post in found[queue]]


def cuda_devices() -> list[str]:
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them. A child asks: asking sets CUDA up."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [name.strip() for name in named.split(",") if name.strip() not in ("", "-1")]
    asked = subprocess.run(
        [sys.executable, "-c", "import torch; print(torch.cuda.device_count())"], capture_output=True, text=True
    )
    return [str(number) for number in range(int(asked.stdout or 0))] if asked.returncode == 0 else []


class CeleryWorkers:
    """Keeps the posts manned: who dies is started again, after a pause that grows while it dies young."""

    def __init__(self, study: Study, posts: Sequence[Post], say: Callable[[str], None]) -> None:
        self._study, self._posts, self._say = study, posts, say
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._born: dict[str, float] = {}
        self._pause_s: dict[str, float] = {}
        self.restarts = 0

    def run(self) -> None:
        """Works until Ctrl-C or SIGTERM; what runs is finished or returned."""
        with interruptible() as asked:
            try:
                while not asked():
                    self.tend()
                    time.sleep(TICK_S)
            finally:
                self.stop()

    def tend(self) -> None:
        """Starts who is not there."""
        for post in self._posts:
            worker = self._running.get(post.name)
            if worker is not None and worker.poll() is not None:
                self._bury(post.name, worker.returncode)
            if post.name not in self._running and time.monotonic() >= self._born.get(post.name, 0.0):
                self._running[post.name] = self._start(post)
                self._born[post.name] = time.monotonic()

    def stop(self) -> None:
        for worker in self._running.values():
            worker.send_signal(signal.SIGTERM)
        until = time.monotonic() + STOP_S
        for worker in self._running.values():
            try:
                worker.wait(max(0.1, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                os.killpg(worker.pid, signal.SIGKILL)
                worker.wait()
        self._running.clear()

    def _bury(self, name: str, code: int) -> None:
        del self._running[name]
        self.restarts += 1
        young = time.monotonic() - self._born[name] < STEADY_S
        pause = min(LONGEST_PAUSE_S, 2 * self._pause_s.get(name, 0.5)) if young else 1.0
        self._pause_s[name], self._born[name] = pause, time.monotonic() + pause
        self._say(f"The worker {name} ended with code {code}; it is started again in {pause:g} s.")

    def _start(self, post: Post) -> subprocess.Popen[bytes]:
        """In a process group of its own: Ctrl-C on the terminal reaches us alone, and we tell it what to do."""
        here = str(Path(__file__).resolve().parents[2])
        env = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, [here, os.environ.get("PYTHONPATH")])),
            "OMNISRC_BROKER_URL": broker_url(self._study),
            "OMNISRC_HOME": str(self._study.root),
            "OMNISRC_DATABASE_URL": self._study.database_url,
            "OMNISRC_WORKER_PARENT": str(os.getpid()),
            **post.env,
        }
        return subprocess.Popen(post.command(), env=env, start_new_session=True)
