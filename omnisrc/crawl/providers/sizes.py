"""Which of several versions of one picture or film to fetch: near the size that is kept."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from omnisrc.crawl.providers.renditions import NEAR


@dataclass(frozen=True)
class Version:
    """One version, with what is said of it."""

    url: str
    width: int = 0
    height: int = 0
    bytes: int | None = None
    mime: str | None = None

    @property
    def short_side(self) -> int:
        return min(self.width, self.height)

    @property
    def area(self) -> int:
        return self.width * self.height


def near_version(versions: Iterable[Version], short_side: int) -> Version | None:
    """The smallest version that is near `short_side` or above, else the largest; None where there is none."""
    there = [version for version in versions if version.url]
    fitting = [version for version in there if version.short_side >= NEAR * short_side]
    if fitting:
        return min(fitting, key=lambda version: (version.area, version.bytes or 0))
    return max(there, key=lambda version: version.area, default=None)


def whole(value: Any) -> int:
    """A size as services give it (a number, or one in a text), 0 where it is none."""
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError):
        return 0
    return number if 0 < number < 2**53 else 0


def text_of(value: Any) -> str | None:
    """A text without blanks around it, None where there is none."""
    return (value.strip() or None) if isinstance(value, str) else None


def objects(value: Any) -> list[dict[str, Any]]:
    """The objects of a list that should hold nothing else."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
