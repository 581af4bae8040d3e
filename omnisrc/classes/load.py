"""Class lists by name (those in configs/classes) or from a user's file."""

from __future__ import annotations

import difflib
import functools
import os
import re
from collections.abc import Sequence
from pathlib import Path

from omnisrc import resources
from omnisrc.classes.files import Entry, FileContent, read_class_file
from omnisrc.classes.model import ActionClass, ClassList, Level, Parent, ParentClass, label_key, names_sha256
from omnisrc.classes.query import query_text, tags_of
from omnisrc.errors import UserError

SUFFIXES = (".txt", ".csv", ".yaml", ".yml")


def available() -> list[str]:
    """The names of the class lists that come with the platform, sorted."""
    return sorted(path.stem for path in _folder().glob("*.yaml"))


def load_class_list(name_or_path: str | Path) -> ClassList:
    """A class list by its name (`kinetics400`; `Kinetics-400` is the same), or from a txt, csv or yaml file.

    Raises:
        UserError: no such list or file, or a file that does not hold a class list.
    """
    text = os.fspath(name_or_path)
    known = {label_key(name): name for name in available()}
    if not isinstance(name_or_path, Path) and label_key(text) in known and not _is_path(text):
        return _shipped(known[label_key(text)])
    if _is_path(text) or isinstance(name_or_path, Path) or Path(text).is_file():
        return _from_file(Path(text))
    near = difflib.get_close_matches(text.lower(), known.values(), n=3, cutoff=0.45)
    meant = f"; did you mean {' or '.join(near)}?" if near else f"; known are {', '.join(known.values())}."
    raise UserError(
        f"There is no class list `{text}`{meant} "
        "A list of your own is a file: pass its path, such as ./my-classes.txt with one class name per line."
    )


def class_list_of(names: Sequence[str], name: str) -> ClassList:
    """A class list of these names, in this order, with queries and tags by the rules.

    Raises:
        UserError: a name is given twice, or has no letter or digit.
    """
    entries = [Entry(f"class {index} of {name}", text) for index, text in enumerate(names)]
    return _class_list(FileContent(entries, name=name), name)


def _is_path(text: str) -> bool:
    return text.lower().endswith(SUFFIXES) or "/" in text or os.sep in text


def _folder() -> Path:
    return resources.configs() / "classes"


@functools.cache
def _shipped(name: str) -> ClassList:
    return _from_file(_folder() / f"{name}.yaml")


def _from_file(path: Path) -> ClassList:
    content = read_class_file(path)
    if not content.entries:
        raise UserError(f"The class list {path} holds no class; write one class name per line.")
    return _class_list(content, str(path))


def _class_list(content: FileContent, where: str) -> ClassList:
    names = [_clean_name(entry) for entry in content.entries]
    _refuse_twins(content.entries, names)
    classes = tuple(
        _action_class(index, name, entry, content.first_id + index)
        for index, (name, entry) in enumerate(zip(names, content.entries, strict=True))
    )
    ids = {action.id for action in classes}
    if len(ids) < len(classes):
        raise UserError(f"Two classes in {where} have one id; give every class an id of its own, or none.")
    name = content.name or Path(where).stem
    return ClassList(name, classes, names_sha256(names), content.title or name, _levels(content, classes, where))


def _clean_name(entry: Entry) -> str:
    """The name with one space for any run of white space: a newline inside would break the list's hash."""
    name = " ".join(entry.name.split())
    if not name:
        raise UserError(f"{entry.where} has no name; give it one, or remove the line.")
    return name


def _refuse_twins(entries: list[Entry], names: list[str]) -> None:
    """Two classes may share a name only if their parents tell them apart (FineGym has such a pair)."""
    seen: dict[tuple[str, tuple[str, ...]], Entry] = {}
    for entry, name in zip(entries, names, strict=True):
        twin = seen.setdefault((label_key(name), tuple(entry.parents.values())), entry)
        if twin is not entry:
            raise UserError(f"{entry.where} repeats the class `{name}` of {twin.where}; remove one of them.")


def _action_class(index: int, name: str, entry: Entry, number: int) -> ActionClass:
    query = " ".join(entry.query.split()) if entry.query else query_text(name)
    if not query:
        raise UserError(f"{entry.where}, `{name}`, has no letter or digit to search for; give it a query.")
    tags = tags_of(query_text(query)) if entry.tags is None else entry.tags
    for tag in tags:
        if not re.fullmatch("[a-z0-9]+", tag):
            raise UserError(f"{entry.where}: the tag `{tag}` must be of a-z and 0-9 alone, without `#` or spaces.")
    parents = tuple(Parent(level, parent) for level, parent in entry.parents.items())
    return ActionClass(index, name, query, tags, parents, number if entry.id is None else entry.id)


def _levels(content: FileContent, classes: tuple[ActionClass, ...], where: str) -> tuple[Level, ...]:
    """The levels above the classes; members as declared, else numbered in the order in which they appear."""
    names = tuple(parent.level for parent in classes[0].parents) if classes else ()
    for action in classes:
        if tuple(parent.level for parent in action.parents) != names:
            raise UserError(
                f"`{action.name}` in {where} has parents on other levels than `{classes[0].name}`; "
                "every class needs one parent on each level, in one order."
            )
    for depth in range(1, len(names)):
        above: dict[str, str] = {}
        for action in classes:
            upper, lower = action.parents[depth - 1].name, action.parents[depth].name
            if above.setdefault(lower, upper) != upper:
                raise UserError(f"{names[depth]} `{lower}` in {where} lies under both `{above[lower]}` and `{upper}`.")
    return tuple(_level(name, depth, content, classes, where) for depth, name in enumerate(names))


def _level(name: str, depth: int, content: FileContent, classes: tuple[ActionClass, ...], where: str) -> Level:
    used = list(dict.fromkeys(action.parents[depth].name for action in classes))
    ids = content.levels.get(name) or {member: number for number, member in enumerate(used)}
    unknown = [member for member in used if member not in ids]
    if unknown:
        raise UserError(f"`{unknown[0]}` in {where} is not among the members of level `{name}`.")
    return Level(name, tuple(ParentClass(i, number, member) for i, (member, number) in enumerate(ids.items())))
