"""The Celery application: `celery -A workers worker -Q io,cpu,gpu`, or `omnisrc worker --engine celery`.

A message is a doorbell. It is acknowledged when it is received and carries no work: the ledger in SQL does, so a lost
broker, message or worker loses nothing. docs/cluster.md gives the reason for each setting.
"""

from __future__ import annotations

import os

from celery import Celery

from omnisrc.engine.broker import DEFAULT_URL, celery_settings, kind_of

URL = os.environ.get("OMNISRC_BROKER_URL") or DEFAULT_URL

app = Celery("omnisrc", include=["workers.tasks"])
app.conf.update(celery_settings(URL))
app.conf.update(
    task_acks_late=False,
    task_track_started=True,
    worker_prefetch_multiplier=1,
    worker_disable_prefetch=kind_of(URL) == "redis",  # else a busy worker takes doorbells that an idle one could answer
    worker_eta_task_limit=100,
    worker_max_tasks_per_child=int(os.environ.get("OMNISRC_MAX_TASKS_PER_CHILD", "100")),
    worker_max_memory_per_child=int(os.environ.get("OMNISRC_MAX_MEMORY_PER_CHILD_KB", "2000000")),
    worker_cancel_long_running_tasks_on_connection_loss=False,  # the job is held in SQL, not by the message
    worker_soft_shutdown_timeout=30,
    worker_send_task_events=True,
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,  # a broker may be away for as long as it likes
    broker_heartbeat=30,
)
