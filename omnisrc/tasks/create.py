"""The tasks by name."""

from __future__ import annotations

from collections.abc import Sequence

from omnisrc.config import near
from omnisrc.errors import UserError
from omnisrc.tasks import multi_label, recognition
from omnisrc.tasks.multi_label import MultiLabel
from omnisrc.tasks.recognition import Recognition

Task = Recognition | MultiLabel
TASKS: dict[str, type[Recognition] | type[MultiLabel]] = {
    recognition.NAME: Recognition,
    multi_label.NAME: MultiLabel,
}


def create_task(name: str, classes: Sequence[str]) -> Task:
    """The task of a name over one class list.

    Raises:
        UserError: there is no such task.
    """
    if name not in TASKS:
        raise UserError(f"There is no task {name!r}.{near(name, list(TASKS))}")
    return TASKS[name](tuple(classes))
