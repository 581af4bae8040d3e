"""The sentences that stand for each class."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

SLOT = "{}"
TEMPLATES = (
    "{}",
    "{}, a human action",
    "a photo of {}",
    "a photo of a person {}",
    "a photo of people doing {}",
    "a frame of a video of {}",
    "a video of a person {}",
    "somebody is {}",
)
"""Class lists mix gerunds (playing guitar) and nouns (archery); over several sentences some fit each of them."""


@dataclass(frozen=True)
class Prompts:
    """`names` are what is put in the templates' {}, one a class in the order of the list; `own` are (class, sentences)
    that stand instead of them."""

    templates: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    own: tuple[tuple[int, tuple[str, ...]], ...] = ()

    def __len__(self) -> int:
        return len(self.names)

    @property
    def texts(self) -> list[list[str]]:
        """The sentences of each class."""
        own = dict(self.own)
        return [
            list(own.get(index) or (template.replace(SLOT, name) for template in self.templates))
            for index, name in enumerate(self.names)
        ]

    @property
    def sha256(self) -> str:
        """Over the sentences as they are read, class by class."""
        return hashlib.sha256(json.dumps(self.texts).encode()).hexdigest()

    def as_meta(self) -> dict[str, Any]:
        """As JSON that `of_meta` reads."""
        return asdict(self)

    @classmethod
    def of_meta(cls, meta: Mapping[str, Any]) -> Prompts:
        own = tuple((int(index), tuple(texts)) for index, texts in meta["own"])
        return cls(tuple(meta["templates"]), tuple(meta["names"]), own)


def check_templates(templates: Iterable[str]) -> None:
    """Raises ValueError for a template without a place for the class."""
    given = list(templates)
    if not given:
        raise ValueError("prompts must hold at least one template such as 'a photo of {}'")
    for template in given:
        if SLOT not in template:
            raise ValueError(f"the prompt {template!r} has no {{}}, where the class goes")
