"""A class list and its classes, as every part of the platform sees them."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple


class Parent(NamedTuple):
    """One ancestor of a class: `Parent("set", "BB turns")`."""

    level: str
    name: str


@dataclass(frozen=True)
class ParentClass:
    """One member of a level: its place in the level from 0, and the number that the data set gives it."""

    index: int
    id: int
    name: str


@dataclass(frozen=True)
class Level:
    """One level of a hierarchy above the classes, such as the events of gymnastics."""

    name: str
    members: tuple[ParentClass, ...]


@dataclass(frozen=True)
class ActionClass:
    """One action class.

    `index` counts from 0 and is what a network predicts; `id` is the number in the data set's own files. `query` is
    the text asked of search services, `tags` ([a-z0-9]+ each, possibly none) are asked of tag sites. `parents` go
    from the broadest level to the nearest.
    """

    index: int
    name: str
    query: str
    tags: tuple[str, ...]
    parents: tuple[Parent, ...] = ()
    id: int = 0


def label_key(label: str) -> str:
    """What two spellings of one label share: `Hand_Stand pushups`, `HandstandPushups` -> `handstandpushups`."""
    folded = unicodedata.normalize("NFKC", label).casefold()
    return "".join(c for c in folded if c.isalnum() or unicodedata.category(c)[0] == "M") or folded.strip()


def names_sha256(names: Iterable[str]) -> str:
    """SHA-256 of the names in order, in UTF-8, each followed by one newline: what `sha256sum` says of a label map."""
    return hashlib.sha256("".join(f"{name}\n" for name in names).encode()).hexdigest()


@dataclass(frozen=True)
class ClassList:
    """A named, ordered list of action classes. `sha256` is over the names in order (`names_sha256`)."""

    name: str
    classes: tuple[ActionClass, ...]
    sha256: str
    title: str = ""
    levels: tuple[Level, ...] = ()
    _by_key: dict[str, list[ActionClass]] = field(init=False, repr=False, compare=False, hash=False)

    def __post_init__(self) -> None:
        by_key: dict[str, list[ActionClass]] = {}
        for action in self.classes:
            by_key.setdefault(label_key(action.name), []).append(action)
        object.__setattr__(self, "_by_key", by_key)

    def __len__(self) -> int:
        return len(self.classes)

    def __iter__(self) -> Iterator[ActionClass]:
        return iter(self.classes)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(action.name for action in self.classes)

    def matches(self, label: str) -> list[ActionClass]:
        """The classes that a label may mean, whatever its case, spaces, underscores or punctuation.

        An exact name comes before a folded one. None: unknown. Two: the data set itself gives two classes one name.
        """
        found = self._by_key.get(label_key(label), [])
        return [action for action in found if action.name == label] or list(found)

    def find(self, label: str) -> ActionClass | None:
        """The one class that a label means; None if there is no such class, or more than one."""
        found = self.matches(label)
        return found[0] if len(found) == 1 else None
