"""A place in the answers of a service that counts pages of a fixed size, whatever number is wanted each time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Place:
    """`offset` results lie behind; pages hold `per_page`, which stays as it was when the query was first asked."""

    offset: int
    per_page: int

    @classmethod
    def read(cls, cursor: str, limit: int, smallest: int, largest: int) -> Place:
        """The place of a cursor (`offset/per_page`), or the start."""
        if not cursor:
            return cls(0, max(smallest, min(limit, largest)))
        offset, _, per_page = cursor.partition("/")
        return cls(int(offset), int(per_page))

    @property
    def page(self) -> int:
        """The page to ask for; the first is 1."""
        return self.offset // self.per_page + 1

    def take(self, items: Sequence[T], limit: int, total: int | None) -> tuple[list[T], str | None]:
        """The next `limit` of this page's items at most, and the cursor after them; None where nothing comes after.

        A page may be shorter than promised and yet not be the last: what counts is `total`, or without it an empty
        page.
        """
        skipped = self.offset % self.per_page
        left = items[skipped:]
        room = len(left) if total is None else max(0, total - self.offset)
        taken = list(left[: min(max(1, limit), room)])
        whole = len(taken) == len(left)
        after = self.page * self.per_page if whole else self.offset + len(taken)
        ended = not items or (total is not None and after >= total)
        return taken, None if ended else f"{after}/{self.per_page}"
