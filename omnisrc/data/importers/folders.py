"""A folder for each class, with or without a folder for each split above them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from omnisrc.data.importers.listing import Problem, ProblemKind, RawRow
from omnisrc.data.importers.places import SPLITS, VIDEO_SUFFIXES, TargetPlace, media_files
from omnisrc.errors import UserError


def read_folders(place: TargetPlace) -> Iterator[RawRow | Problem]:
    """Rows of `CLASS/...` or, where every folder is named for a split, of `SPLIT/CLASS/...`.

    Raises:
        UserError: the folder holds no folders.
    """
    folders = _folders(place.path)
    if not folders:
        raise UserError(f"{place.path} holds no folders; it must have one for each class, or for each split.")
    splits = {folder: SPLITS.get(folder.name.lower()) for folder in folders}
    if all(splits.values()):
        for folder, split in splits.items():
            for label in _folders(folder):
                yield from _class_rows(label, split, place.path)
    else:
        for label in folders:
            yield from _class_rows(label, None, place.path)


def _folders(path: Path) -> list[Path]:
    if not path.is_dir():
        raise UserError(f"{path} is not a folder; give the folder that holds one folder for each class.")
    return sorted(child for child in path.iterdir() if child.is_dir() and not child.name.startswith("."))


def _class_rows(folder: Path, split: str | None, root: Path) -> Iterator[RawRow | Problem]:
    empty = True
    for path in media_files(folder):
        empty = False
        name = path.relative_to(root).as_posix()
        where = name.encode("utf-8", "replace").decode()
        if where != name:
            yield Problem(where, ProblemKind.BAD_ROW, "the name is not UTF-8")
        elif path.suffix.lower() in VIDEO_SUFFIXES:
            yield RawRow(where, path, folder.name, split=split)
        else:
            yield Problem(where, ProblemKind.NOT_A_VIDEO)
    if empty:
        yield Problem(folder.relative_to(root).as_posix(), ProblemKind.EMPTY_FOLDER)
