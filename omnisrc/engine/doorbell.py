"""The doorbell to Celery: messages that say only "there is work on this queue". They expire and are rung again."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Any

from db import ledger
from db.session import Database
from omnisrc.engine.registry import STAGES
from omnisrc.engine.settings import EngineSettings
from omnisrc.errors import WorldError
from omnisrc.study import Study

TASK = "omnisrc.work"
RING_S = 2.0
EXPIRES_S = 10.0
MOST = 64


def broker_url(study: Study) -> str:
    """The broker named in the settings or in OMNISRC_BROKER_URL; Redis on this machine where none is named."""
    named = study.section(EngineSettings).broker or os.environ.get("OMNISRC_BROKER_URL", "")
    return named or "redis://127.0.0.1:6379/0"


class Doorbell:
    """Rings the queues of the stages that have open jobs, at most every `RING_S` seconds."""

    def __init__(self, study: Study) -> None:
        from celery import Celery  # 0.3 s, and only this engine needs it

        self.workspace = str(study.root)
        self.url = broker_url(study)
        self.app: Any = Celery("omnisrc-doorbell", broker=self.url)
        self.app.conf.update(
            task_ignore_result=True,
            task_default_queue="io",
            broker_connection_timeout=5,
            broker_transport_options={"socket_connect_timeout": 5, "socket_timeout": 10},
        )
        self.rung: dict[str, float] = {}

    def ring(self, stages: Sequence[str], database: Database) -> None:
        """One message for each open job of a queue, at most `MOST`, unless the queue was rung just now.

        Raises:
            WorldError: the broker cannot be reached.
        """
        counts = database.read(lambda session: ledger.count_jobs(session, stages))
        for queue in dict.fromkeys(STAGES[stage].queue for stage in stages):
            waiting = sum(
                n for (stage, state), n in counts.items() if STAGES[stage].queue == queue and state == "waiting"
            )
            if not waiting or time.monotonic() - self.rung.get(queue, -RING_S) < RING_S:
                continue
            self.rung[queue] = time.monotonic()
            for _ in range(min(waiting, MOST)):
                self._send(queue)

    def _send(self, queue: str) -> None:
        try:
            self.app.send_task(TASK, args=[queue, self.workspace], queue=queue, expires=EXPIRES_S, retry=False)
        except Exception as error:
            shown = self.url.rpartition("@")[2]
            raise WorldError(f"The message broker at {shown} cannot be reached ({type(error).__name__}).") from error
