"""The doorbell to Celery: messages that say only "there is work on this queue". They expire and are rung again."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from db.models import Job
from db.session import Database, epoch
from omnisrc.engine.broker import DEFAULT_URL, LENGTH, celery_settings, shown
from omnisrc.engine.registry import STAGES
from omnisrc.engine.settings import EngineSettings
from omnisrc.errors import WorldError
from omnisrc.study import Study

TASK = "omnisrc.work"
RING_S = 2.0
EXPIRES_S = 10.0


def named_broker(study: Study) -> str:
    """The broker named in the settings or in OMNISRC_BROKER_URL; empty where none is named."""
    return study.section(EngineSettings).broker or os.environ.get("OMNISRC_BROKER_URL", "")


def broker_url(study: Study) -> str:
    """The broker of the study; Redis on this machine where none is named."""
    return named_broker(study) or DEFAULT_URL


class Doorbell:
    """Rings the queues of the stages that have jobs to be taken, at most every `RING_S` seconds.

    After a failure it connects anew: it may be rung on while the broker is away.
    """

    def __init__(self, study: Study) -> None:
        from celery import Celery  # 0.3 s, and only this engine needs it

        self.workspace = str(study.root)
        self.url = broker_url(study)
        self.app: Any = Celery("omnisrc-doorbell", set_as_current=False)
        self.app.conf.update(celery_settings(self.url))
        self.rung: dict[str, float] = {}
        self._connection: Any = None

    def ring(self, stages: Sequence[str], database: Database) -> None:
        """One message for each job of a queue that may be taken now, unless so many wait there or it was rung just now.

        Raises:
            WorldError: the broker cannot be reached.
        """
        due = [queue for queue in dict.fromkeys(STAGES[stage].queue for stage in stages) if self._is_due(queue)]
        if not due:
            return
        ready = database.read(lambda session: _ready(session, stages))
        for queue in due:
            jobs = sum(count for stage, count in ready.items() if STAGES[stage].queue == queue)
            if jobs:
                self.rung[queue] = time.monotonic()
                self._ring(queue, jobs)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.collect(socket_timeout=1)
            self._connection = None

    def waiting(self) -> dict[str, int]:
        """Doorbells that wait, by queue. Raises WorldError."""
        try:
            with self._channel() as channel:
                return {queue.name: self._length(queue, channel) for queue in self.app.conf.task_queues}
        except Exception as error:
            raise self._away(error) from error

    def _is_due(self, queue: str) -> bool:
        return time.monotonic() - self.rung.get(queue, -RING_S) >= RING_S

    def _channel(self) -> Any:
        if self._connection is None:
            self._connection = self.app.connection_for_write()
            self._connection.ensure_connection(max_retries=1, interval_start=0.2, timeout=5)
        return self._connection.channel()

    def _ring(self, name: str, jobs: int) -> None:
        queue = next(queue for queue in self.app.conf.task_queues if queue.name == name)
        try:
            with self._channel() as channel:
                room = LENGTH - self._length(queue, channel)
                producer = self.app.amqp.Producer(channel, auto_declare=False)
                for _ in range(min(jobs, room)):
                    self.app.send_task(
                        TASK, args=[name, self.workspace], queue=queue, expires=EXPIRES_S, retry=False,
                        producer=producer,
                    )  # fmt: skip
        except Exception as error:
            raise self._away(error) from error

    @staticmethod
    def _length(queue: Any, channel: Any) -> int:
        bound = queue(channel)
        bound.declare()
        return int(bound.queue_declare().message_count)

    def _away(self, error: Exception) -> WorldError:
        self.close()
        return WorldError(f"The message broker at {shown(self.url)} cannot be reached ({type(error).__name__}).")


def _ready(session: Session, stages: Sequence[str]) -> dict[str, int]:
    """Jobs that may be taken now, by stage."""
    rows = session.execute(
        select(Job.stage, func.count())
        .where(Job.stage.in_(stages), Job.state == "waiting", Job.not_before <= epoch())
        .group_by(Job.stage)
    )
    return {stage: count for stage, count in rows}
