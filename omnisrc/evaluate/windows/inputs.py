"""What the user names: files, folders, URLs and lists of URLs, as inputs one after another."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from omnisrc.errors import ItemError, UserError
from omnisrc.media.sniff import SNIFF_BYTES, sniff
from omnisrc.media.source import Source

LISTS = (".txt", ".csv", ".urls", ".list")
VIDEOS = (".mp4", ".m4v", ".mov", ".webm", ".mkv", ".avi", ".mpg", ".mpeg", ".ogv", ".ts", ".m2ts", ".flv")
IMAGES = (".jpg", ".jpeg", ".png", ".gif", ".webp", ".bmp", ".tif", ".tiff", ".avif")
MEDIA = frozenset((*VIDEOS, *IMAGES))
"""A file of a folder is looked at where its name or its first bytes say that it is a medium."""


@dataclass(frozen=True)
class Input:
    """A video or an image: `source`, its bytes; of a video the part from `start` to `end` (seconds).

    `release` is called when nobody needs the bytes any more.
    """

    name: str
    source: Source
    start: float = 0.0
    end: float = math.inf
    release: Callable[[], None] = lambda: None


@dataclass(frozen=True)
class Unusable:
    """An input that could not be had, and why."""

    name: str
    error: ItemError


Found = Input | Unusable


@dataclass(frozen=True)
class Named:
    """What the arguments name: `files` in order, then `urls`; `left_out` are files of folders that are no media."""

    files: tuple[Path, ...]
    urls: tuple[str, ...]
    left_out: tuple[Path, ...]

    def inputs(self) -> Iterator[Found]:
        for path in self.files:
            yield Input(str(path), path)


def read_arguments(arguments: Sequence[str]) -> Named:
    """Files, folders (with what is below them), URLs, and text files with one URL a line.

    Raises:
        UserError: a file that does not exist, or nothing to look at.
    """
    files: list[Path] = []
    urls: list[str] = []
    left_out: list[Path] = []
    for argument in arguments:
        path = Path(argument)
        if is_url(argument):
            urls.append(argument)
        elif path.is_dir():
            media, others = _in_folder(path)
            files += media
            left_out += others
        elif not path.exists():
            raise UserError(f"There is no file {path}; name videos, images, folders, URLs or a list of URLs.")
        elif (listed := _listed(path)) is not None:
            urls += listed
        else:
            files.append(path)
    if not files and not urls:
        raise UserError(f"There is no video and no image in {', '.join(arguments)}; name another folder or a file.")
    return Named(tuple(files), tuple(urls), tuple(left_out))


def is_url(text: str) -> bool:
    return text.lower().startswith(("http://", "https://"))


def _in_folder(folder: Path) -> tuple[list[Path], list[Path]]:
    media: list[Path] = []
    others: list[Path] = []
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.is_file() and not hidden:
            (media if path.suffix.lower() in MEDIA or _looks_like_media(path) else others).append(path)
    return media, others


def _looks_like_media(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return sniff(file.read(SNIFF_BYTES)) is not None
    except OSError:
        return False


def _listed(path: Path) -> list[str] | None:
    """The URLs of a list: the first column of its lines; None for a file that is no list of URLs."""
    if path.suffix.lower() not in LISTS:
        return None
    try:
        lines = path.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    except OSError as error:
        raise UserError(f"The list {path} cannot be read ({error.strerror}); check it.") from error
    rows = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    if path.suffix.lower() == ".csv":
        rows = [row.split(",")[0].strip().strip('"') for row in rows]
        rows = rows[1:] if rows and not is_url(rows[0]) else rows
    return rows if rows and is_url(rows[0]) else None


def fetched(each: Iterable[tuple[str, Source | ItemError, Callable[[], None]]]) -> Iterator[Found]:
    """What came of URLs as inputs: (URL, bytes or why not, what frees them)."""
    for url, got, release in each:
        yield Unusable(url, got) if isinstance(got, ItemError) else Input(url, got, release=release)
