"""Charades by its CSVs: `id,...,actions,...`, where actions are `c092 11.90 21.20;c147 0.00 12.60`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from omnisrc.data.importers.csv_lists import Line, read_lines
from omnisrc.data.importers.listing import Problem, ProblemKind, RawRow
from omnisrc.data.importers.places import TargetPlace, VideoIndex, find_annotations, find_lists

COLUMNS = {"id": ("id",), "actions": ("actions",), "subject": ("subject",)}
NAMES = "Charades_v1_classes.txt"


def read_charades(place: TargetPlace) -> Iterator[RawRow | Problem]:
    """Whole videos with all their actions; a group is the person at whose home they were taken.

    Lists are those named by split, or `*train.csv` and `*test.csv` near the media. Actions are called as
    Charades_v1_classes.txt beside the lists has them, else by their codes.

    Raises:
        UserError: no list, or one without the columns id and actions.
    """
    lists = dict(place.lists) or find_lists(find_annotations(place, "*train.csv", ("Charades",)))
    index = VideoIndex(place.path)
    for split, path in lists.items():
        names = read_names(path.parent / NAMES)
        for line in read_lines(path, required=("id", "actions"), columns=COLUMNS):
            yield _row(line, split, place.path, index, names)


def read_names(path: Path) -> dict[str, str]:
    """Code -> name, of the lines `c000 Holding some clothes`; nothing where there is no such file."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return {code: name.strip() for code, _, name in (line.partition(" ") for line in lines) if name.strip()}


def _row(line: Line, split: str, root: Path, index: VideoIndex, names: dict[str, str]) -> RawRow | Problem:
    cells = {column: cell.strip() for column, cell in line.cells.items()}
    if line.wrong:
        return Problem(line.where, ProblemKind.BAD_ROW, line.wrong)
    if not any(cells.values()):
        return Problem(line.where, ProblemKind.EMPTY_ROW)
    codes = [part.split()[0] for part in cells.get("actions", "").split(";") if part.strip()]
    label = "|".join(names.get(code, code) for code in dict.fromkeys(codes))
    video = cells["id"]
    path = index.find(video) or root / f"{video}.mp4"
    return RawRow(line.where, path, label, cells.get("subject", ""), split)
