"""Opt-out signals in response headers.

One reader a signal, in the table READERS: another signal is another function and another line.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from omnisrc.web.client import Headers
from omnisrc.web.tdmrep import is_reserved
from omnisrc.web.usage import NAMES, refused_category

REFUSING = frozenset({"noai", "noimageai", "noml", "noindex", "noimageindex", "none"})
"""Directives of X-Robots-Tag by which an owner says that this is not for us. `none` means noindex, nofollow."""

LONGEST_SAID = 500

_WITH_VALUE = frozenset({"unavailable_after", "max-snippet", "max-image-preview", "max-video-preview"})
_SCOPE = re.compile(r"\s*(\*|[A-Za-z][\w./-]*)\s*:\s*(.*)", re.DOTALL)


@dataclass(frozen=True)
class OptOut:
    """An owner's refusal: which signal, which directive, and the words as they came."""

    signal: str
    directive: str
    said: str


def robots_tag_directives(values: Iterable[str], agents: Collection[str]) -> list[tuple[str, str]]:
    """The directives of X-Robots-Tag headers that address one of `agents`, each with the header value it stood in.

    A value is a comma list; `name:` before a directive scopes what follows to that agent, and `*` to all.
    """
    ours = {"*", *(agent.lower() for agent in agents)}
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
                    scope, directive = name.partition("/")[0], rest.partition(":")[0].strip()
            if directive and scope in ours:
                found.append((directive, value))
    return found


def _robots_tag(headers: Headers, agents: Collection[str]) -> OptOut | None:
    for directive, value in robots_tag_directives(headers.getall("X-Robots-Tag", []), agents):
        if directive in REFUSING:
            return OptOut("x-robots-tag", directive, value[:LONGEST_SAID])
    return None


def _tdm_reservation(headers: Headers, agents: Collection[str]) -> OptOut | None:
    if not any(is_reserved(value) for value in headers.getall("tdm-reservation", [])):
        return None
    policy = "".join(f"; tdm-policy: {value}" for value in headers.getall("tdm-policy", []))
    return OptOut("tdm-reservation", "1", f"1{policy}"[:LONGEST_SAID])


def _usage(headers: Headers, agents: Collection[str]) -> OptOut | None:
    for name in NAMES:
        for value in headers.getall(name, []):
            refused = refused_category(value)
            if refused is not None:
                return OptOut(name, refused, value[:LONGEST_SAID])
    return None


READERS: tuple[Callable[[Headers, Collection[str]], OptOut | None], ...] = (_robots_tag, _tdm_reservation, _usage)


def header_opt_out(headers: Headers, agents: Collection[str]) -> OptOut | None:
    """The first refusal that the headers hold for one of `agents` (product names), or None."""
    for reader in READERS:
        found = reader(headers, agents)
        if found is not None:
            return found
    return None
