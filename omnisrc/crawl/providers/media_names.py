"""What a file is by the suffix of its name: a guess for choosing, never a reason to trust it."""

from __future__ import annotations

from pathlib import PurePosixPath

from yarl import URL

IMAGES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif"})
VIDEOS = frozenset({".mp4", ".webm", ".mkv", ".mov", ".avi", ".mpg", ".mpeg", ".ogv", ".ts", ".flv", ".m4v"})


def kind_of_suffix(suffix: str) -> str | None:
    """`image`, `video` or None."""
    suffix = suffix.lower()
    return "image" if suffix in IMAGES else "video" if suffix in VIDEOS else None


def kind_of_url(url: str) -> str | None:
    """By the suffix of the URL's path; its query counts for nothing."""
    try:
        return kind_of_suffix(PurePosixPath(URL(url).path).suffix)
    except ValueError:
        return None
