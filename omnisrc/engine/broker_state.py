"""What can be seen of the broker in a moment: whether it is there, how many doorbells wait, which workers answer."""

from __future__ import annotations

import threading
from typing import Any

from omnisrc.engine.broker import shown
from omnisrc.engine.doorbell import Doorbell, broker_url
from omnisrc.errors import UserError, WorldError
from omnisrc.study import Study

LIMIT_S = 2.0
ANSWER_S = 0.7  # workers that are at a job in the solo pool do not answer


def broker_state(study: Study) -> dict[str, Any]:
    """`url`, `reachable`, `doorbells` by queue, `workers` that answered by queue; it takes `LIMIT_S` seconds at most.

    A broker that is away or slow is told by `reachable`, never by an exception.
    """
    state: dict[str, Any] = {"url": shown(broker_url(study)), "reachable": False, "doorbells": {}, "workers": {}}
    found: dict[str, Any] = {}
    asking = threading.Thread(target=_ask, args=(study, found), daemon=True)
    asking.start()
    asking.join(LIMIT_S)
    return {**state, **found}


def _ask(study: Study, found: dict[str, Any]) -> None:
    try:
        bell = Doorbell(study)
        doorbells = bell.waiting()
        found.update(reachable=True, doorbells=doorbells)
        found["workers"] = _workers(bell)
        bell.close()
    except (UserError, WorldError) as error:
        found["error"] = str(error)
    except Exception as error:  # `status` shows what it can, whatever a broker does
        found["error"] = f"{type(error).__name__}: {error}"


def _workers(bell: Doorbell) -> dict[str, list[str]]:
    answers = bell.app.control.inspect(timeout=ANSWER_S).active_queues() or {}
    workers: dict[str, list[str]] = {}
    for name, queues in sorted(answers.items()):
        for queue in queues:
            workers.setdefault(queue["name"], []).append(name)
    return workers
