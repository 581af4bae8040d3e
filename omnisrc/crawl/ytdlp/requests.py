"""What a downloader process is asked, as it travels over the pipe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

MEDIA = "media"
"""The folder within a download's folder that the video alone goes to."""


@dataclass(frozen=True)
class Reach:
    """The way out: the proxy with its credentials, seconds of silence, and seconds between requests of a page."""

    proxy: str
    idle_s: float
    pause_s: float


@dataclass(frozen=True)
class SearchRequest:
    """Places `first` to `last` (from 1 on) of what a YouTube search finds."""

    reach: Reach
    text: str
    first: int
    last: int


@dataclass(frozen=True)
class DownloadRequest:
    """The video of one page into `folder`, within limits. `licenses` are words one of which its licence must have.

    `agents` are the names by which a page may tell us not to take it.
    """

    reach: Reach
    url: str
    folder: str
    max_bytes: int
    max_height: int
    max_duration: float
    licenses: Sequence[str]
    agents: Sequence[str]
