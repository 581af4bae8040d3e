"""Runs stages until their work is done: on this machine in worker processes, or by ringing Celery workers."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from db import clock, ledger
from db.models import Job
from omnisrc.engine.doorbell import Doorbell
from omnisrc.engine.interrupting import interruptible
from omnisrc.engine.owner import is_dead
from omnisrc.engine.patience import Patience
from omnisrc.engine.registry import STAGES
from omnisrc.engine.settings import EngineSettings
from omnisrc.errors import Interrupted, UserError, WorldError
from omnisrc.media.interrupt_held import interrupt_held
from omnisrc.study import Study

TopUp = Callable[[Session], bool]
TICK_S = 0.2
TOP_UP_S = 1.0
REAP_S = 5.0
NOBODY_S = 30.0
"""Seconds after which it is said that no Celery worker takes anything."""
STOP_S = 30.0
MAX_RESTARTS = 200


@dataclass(frozen=True)
class FailedJob:
    stage: str
    subject: str
    error: str
    detail: str


@dataclass
class RunSummary:
    """What came of a run of stages."""

    seconds: float = 0.0
    restarts: int = 0  # workers that died and were started again
    failed: list[FailedJob] = field(default_factory=list)


def run_stages(
    study: Study,
    stages: Sequence[str],
    *,
    engine: str = "local",
    top_up: TopUp | None = None,
    show: Callable[[], None] | None = None,
    forever: bool = False,
) -> RunSummary:
    """Runs the open jobs of `stages` to their end.

    Args:
        engine: `local` starts worker processes here; `celery` rings workers that run elsewhere.
        top_up: adds jobs while the run goes on (called about once a second in one transaction); True: more may come.
        show: called a few times a second, to draw progress.
        forever: keep waiting for work until interrupted.

    Raises:
        Interrupted: the user pressed Ctrl-C; running work was finished or returned.
        WorldError: worker processes die again and again without doing anything.
    """
    if engine not in ("local", "celery"):
        raise UserError(f"There is no engine {engine!r}; use --engine local or --engine celery.")
    started, known = time.monotonic(), _failed_ids(study, stages)
    crew: _Crew = _Local(study, stages) if engine == "local" else _Celery(study, stages)
    with interruptible() as asked, crew:
        reaped = topped = 0.0
        while True:
            time_now = time.monotonic()
            if asked():
                crew.stop()
                ledger.reap(study.database(), is_dead)
                raise Interrupted("Stopped; run the same command again to go on.")
            clock.watch(study.database())
            if crew.tend() or time_now - reaped > REAP_S:
                ledger.reap(study.database(), is_dead)
                reaped = time_now
            if top_up is not None and time_now - topped > TOP_UP_S:
                study.database().write(top_up)
                topped = time_now
            if show is not None:
                show()
            still = study.database().read(lambda session: ledger.open_jobs(session, stages))
            over = not still and not forever and (top_up is None or not study.database().write(top_up))
            if over and not clock.watch(study.database()):  # what seems to wait for long may be due
                break
            crew.work(still)
            time.sleep(TICK_S)
        crew.stop()
    if show is not None:
        show()
    failed = study.database().read(lambda session: _failed(session, stages, known))
    return RunSummary(time.monotonic() - started, crew.restarts, failed)


def _failed_ids(study: Study, stages: Sequence[str]) -> set[int]:
    def ids(session: Session) -> set[int]:
        return set(session.scalars(select(Job.id).where(Job.stage.in_(stages), Job.state == "failed")))

    return study.database().read(ids)


def _failed(session: Session, stages: Sequence[str], known: set[int]) -> list[FailedJob]:
    jobs = session.scalars(select(Job).where(Job.stage.in_(stages), Job.state == "failed").order_by(Job.id))
    return [FailedJob(j.stage, j.subject, j.error or "", j.error_detail or "") for j in jobs if j.id not in known]


def _nobody_works(session: Session, stages: Sequence[str]) -> bool:
    """Whether a job could be taken, and none is."""
    held = select(Job.id).where(Job.stage.in_(stages), Job.state == "leased").limit(1)
    return session.scalar(held) is None and ledger.any_waiting(session, stages)


class _Crew:
    """Whoever does the work."""

    restarts = 0

    def __init__(self, study: Study, stages: Sequence[str]) -> None:
        self.study, self.stages = study, list(stages)
        self.settings = study.section(EngineSettings)

    def __enter__(self) -> _Crew:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def work(self, jobs: int) -> None:
        """There are `jobs` open jobs: see that somebody works."""

    def tend(self) -> bool:
        """Looks after the workers; True when some died."""
        return False

    def stop(self) -> None:
        """Ends the work: what runs is finished or returned."""


class _Local(_Crew):
    """Worker processes on this machine, by queue."""

    def __init__(self, study: Study, stages: Sequence[str]) -> None:
        super().__init__(study, stages)
        self.workers: list[tuple[str, subprocess.Popen[bytes]]] = []

    def work(self, jobs: int) -> None:
        if jobs == 0:
            return
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        wanted = {
            "io": self.settings.io_workers,
            "cpu": self.settings.cpu_workers or min(4, cores),
            "gpu": self.settings.gpu_workers,
        }
        for queue in dict.fromkeys(STAGES[stage].queue for stage in self.stages):
            running = sum(1 for name, _ in self.workers if name == queue)
            for number in range(running, min(wanted[queue], jobs)):
                self.workers.append((queue, self._start(queue, number)))

    def _start(self, queue: str, number: int) -> subprocess.Popen[bytes]:
        stages = [stage for stage in self.stages if STAGES[stage].queue == queue]
        logs = self.study.root / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "omnisrc.engine.worker", "--workspace", str(self.study.root)]
        command += ["--stages", ",".join(stages), "--log", str(logs / f"{queue}-{number}.log")]
        command += [part for override in self.study.overrides for part in ("--set", override)]
        with (logs / f"{queue}-{number}.err").open("ab") as err, interrupt_held():
            return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=err, stderr=err, env=_environment())

    def tend(self) -> bool:
        dead = [(queue, worker) for queue, worker in self.workers if worker.poll() is not None]
        for queue, worker in dead:
            self.workers.remove((queue, worker))
            _close(worker)
            self.restarts += 1
        if self.restarts > MAX_RESTARTS:
            raise WorldError(f"{self.restarts} worker processes died; see the files in {self.study.root / 'logs'}.")
        return bool(dead)

    def stop(self) -> None:
        for _, worker in self.workers:
            worker.terminate()
        until = time.monotonic() + STOP_S
        for _, worker in self.workers:
            try:
                worker.wait(max(0.1, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()
            _close(worker)
        self.workers.clear()


def _close(worker: subprocess.Popen[bytes]) -> None:
    if worker.stdin is not None:
        worker.stdin.close()


def _environment() -> dict[str, str]:
    """This process's environment, with the packages that we run from first on the path."""
    here = str(Path(__file__).resolve().parents[2])
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [here, os.environ.get("PYTHONPATH")]))}


class _Celery(_Crew):
    """Workers elsewhere, rung by messages that carry no work. A broker that answered once may go away and come back."""

    def __init__(self, study: Study, stages: Sequence[str]) -> None:
        super().__init__(study, stages)
        self.bell = Doorbell(study)
        self.bell.waiting()  # a broker that was never there is a mistake of the user's
        self.patience = Patience(lambda words: print(f"\n{words}", file=sys.stderr), WorldError)
        self.looks = time.monotonic() + NOBODY_S

    def work(self, jobs: int) -> None:
        self.patience.attempt("The broker", lambda: self.bell.ring(self.stages, self.study.database()))
        if jobs and time.monotonic() >= self.looks:
            self.looks = float("inf")
            if self.study.database().read(lambda session: _nobody_works(session, self.stages)):
                print(
                    f"\nNo worker has taken a job within {NOBODY_S:.0f} s; start some with `omnisrc worker`; "
                    "`omnisrc status` shows who answers.",
                    file=sys.stderr,
                )

    def stop(self) -> None:
        self.bell.close()
