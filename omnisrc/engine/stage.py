"""What a stage function is given: one job, held under a lease, and the ways to end it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sqlalchemy.orm import Session

from db import ledger
from db.session import Database
from omnisrc.study import Study

T = TypeVar("T")


class PutBack(Exception):
    """Put the job back without blame, to be taken again after `delay_s` seconds."""

    def __init__(self, delay_s: float = 1.0) -> None:
        super().__init__(f"again in {delay_s} s")
        self.delay_s = delay_s


@dataclass
class Job:
    """One job in the hands of a worker.

    A stage function builds its files under names that hold `token`, then calls `commit` once. A long one may `record`
    parts before. When either raises `LeaseLost` the function deletes what it made and lets the exception pass.
    """

    study: Study
    lease: ledger.Lease
    database: Database
    stopping: Callable[[], bool] = lambda: False
    result: dict[str, Any] = field(default_factory=dict)

    @property
    def stage(self) -> str:
        return self.lease.stage

    @property
    def subject(self) -> str:
        return self.lease.subject

    @property
    def params(self) -> dict[str, Any]:
        return self.lease.params

    @property
    def token(self) -> str:
        return self.lease.token

    @property
    def strikes(self) -> dict[str, int]:
        """Workers that died on an item, by item; `MAX_STRIKES` of them set it aside."""
        return self.lease.strikes

    def set_aside(self, item: str) -> bool:
        """Whether the item killed so many workers that it must not be touched again."""
        return self.lease.strikes.get(item, 0) >= ledger.MAX_STRIKES

    def give_way(self) -> None:
        """Puts the job back when the worker was asked to stop; to be called between items."""
        if self.stopping():
            raise PutBack(0.0)

    def journal(self, item: str | None) -> None:
        """Notes the item that is about to be worked on; None when there is none."""
        ledger.journal(self.database, self.lease, item)

    def commit(self, write: Callable[[Session], T], result: Mapping[str, Any] | None = None) -> T:
        """Runs `write` in the one transaction that also marks this job done.

        Where the connection broke during the commit, the transaction is run again and finds that the job is done under
        this lease: then all is written, and the first answer holds.

        Raises:
            LeaseLost: the job was taken away; nothing was written.
        """
        answers: list[T] = []

        def both(session: Session) -> T:
            if answers and ledger.is_done(session, self.lease):
                return answers[-1]
            ledger.check(session, self.lease)
            answers.append(write(session))
            ledger.finish(session, self.lease, result if result is not None else self.result)
            return answers[-1]

        return self.database.write(both)

    def record(self, write: Callable[[Session], T], part: int, told: Mapping[str, Any]) -> T | None:
        """Runs `write` in a transaction that also notes that `part` (1, 2, ...) of the job's work is recorded, and
        that all so far comes to `told`; the job goes on. Run again after a lost answer, it finds the note.

        Raises:
            LeaseLost: the job was taken away; nothing was written.
        """

        def both(session: Session) -> T | None:
            if ledger.recorded_parts(session, self.lease) >= part:
                return None
            answer = write(session)
            ledger.note_recorded(session, self.lease, part, told)
            return answer

        return self.database.write(both)
