"""One head of a recogniser that has several."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from omnisrc.config import near
from omnisrc.errors import UserError
from omnisrc.models.heads.several import SeveralHeads
from omnisrc.models.recogniser import Recogniser

OF_A_HEAD = ("classes", "class_list", "class_list_sha256")
"""What metadata say of each head where there are several."""


def head_names(model: Recogniser) -> tuple[str, ...]:
    """The names of its heads; none where it has one alone."""
    return tuple(model.head.heads) if isinstance(model.head, SeveralHeads) else ()


def choose_head(model: Recogniser, name: str, told: object) -> None:
    """Leaves the recogniser (`told`) with one of its heads: it answers with that one's logits.

    Raises:
        UserError: it has no such head, or one alone.
    """
    if not isinstance(model.head, SeveralHeads):
        raise UserError(f"The recogniser {told} has one head alone; leave --head {name} out.")
    if name not in model.head.heads:
        raise UserError(f"The recogniser {told} has no head {name!r}.{near(name, head_names(model))}")
    model.num_classes = int(model.args["heads"][name])
    model.head = model.head.alone(name)


def head_meta(meta: Mapping[str, Any], name: str) -> dict[str, Any]:
    """What the metadata of a checkpoint say of one of its heads: what they say of all, and `heads.NAME` (classes,
    class_list, class_list_sha256)."""
    of_all = {key: value for key, value in meta.items() if key not in OF_A_HEAD}
    return {**of_all, **((meta.get("heads") or {}).get(name) or {})}
