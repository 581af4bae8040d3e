"""Progress of the stages that a command runs, by their jobs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from sqlalchemy import select
from sqlalchemy.orm import Session

from db import ledger
from db.models import Job
from omnisrc.study import Study

EVERY_S = 0.5
LINE_EVERY_S = 10.0

WORDS = {
    "import": "clips taken in",
    "segment": "cut into samples",
    "predict": "judged",
    "select": "selected and packed",
}
ALONG = {"select": ("select", "pack")}
"""Stages that run under the bar of another."""

Watch = Callable[[str], AbstractContextManager[Callable[[], None]]]


@contextmanager
def job_bar(console: Console, study: Study) -> Iterator[Watch]:
    """Gives a function from a stage to a context in which its jobs are counted on a bar (lines now and then, where
    the console is no terminal)."""
    progress = Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[failed]}"),
        TimeElapsedColumn(), TimeRemainingColumn(), console=console, disable=not console.is_terminal,
    )  # fmt: skip

    @contextmanager
    def watch(stage: str) -> Iterator[Callable[[], None]]:
        stages = ALONG.get(stage, (stage,))
        before = study.database().read(lambda session: _done(session, stages))
        task = progress.add_task(WORDS.get(stage, stage), total=None, failed="")
        told = [0.0, time.monotonic()]

        def show(last: bool = False) -> None:
            moment = time.monotonic()
            if moment - told[0] < EVERY_S and not last:
                return
            told[0] = moment
            done, total, failed = study.database().read(lambda session: _counts(session, stages, before))
            words = f"{failed} failed" if failed else ""
            progress.update(task, completed=done, total=total, failed=words)
            if not console.is_terminal and total and (last or moment - told[1] > LINE_EVERY_S):
                told[1] = moment
                console.print(f"{WORDS.get(stage, stage)}: {done} of {total} {words}".rstrip())

        yield show
        show(last=True)

    with progress:
        yield watch


def _done(session: Session, stages: tuple[str, ...]) -> int:
    """The newest job that was finished before this run."""
    return (
        session.scalar(
            select(Job.id).where(Job.stage.in_(stages), Job.state == "done").order_by(Job.id.desc()).limit(1)
        )
        or 0
    )


def _counts(session: Session, stages: tuple[str, ...], before: int) -> tuple[int, int, int]:
    """(done, all, failed) jobs of this run: the open ones and those that came after `before`."""
    states = session.scalars(
        select(Job.state).where(Job.stage.in_(stages), (Job.id > before) | Job.state.in_(ledger.OPEN))
    ).all()
    failed = sum(1 for state in states if state == "failed")
    return sum(1 for state in states if state == "done") + failed, len(states), failed
