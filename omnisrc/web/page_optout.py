"""Opt-out signals in the head of an HTML page: `<meta name="robots" content="noai">`, agent-named metas, TDMRep's."""

from __future__ import annotations

from collections.abc import Collection
from html.parser import HTMLParser

from omnisrc.web.optout_headers import LONGEST_SAID, REFUSING, OptOut
from omnisrc.web.tdmrep import is_reserved

MAX_CHARS = 128 * 1024
MAX_METAS = 500


def page_opt_out(html: str, agents: Collection[str]) -> OptOut | None:
    """The first refusal that a page's metas hold for one of `agents`, or None.

    Reads the first 128 Ki characters, up to the body; `data-nosnippet` and the like say nothing of training.
    """
    reader = _Metas()
    reader.feed_head(html[:MAX_CHARS])
    names = {"robots", *(agent.lower() for agent in agents)}
    for name, content in reader.found:
        if name == "tdm-reservation" and is_reserved(content):
            return OptOut("meta tdm-reservation", "1", content[:LONGEST_SAID])
        if name in names:
            for directive in content.lower().split(","):
                if directive.strip() in REFUSING:
                    return OptOut(f"meta {name}", directive.strip(), content[:LONGEST_SAID])
    return None


class _Enough(Exception):
    """The head is over."""


class _Metas(HTMLParser):
    """(name, content) of a page's metas, names in lower case."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, str]] = []

    def feed_head(self, html: str) -> None:
        try:
            self.feed(html)
            self.close()
        except (_Enough, AssertionError):  # the parser asserts on some markup that is none
            pass

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "body" or len(self.found) >= MAX_METAS:
            raise _Enough
        if tag == "meta":
            named = {name: value or "" for name, value in reversed(attrs)}  # the first of a name counts
            if "name" in named:
                self.found.append((named["name"].strip().lower(), named.get("content", "")))
