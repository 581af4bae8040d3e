"""Where a target data set lies: its media, its lists, and what the splits are called."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from omnisrc.errors import UserError

SPLITS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validate": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
    "testing": "test",
}
"""What data sets call their splits -> what we call them."""

VIDEO_SUFFIXES = frozenset(
    (".3gp", ".avi", ".flv", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ogv", ".ts", ".webm", ".wmv")
)


@dataclass(frozen=True)
class TargetPlace:
    """What a user says about a target data set.

    `path` is the folder of media, or a CSV. `lists` maps a split to its list file; `annotations` is the folder of the
    data set's own lists, looked for near `path` where it is None; `split_number` chooses among UCF101's and HMDB51's
    three.
    """

    path: Path
    lists: Mapping[str, Path] = field(default_factory=dict)
    annotations: Path | None = None
    split_number: int = 1


def find_lists(folder: Path) -> dict[str, Path]:
    """The CSV of each split in a folder: `train.csv`, `kinetics_val.csv`.

    Raises:
        UserError: two files claim one split.
    """
    lists: dict[str, Path] = {}
    for path in sorted(folder.glob("*.csv")):
        split = SPLITS.get(path.stem.lower().replace("-", "_").split("_")[-1])
        if split is None:
            continue
        if split in lists:
            raise UserError(f"{lists[split]} and {path} both look like the {split} list; name one with --{split}.")
        lists[split] = path
    return lists


def find_annotations(place: TargetPlace, wanted: str, usual: Sequence[str]) -> Path:
    """The folder that holds files like `wanted` (a glob): the one given, or one of the usual places near the media.

    Raises:
        UserError: there is none.
    """
    if place.annotations is not None:
        folders = [place.annotations]
    else:
        near = [base / name for base in (place.path, place.path.parent) for name in (*usual, "annotations")]
        folders = [place.path, *near]
    for folder in folders:
        if next(folder.glob(wanted), None) is not None:
            return folder
    looked = ", ".join(str(folder) for folder in folders)
    raise UserError(f"There is no file {wanted} in {looked}; name the folder of the lists with --annotations.")


def media_files(root: Path) -> Iterator[Path]:
    """Every file under `root` but hidden ones, in order; links to folders are followed, once each."""
    seen: set[str] = set()
    for folder, folders, files in os.walk(root, followlinks=True):
        real = os.path.realpath(folder)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(folder, name) for name in sorted(files) if not name.startswith("."))


class VideoIndex:
    """The videos under a folder by name, whatever the layout of the folders and the container of the files."""

    def __init__(self, root: Path) -> None:
        self._exact: dict[str, Path] = {}
        self._folded: dict[str, Path] = {}
        for path in media_files(root):
            if path.suffix.lower() in VIDEO_SUFFIXES:
                self._exact.setdefault(path.stem, path)
                self._folded.setdefault(path.stem.casefold(), path)

    def find(self, stem: str, *, fold_case: bool = False) -> Path | None:
        """The video of a name without suffix. YouTube ids differ in case alone; UCF101 spells a class in two ways."""
        return self._exact.get(stem) or (self._folded.get(stem.casefold()) if fold_case else None)
