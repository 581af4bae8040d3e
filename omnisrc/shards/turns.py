"""Who may move or free shards while others read them: a lock for the commands of a machine, the ledger for all jobs."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from db.models import Job
from omnisrc.errors import UserError
from omnisrc.study import Study

READERS = ("segment", "predict", "select", "pack")
"""Stages whose jobs read shards."""


@contextmanager
def using_shards(study: Study) -> Iterator[None]:
    """While a command relies on the shards to stay where they are; several may.

    Raises:
        UserError: one that moves or frees them is at work.
    """
    with _lock(
        study, "shards", fcntl.LOCK_SH, "Shards are being moved or freed just now; wait for that and run it again."
    ):
        yield


@contextmanager
def changing_shards(study: Study) -> Iterator[None]:
    """While a command moves or frees shards; it is alone.

    Raises:
        UserError: another one is at work, or one that relies on them.
    """
    said = (
        "Another command is at work on the study's shards (filter, gc, shards move, takedown, export or doctor);"
        " wait for it."
    )
    with _lock(study, "shards", fcntl.LOCK_EX, said):
        yield


@contextmanager
def training_on_shards(study: Study) -> Iterator[None]:
    """While a run is trained: its manifest names the places of shards.

    Raises:
        UserError: they are being moved.
    """
    with _lock(study, "training", fcntl.LOCK_SH, "Shards are being moved just now; wait for that and run it again."):
        yield


@contextmanager
def nobody_trains(study: Study) -> Iterator[None]:
    """While shards are moved.

    Raises:
        UserError: a run is being trained in this workspace.
    """
    with _lock(study, "training", fcntl.LOCK_EX, "A run is being trained on the study's shards; stop it, or wait."):
        yield


def busy_stages(session: Session, states: Sequence[str], stages: Sequence[str] = READERS) -> list[str]:
    """Stages with jobs in one of the states. Until the transaction ends, no job is taken or added."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("LOCK TABLE job IN EXCLUSIVE MODE"))
    found = select(Job.stage).where(Job.state.in_(states), Job.stage.in_(stages)).distinct().order_by(Job.stage)
    return list(session.scalars(found))


@contextmanager
def _lock(study: Study, name: str, how: int, said: str) -> Iterator[None]:
    study.root.mkdir(parents=True, exist_ok=True)
    with open(study.root / f"{name}.lock", "a+") as file:
        try:
            fcntl.flock(file, how | fcntl.LOCK_NB)
        except OSError as error:
            raise UserError(said) from error
        yield
