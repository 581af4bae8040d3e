"""The Celery application: `celery -A workers worker -Q io,cpu,gpu`.

A message is a doorbell. It is acknowledged when it is received and carries no work: the ledger in SQL does, so a lost
broker, message or worker loses nothing.
"""

from __future__ import annotations

import os

from celery import Celery

app = Celery(
    "omnisrc", broker=os.environ.get("OMNISRC_BROKER_URL", "redis://127.0.0.1:6379/0"), include=["workers.tasks"]
)
app.conf.update(
    task_ignore_result=True,
    task_acks_late=False,
    task_serializer="json",
    accept_content=["json"],
    task_queues={name: {} for name in ("io", "cpu", "gpu")},
    task_default_queue="io",
    task_create_missing_queues=False,
    worker_prefetch_multiplier=1,
    worker_cancel_long_running_tasks_on_connection_loss=False,
    worker_soft_shutdown_timeout=30,
    broker_connection_retry_on_startup=True,
)
