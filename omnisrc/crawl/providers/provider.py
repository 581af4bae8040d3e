"""What a provider is: question in, candidates out, page by page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Question:
    """What is asked: `text` as a person would type it, for a class, of one kind (`image` or `video`).

    `time_window` is the text of a Window, empty for all time.
    """

    text: str
    kind: str
    class_name: str = ""
    tags: tuple[str, ...] = ()
    time_window: str = ""


@dataclass(frozen=True)
class Candidate:
    """One media URL that a provider offers, with what it says of it. Sizes are those of the file at `url`'s source."""

    url: str
    kind: str
    page_url: str | None = None
    license: str | None = None
    license_url: str | None = None
    author: str | None = None
    title: str | None = None
    width: int | None = None
    height: int | None = None
    duration: float | None = None
    bytes: int | None = None
    mime: str | None = None
    sha1: str | None = None


@dataclass(frozen=True)
class Page:
    """One page of answers, best first. `next` is the cursor of the page after it, None where this was the last.

    `pause_s` is for how many seconds the service should be left alone now: it said that nothing is left.
    """

    candidates: list[Candidate]
    next: str | None
    calls: int = 1
    pause_s: float | None = None


class Provider(Protocol):
    """A search service, a table or a folder. Its constructor takes (ProviderSettings, MediaWish, Client).

    Its class may have `limits` (CallLimits) and `about` (About), and `check`, a call that is smaller than a search.
    """

    page_size: int
    """The most candidates of one page."""

    kinds: tuple[str, ...]

    @property
    def site(self) -> str | None:
        """`host:port` that `find` asks, None where it asks nobody."""
        ...

    async def find(self, question: Question, cursor: str, limit: int) -> Page:
        """At most `limit` candidates from `cursor` on (empty: from the start).

        Raises ItemError, and UserError where its key is not accepted.
        """
        ...


@dataclass(frozen=True)
class MediaWish:
    """The size of media that is kept: a rendition near it is as good as the original."""

    image_short_side: int = 320
    clip_short_side: int = 256
