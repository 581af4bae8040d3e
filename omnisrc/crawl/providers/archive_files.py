"""Which of an Internet Archive item's files to fetch: its metadata lists originals and what was derived from them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote, unquote

from omnisrc.crawl.providers.media_names import kind_of_suffix
from omnisrc.crawl.providers.numbers import seconds, whole

PLAYABLE = {
    "image": frozenset({".jpg", ".jpeg", ".png", ".webp"}),
    "video": frozenset({".mp4", ".m4v", ".webm", ".ogv"}),
}
"""Suffixes of derived files that are sure to decode; an original is taken whatever container it has."""

_STAND_INS = re.compile(r"thumb|tile|spectrogram", re.IGNORECASE)
_UNSAFE = re.compile(r"[\x00-\x1f\x7f\\]")
MAX_NAME = 1024


@dataclass(frozen=True)
class File:
    """One file of an item, as far as its metadata tell."""

    name: str
    original: bool
    bytes: int | None = None
    width: int | None = None
    height: int | None = None
    duration: float | None = None
    sha1: str | None = None

    @property
    def suffix(self) -> str:
        return PurePosixPath(self.name).suffix.lower()

    @property
    def short_side(self) -> int:
        """0 where the metadata do not tell."""
        return min(self.width or 0, self.height or 0)


def choose_file(entries: Sequence[Any], kind: str, short_side: int) -> File | None:
    """The smallest file derived from the item's first original whose short side is at least `short_side`, else that
    original; where nobody can tell what an original is (a disc image), the largest that was derived from it.

    `entries` are the `files` of a metadata answer. None where there is nothing of `kind`.
    """
    listed = {
        entry["name"]: entry for entry in entries if isinstance(entry, dict) and isinstance(entry.get("name"), str)
    }
    groups: dict[str, list[File]] = {}
    for name, entry in listed.items():
        file = _read(entry, kind)
        if file is not None:
            groups.setdefault(_root(name, listed), []).append(file)
    for group in sorted(groups.values(), key=lambda files: not any(file.original for file in files)):
        chosen = _choose(group, kind, short_side)
        if chosen is not None:
            return chosen
    return None


def _choose(group: Iterable[File], kind: str, short_side: int) -> File | None:
    files = list(group)
    original = next((file for file in files if file.original), None)
    derived = [file for file in files if not file.original and file.suffix in PLAYABLE[kind]]
    fitting = [file for file in derived if file.short_side >= short_side]
    best = min(fitting, key=lambda file: (file.bytes or 2**62, file.short_side, file.name), default=None)
    if original is None:
        return best or max(derived, key=lambda file: (file.short_side, file.bytes or 0, file.name), default=None)
    if best is None or (original.bytes or 2**62) <= (best.bytes or 0):
        return original
    return best


def _read(entry: Mapping[str, Any], kind: str) -> File | None:
    """A file of `kind` that may be fetched and is no stand-in for another."""
    name = entry["name"]
    if kind_of_suffix(PurePosixPath(name).suffix) != kind or not is_safe(name):
        return None
    if entry.get("private") in ("true", True) or entry.get("source") == "metadata" or name.endswith("__ia_thumb.jpg"):
        return None
    if _STAND_INS.search(str(entry.get("format") or "")):
        return None
    sha1 = entry.get("sha1")
    return File(
        name=name,
        original=entry.get("source") == "original",
        bytes=whole(entry.get("size")),
        width=whole(entry.get("width")),
        height=whole(entry.get("height")),
        duration=seconds(entry.get("length")) if kind == "video" else None,
        sha1=sha1 if isinstance(sha1, str) else None,
    )


def _root(name: str, listed: Mapping[str, Mapping[str, Any]]) -> str:
    """The name of the file from which `name` was derived at first; its own where it was not."""
    seen = {name}
    while listed.get(name, {}).get("source") != "original":
        parent = listed.get(name, {}).get("original")
        if not isinstance(parent, str) or parent in seen:
            break
        seen.add(parent)
        name = parent
    return name


def is_safe(name: str) -> bool:
    """Whether a file name stays below its item in a URL, also for a server that unquotes it twice."""
    if not name or len(name) > MAX_NAME:
        return False
    for form in (name, unquote(name)):
        if _UNSAFE.search(form) or any(part in ("", ".", "..") for part in form.split("/")):
            return False
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def quoted(name: str) -> str:
    """A safe name as the path of a URL: its slashes stay, all else that is not plain is percent-encoded."""
    assert is_safe(name), name
    return quote(name, safe="/")
