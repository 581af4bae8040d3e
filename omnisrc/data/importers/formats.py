"""The formats of target data sets, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from omnisrc.classes import ClassList
from omnisrc.config import near
from omnisrc.data.importers.charades import read_charades
from omnisrc.data.importers.csv_lists import read_csv_lists
from omnisrc.data.importers.folders import read_folders
from omnisrc.data.importers.hmdb51 import read_hmdb51
from omnisrc.data.importers.kinetics import read_kinetics
from omnisrc.data.importers.listing import Problem, RawRow, TargetListing, listing_of
from omnisrc.data.importers.places import TargetPlace
from omnisrc.data.importers.ucf101 import read_ucf101
from omnisrc.errors import UserError

Importer = Callable[[TargetPlace], Iterator[RawRow | Problem]]

FORMATS: dict[str, Importer] = {
    "csv": read_csv_lists,
    "charades": read_charades,
    "folder": read_folders,
    "ucf101": read_ucf101,
    "hmdb51": read_hmdb51,
    "kinetics": read_kinetics,
}

SEVERAL = frozenset({"charades"})
"""Formats of data sets whose clips have several classes each."""


def create_importer(name: str) -> Importer:
    """The reader of one format.

    Raises:
        UserError: there is no such format.
    """
    if name not in FORMATS:
        raise UserError(f"There is no target format `{name}`.{near(name, list(FORMATS))}")
    return FORMATS[name]


def read_target(
    format: str,
    path: Path,
    *,
    class_list: ClassList | None = None,
    lists: Mapping[str, Path] | None = None,
    annotations: Path | None = None,
    split_number: int = 1,
    several: bool = False,
) -> TargetListing:
    """What a target data set lists: every row is an item or a problem. Only lists are read, no media is decoded.

    Args:
        path: the folder of media, or a CSV.
        class_list: what labels must be in; without it the labels found make one, sorted.
        lists: split (train, val, test) -> its list file.
        annotations: the folder of the data set's own lists, looked for near `path` where it is None.
        split_number: which of the three official splits (UCF101, HMDB51).
        several: a clip may have several classes, in one cell (`a|b`) or on rows of its own.

    Raises:
        UserError: no such format or folder, a list without its columns, or no list at all.
    """
    importer = create_importer(format)
    for place in (path, *(lists or {}).values(), *([annotations] if annotations else [])):
        if not place.exists():
            raise UserError(f"There is no {place}; check the path of the target data set.")
    if split_number not in (1, 2, 3):
        raise UserError(f"There is no split {split_number}; UCF101 and HMDB51 have the splits 1, 2 and 3.")
    rows = importer(TargetPlace(path, dict(lists or {}), annotations, split_number))
    return listing_of(rows, class_list, path.stem, several or format in SEVERAL)
