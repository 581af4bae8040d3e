"""Opt-out signals in response headers, and the evidence that is kept of them.

One reader a signal, in the table READERS: another signal is another function and another line.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

REFUSING = frozenset({"noai", "noimageai", "noml", "noindex", "noimageindex", "none"})
"""Directives of X-Robots-Tag by which an owner says that this is not for us. `none` means noindex, nofollow."""

_WITH_VALUE = frozenset({"unavailable_after", "max-snippet", "max-image-preview", "max-video-preview"})
_SCOPE = re.compile(r"\s*([\w*./-]+)\s*:\s*(.*)", re.DOTALL)


class Headers(Protocol):
    def getall(self, key: str, default: list[str]) -> list[str]: ...


@dataclass(frozen=True)
class OptOut:
    """An owner's refusal: which signal, which directive, and the words as they came."""

    signal: str
    directive: str
    evidence: str


def robots_tag_directives(values: Iterable[str], agent: str) -> list[tuple[str, str]]:
    """The directives of X-Robots-Tag headers that address `agent`, each with the header value it stood in.

    A value is a comma list; `name:` before a directive scopes what follows to that agent, and `*` to all.
    """
    found = []
    for value in values:
        scope = "*"
        for part in value.split(","):
            match = _SCOPE.fullmatch(part)
            directive = part.strip().lower()
            if match:
                name, rest = match[1].lower(), match[2].strip().lower()
                if name in _WITH_VALUE:
                    directive = name
                else:
                    scope, directive = name, rest.partition(":")[0].strip()
            if directive and scope in ("*", agent.lower()):
                found.append((directive, value))
    return found


def _robots_tag(headers: Headers, agent: str) -> OptOut | None:
    for directive, value in robots_tag_directives(headers.getall("X-Robots-Tag", []), agent):
        if directive in REFUSING:
            return OptOut("x-robots-tag", directive, value[:500])
    return None


READERS: tuple[Callable[[Headers, str], OptOut | None], ...] = (_robots_tag,)


def opt_out(headers: Headers, agent: str) -> OptOut | None:
    """The first refusal that the headers hold for `agent` (our product name), or None."""
    for reader in READERS:
        found = reader(headers, agent)
        if found is not None:
            return found
    return None
