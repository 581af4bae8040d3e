"""The one task: answer the doorbell of a queue by working off jobs of the ledger."""

from __future__ import annotations

import functools
import os
import time
from pathlib import Path

from db import ledger
from omnisrc.engine.owner import is_dead
from omnisrc.engine.registry import stages_of
from omnisrc.engine.settings import EngineSettings
from omnisrc.engine.work import work_once
from omnisrc.study import Study
from workers.app import app
from workers.deadline import Deadline
from workers.stopping import stopping

WORK_S = 30.0


@functools.lru_cache(maxsize=8)
def _study(workspace: str, process: int) -> Study:
    """One study, and so one connection pool, a process: connections do not survive a fork."""
    return Study.open(Path(workspace))


@app.task(name="omnisrc.work")  # type: ignore[untyped-decorator]
def work(queue: str, workspace: str) -> int:
    """Runs jobs of `queue` until there is none, or for half a minute; how many it ran.

    The workspace is OMNISRC_HOME of the worker where that is set, else the one that the doorbell names.
    """
    study = _study(os.environ.get("OMNISRC_HOME") or workspace, os.getpid())
    deadline_s = study.section(EngineSettings).deadline_s
    ledger.reap(study.database(), is_dead)
    began, done = time.monotonic(), 0
    while time.monotonic() - began < WORK_S and not stopping():
        with Deadline(deadline_s):
            if not work_once(study, stages_of([queue]), stopping):
                break
        done += 1
    return done
