"""How doorbells travel: the settings of Celery that those who ring and those who answer share, by kind of broker.

A doorbell is acknowledged when it is received and carries no work, so nothing here guards a message. What is guarded is
that none piles up, that a broker that hangs is noticed, and that both sides declare the same queues.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from omnisrc.engine.registry import QUEUES
from omnisrc.errors import UserError

DEFAULT_URL = "redis://127.0.0.1:6379/0"
LENGTH = 64  # doorbells that may wait on a queue
CONNECT_S = 5.0
SILENCE_S = 30.0

KINDS = {"redis": "redis", "rediss": "redis", "amqp": "rabbitmq", "amqps": "rabbitmq", "pyamqp": "rabbitmq"}


def kind_of(url: str) -> str:
    """`redis` or `rabbitmq`. Raises UserError for any other broker."""
    scheme = url.partition("://")[0]
    if scheme not in KINDS:
        raise UserError(
            f"The broker {shown(url)} is not supported; write redis://HOST:6379/0 or amqp://USER:PASSWORD@HOST:5672//."
        )
    return KINDS[scheme]


def shown(url: str) -> str:
    """The URL without its password."""
    try:
        return make_url(url).render_as_string(hide_password=True)
    except ArgumentError:
        return url.rpartition("@")[2]


def celery_settings(url: str) -> dict[str, Any]:
    """What every Celery application of ours is configured with. Raises UserError for a broker that is not supported."""
    kind = kind_of(url)
    return {
        "broker_url": url,
        "broker_connection_timeout": CONNECT_S,
        "broker_transport_options": _transport_options(kind),
        "task_queues": queues(url),
        "task_default_queue": QUEUES[0],
        "task_create_missing_queues": False,  # a queue that is misspelt has no worker
        "task_ignore_result": True,  # results lie in SQL
        "task_serializer": "json",
        "accept_content": ["json"],
    }


def queues(url: str) -> list[Any]:
    """The queues as kombu declares them.

    On RabbitMQ they are quorum queues of bounded length: a doorbell too many pushes out the oldest. Redis knows no
    bound, so who rings looks at the length first.
    """
    from kombu.entity import Queue  # 0.1 s, and only the cluster needs it

    arguments = None
    if kind_of(url) == "rabbitmq":
        arguments = {"x-queue-type": "quorum", "x-max-length": LENGTH, "x-overflow": "drop-head"}
    queue: Any = Queue
    return [queue(name, routing_key=name, queue_arguments=arguments) for name in QUEUES]


def _transport_options(kind: str) -> dict[str, Any]:
    if kind == "rabbitmq":
        return {"confirm_publish": True}  # a message that the broker did not take is an error, not a silence
    return {
        "visibility_timeout": 3600,
        "socket_connect_timeout": CONNECT_S,
        "socket_timeout": SILENCE_S,
        "socket_keepalive": True,
        "health_check_interval": 15,
        "retry_on_timeout": True,
    }
