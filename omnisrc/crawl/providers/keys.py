"""Keys of search services: from the environment or a file, and shown nowhere."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NoReturn
from urllib.parse import quote, quote_plus

from yarl import URL

from omnisrc.errors import UserError

HIDDEN = "***"
SHORTEST = 8
"""A shorter text is no service's key, and scrubbing it from answers would tear them apart."""

_KEY = re.compile(rf"[!-~]{{{SHORTEST},}}")


class KeyRefusedError(UserError):
    """A service did not accept a key."""


class Secret:
    """A key. Nothing shows it but `reveal`, and it cannot be pickled; `place` says where it came from."""

    __slots__ = ("_text", "place")

    def __init__(self, text: str, place: str) -> None:
        self._text = text
        self.place = place

    def reveal(self) -> str:
        """The key itself: for a request, and for nothing else."""
        return self._text

    def scrub(self, text: str) -> str:
        """`text` without the key, in none of the spellings that it takes in a URL."""
        in_query = URL.build(query={"k": self._text}).raw_query_string[2:]
        for spelling in {self._text, quote(self._text, safe=""), quote_plus(self._text), in_query}:
            text = text.replace(spelling, HIDDEN)
        return text

    def refused(self, site: str, words: str = "") -> KeyRefusedError:
        """The error of a service that did not accept this key."""
        said = f" ({self.scrub(words)[:200]})" if words else ""
        return KeyRefusedError(f"{site} did not accept the key in {self.place}{said}; put a valid one there.")

    def __repr__(self) -> str:
        return f"Secret({HIDDEN})"

    __str__ = __repr__

    def __reduce__(self) -> NoReturn:
        raise TypeError("a key is not pickled")


def key_variable(name: str) -> str:
    """The environment variable that holds the key of a provider."""
    return f"OMNISRC_{name.upper()}_KEY"


def read_key(name: str, key_file: str) -> Secret | None:
    """The key of provider `name`: from the file that its settings name, else from the environment, else None.

    Raises UserError where the file cannot be read or what is there is no key; neither is quoted.
    """
    place = f"the file of providers.{name}.key_file" if key_file else key_variable(name)
    if key_file:
        try:
            text = Path(key_file).expanduser().read_text(encoding="utf-8-sig")
        except (OSError, ValueError, RuntimeError) as error:
            why = getattr(error, "strerror", None) or "it is no text file"
            raise UserError(f"The setting providers.{name}.key_file names a file that cannot be read: {why}.") from None
    else:
        text = os.environ.get(place, "")
    text = text.strip()
    if not text:
        return None
    if not _KEY.fullmatch(text):
        raise UserError(f"What is in {place} is no key: a key is one word of at least {SHORTEST} ASCII characters.")
    return Secret(text, place)


def need_key(name: str, key_file: str) -> Secret:
    """The key of a provider that does not work without. Raises UserError."""
    key = read_key(name, key_file)
    if key is None:
        raise UserError(
            f"The provider `{name}` needs a key: put it into the environment variable {key_variable(name)}, or into a "
            f"file that the setting providers.{name}.key_file names."
        )
    return key
