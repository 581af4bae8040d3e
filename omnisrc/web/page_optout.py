"""Opt-out signals in the head of an HTML page: `<meta name="robots" content="noai">`, agent-named metas, TDMRep's."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from html.parser import HTMLParser
from itertools import islice

from omnisrc.web.optout_headers import LONGEST_SAID, REFUSING, OptOut
from omnisrc.web.tdmrep import is_reserved

MAX_CHARS = 128 * 1024
MAX_PIECES = 2000
_PIECES = re.compile(
    r"<!--.*?(?:-->|\Z)|<(script|style|title|template|textarea)\b.*?(?:</\1|\Z)|<meta\b[^<>]{0,2048}>|<body\b",
    re.DOTALL | re.IGNORECASE,
)
"""Metas, where the body begins, and what holds no markup of the page; each alternative takes what it looks at."""


def page_opt_out(html: str, agents: Collection[str]) -> OptOut | None:
    """The first refusal that a page's metas hold for one of `agents`, or None.

    Reads the first 128 Ki characters, up to the body; `data-nosnippet` and the like say nothing of training.
    """
    names = {"robots", *(agent.lower() for agent in agents)}
    for name, content in _metas(html[:MAX_CHARS]):
        if name == "tdm-reservation" and is_reserved(content):
            return OptOut("meta tdm-reservation", "1", content[:LONGEST_SAID])
        if name in names:
            for directive in content.lower().split(","):
                if directive.strip() in REFUSING:
                    return OptOut(f"meta {name}", directive.strip(), content[:LONGEST_SAID])
    return None


def _metas(head: str) -> Iterator[tuple[str, str]]:
    """(name, content) of the metas, names in lower case. Each is parsed by itself: the parser is slow on odd markup."""
    for piece in islice(_PIECES.finditer(head), MAX_PIECES):
        tag = piece[0].lower()
        if tag.startswith("<body"):
            return
        if tag.startswith("<meta"):
            parser = _Meta()
            parser.feed(piece[0])
            if "name" in parser.said:
                yield parser.said["name"].strip().lower(), parser.said.get("content", "")


class _Meta(HTMLParser):
    """The attributes of one tag; the first of a name counts."""

    def __init__(self) -> None:
        super().__init__()
        self.said: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.said = {name: value or "" for name, value in reversed(attrs)}
