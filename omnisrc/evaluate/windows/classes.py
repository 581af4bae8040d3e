"""What the classes of a checkpoint are called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from omnisrc.classes import ClassList, label_key, load_class_list
from omnisrc.config import near
from omnisrc.errors import UserError
from omnisrc.models.released import RELEASED


class Names(NamedTuple):
    """The names in the order of the logits, and a sentence where they are not sure."""

    names: tuple[str, ...]
    note: str = ""


def class_names(
    path: Path, meta: Mapping[str, Any], count: int, given: str = "", study: Sequence[ClassList] = ()
) -> Names:
    """The names of a checkpoint's `count` classes: those `given` (a list's name or file), else the file's own, else
    those of the class list that it names, else the study's list of as many; else numbers.

    Raises:
        UserError: the list given has another number of classes.
    """
    if given:
        chosen = load_class_list(given)
        if len(chosen) != count:
            raise UserError(
                f"The class list {given} has {len(chosen)} classes, but {path} knows {count}; name the list that it was"
                " trained on."
            )
        return Names(chosen.names)
    own = meta.get("classes")
    if own and len(own) == count:
        return Names(tuple(str(name) for name in own))
    named = meta.get("class_list") or next((each.class_list for each in RELEASED if each.file == path.name), None)
    sha256 = meta.get("class_list_sha256")
    for each in (*_shipped(named), *study):
        if len(each) == count and (each.sha256 == sha256 if sha256 else each.name == named):
            return Names(each.names)
    if not sha256 and not named:
        for each in study:
            if len(each) == count:
                note = f"{path} does not name its {count} classes; they are taken as those of the study, {each.name}."
                return Names(each.names, note)
    what = f", only that their list is {named}" if named else ""
    note = f"{path} does not name its {count} classes{what}: they are shown by number; name them with --classes LIST."
    return Names(tuple(f"class {number}" for number in range(count)), note)


def find_class(names: Sequence[str], given: str) -> int:
    """The number of a class by its name, or by itself.

    Raises:
        UserError: there is no such class.
    """
    if given in names:
        return list(names).index(given)
    folded = [number for number, name in enumerate(names) if label_key(name) == label_key(given)]
    if len(folded) == 1:
        return folded[0]
    if given.isdigit() and int(given) < len(names):
        return int(given)
    raise UserError(f"There is no class {given!r}.{near(given, list(names))}")


def _shipped(named: Any) -> list[ClassList]:
    try:
        return [load_class_list(str(named))] if named else []
    except UserError:
        return []
