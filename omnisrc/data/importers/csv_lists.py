"""Target lists in CSV: `path,label[,group][,split][,start,end]`, in one file or in one for each split."""

from __future__ import annotations

import codecs
import csv
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from omnisrc.data.importers.listing import Problem, ProblemKind, RawRow
from omnisrc.data.importers.places import SPLITS, TargetPlace, find_lists
from omnisrc.errors import UserError

COLUMNS = {
    "path": ("path", "video", "video_path", "file", "filename"),
    "label": ("label", "class", "action"),
    "group": ("group",),
    "split": ("split", "subset"),
    "start": ("start",),
    "end": ("end",),
}
"""Our columns -> the names that a header may give them."""

POSITIONS = ("path", "label", "group", "split")
"""The columns of a list without a header."""


@dataclass(frozen=True)
class Line:
    """One physical line of a list, by column; `wrong` says why it could not be read."""

    where: str
    cells: dict[str, str]
    wrong: str = ""


def read_csv_lists(place: TargetPlace) -> Iterator[RawRow | Problem]:
    """Rows of a CSV, of one for each split, or of the `train.csv`, `val.csv`, `test.csv` in a folder.

    Relative paths start at the folder that was given, else at the CSV's own. The split of a list that was named for
    one wins over the column.

    Raises:
        UserError: no list, a list that cannot be read, or one without the columns path and label.
    """
    lists = dict(place.lists) or (find_lists(place.path) if place.path.is_dir() else {"": place.path})
    if not lists:
        raise UserError(f"There is no train.csv, val.csv or test.csv in {place.path}; name the lists with --train.")
    for split, path in lists.items():
        roots = (place.path, path.parent) if place.path.is_dir() else (path.parent,)
        for line in read_lines(path, required=("path", "label")):
            yield _row(line, split or None, roots)


def _row(line: Line, split: str | None, roots: tuple[Path, ...]) -> RawRow | Problem:
    cells = line.cells
    if line.wrong:
        return Problem(line.where, ProblemKind.BAD_ROW, line.wrong)
    if not any(cell.strip() for cell in cells.values()):
        return Problem(line.where, ProblemKind.EMPTY_ROW)
    if not cells.get("path", "").strip():
        return Problem(line.where, ProblemKind.BAD_ROW, "no path")
    named = cells.get("split", "").strip()
    if split is None and named:
        split = SPLITS.get(named.lower())
        if split is None:
            return Problem(line.where, ProblemKind.UNKNOWN_SPLIT, repr(named))
    try:
        start, end = _times(cells.get("start", ""), cells.get("end", ""))
    except ValueError as error:
        return Problem(line.where, ProblemKind.BAD_TIME, str(error))
    path = _find(cells["path"], roots)
    return RawRow(line.where, path, cells.get("label", "").strip(), cells.get("group", "").strip(), split, start, end)


def _find(text: str, roots: tuple[Path, ...]) -> Path:
    """The first of the places where the file is; blanks around a path are part of it only if such a file exists."""
    places = [root / spelling for spelling in dict.fromkeys((text, text.strip())) for root in roots]
    return next((place for place in places if os.path.isfile(place)), places[-1])


def _times(start: str, end: str) -> tuple[float | None, float | None]:
    if not start.strip() and not end.strip():
        return None, None
    first, last = float(start or 0), float(end or "nan")
    if not (0 <= first < last and math.isfinite(last)):
        raise ValueError(f"from {start or 0} to {end or 'nowhere'} seconds is no time span")
    return first, last


def read_lines(
    path: Path, required: tuple[str, ...], columns: Mapping[str, tuple[str, ...]] = COLUMNS
) -> Iterator[Line]:
    """The lines of a CSV after its header. A physical line is a row: a stray quote spoils one row, not the rest.

    Raises:
        UserError: the file cannot be read, or has neither the required columns nor two columns and no header.
    """
    lines = _text(path).split("\n")
    if lines and not lines[-1]:
        lines.pop()
    delimiter, header, first = _header(path, lines, required, columns)
    for number, line in enumerate(lines[first:], first + 1):
        where = f"{path.name}:{number}"
        try:
            cells = next(csv.reader([line], delimiter=delimiter), [])
            line.encode()
        except (csv.Error, UnicodeEncodeError) as error:
            wrong = str(error) if isinstance(error, csv.Error) else "not UTF-8"
            yield Line(where, {}, wrong)
            continue
        cells = _joined(cells, header, delimiter)
        known = {column: cell for column, cell in zip(header, cells, strict=False) if column}
        yield Line(where, known, "" if len(cells) > 1 or not "".join(cells).strip() else "only one column")


def _joined(cells: list[str], header: list[str], delimiter: str) -> list[str]:
    """The cells of a row; where there are too many, a path in front was written with its commas bare."""
    extra = len(cells) - len(header)
    while extra > 0 and not cells[-1].strip():
        cells, extra = cells[:-1], extra - 1
    if extra <= 0 or header[0] != "path":
        return cells
    return [delimiter.join(cells[: extra + 1]), *cells[extra + 1 :]]


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"The list {path} cannot be read ({error.strerror}); check the path.") from error
    utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    text = data.decode("utf-16", "replace") if utf16 else data.decode("utf-8-sig", "surrogateescape")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _header(
    path: Path, lines: list[str], required: tuple[str, ...], columns: Mapping[str, tuple[str, ...]]
) -> tuple[str, list[str], int]:
    """The delimiter, our name of each column (empty: not ours), and the index of the first line of data."""
    names = {name: column for column, spellings in columns.items() for name in spellings}
    first = next((i for i, line in enumerate(lines) if line.strip()), 0)
    line = lines[first] if lines else ""
    for delimiter in ",\t;":
        header = [names.get(cell.strip().lower(), "") for cell in _cells(line, delimiter)]
        if all(column in header for column in required):
            return delimiter, header, first + 1
    cells = [cell.strip().lower() for cell in _cells(line, ",")]
    if columns is COLUMNS and 2 <= len(cells) <= len(POSITIONS) and not names.keys() & set(cells):
        return ",", list(POSITIONS), 0
    raise UserError(f"The list {path} has no columns {', '.join(required)}; its first line must name them.")


def _cells(line: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:
        return []
