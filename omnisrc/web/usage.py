"""Usage preferences: `Content-Usage` of the IETF's aipref drafts, and Cloudflare's `Content-Signal`, which is alike.

draft-ietf-aipref-attach: a header field, and lines in robots.txt. draft-ietf-aipref-vocab: its categories.
"""

from __future__ import annotations

import re

NAMES = ("content-usage", "content-signal")
CATEGORIES = frozenset({"train-ai", "ai-train", "all", "bots", "tdm", "ai"})
"""Categories that hold what we do (training networks that are not generative), by the names of all drafts so far."""

_REFUSALS = frozenset({"n", "no", "?0"})
_PIECES = re.compile(r'"(?:[^"\\]|\\.)*(?:"|$)|[^",;]+|[,;]', re.DOTALL)


def preferences(text: str) -> list[tuple[str, str]]:
    """The (category, preference) pairs of a structured-field dictionary (RFC 9651), parameters left out.

    Read with patience: case and quotes do not matter, nor does what else stands in the line.
    """
    found: list[tuple[str, str]] = []
    for member in _members(text):
        key, _, value = member.partition("=")
        if key.strip():
            found.append((key.strip().lower(), value.strip().strip('"').strip().lower()))
    return found


def refused_category(text: str) -> str | None:
    """`train-ai=n` or the like, where a line of preferences holds a refusal; the most restrictive pair wins."""
    for category, preference in preferences(text):
        if category in CATEGORIES and preference in _REFUSALS:
            return f"{category}={preference}"
    return None


def _members(text: str) -> list[str]:
    members, in_parameters = [""], False
    for piece in _PIECES.findall(text):
        if piece == ",":
            members.append("")
            in_parameters = False
        elif piece == ";":
            in_parameters = True
        elif not in_parameters:
            members[-1] += piece
    return members
