"""Path patterns of RFC 9309 (sections 2.2.2 and 2.2.3): `*` is any text, `$` at the end is the end."""

from __future__ import annotations

import re

_PATTERN_AS_IT_IS = re.compile(r"[!-#&-~]*\$?")
_PATH_AS_IT_IS = re.compile(r"[!-#&-)+-~]*")
_OCTETS = re.compile(rb"%([0-9A-Fa-f]{2})|.", re.DOTALL)
_ESCAPED = frozenset(b"%*$?#")


def canonical_pattern(text: str) -> str:
    """A pattern as `matches` wants it. One that lacks the slash at its start gets it."""
    text = text if text.startswith(("/", "*")) else f"/{text}"
    if _PATTERN_AS_IT_IS.fullmatch(text):
        return text
    text, end = (text[:-1], "$") if text.endswith("$") else (text, "")
    return "*".join(_canonical(part) for part in text.split("*")) + end


def canonical_path(text: str) -> str:
    """The path and query of a URL as `matches` wants them."""
    return (text if _PATH_AS_IT_IS.fullmatch(text) else _canonical(text)) or "/"


def matches(pattern: str, path: str) -> bool:
    """Whether a canonical pattern matches a canonical path from its start. Time is linear in pattern x path."""
    anchored = pattern.endswith("$")
    first, *others = pattern.removesuffix("$").split("*")
    if not path.startswith(first):
        return False
    if not others:
        return not anchored or path == first
    at = len(first)
    for part in others[:-1]:
        found = path.find(part, at)
        if found < 0:
            return False
        at = found + len(part)
    if anchored:
        return path.endswith(others[-1]) and len(path) - len(others[-1]) >= at
    return path.find(others[-1], at) >= 0


def _canonical(text: str) -> str:
    """Octets in one spelling: printable ASCII by itself, all others and `%*$?#` that are no operators as %XX.

    %2F and / come out alike: servers answer them alike, and a rule must not be walked around by quoting.
    """
    return "".join(map(_octet, _OCTETS.finditer(text.encode("utf-8", "surrogatepass"))))


def _octet(match: re.Match[bytes]) -> str:
    value = int(match[1], 16) if match[1] else match[0][0]
    plain = 0x20 < value < 0x7F and (value not in _ESCAPED or (not match[1] and value in b"?#"))
    return chr(value) if plain else f"%{value:02X}"
