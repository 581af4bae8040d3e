"""Kinetics-400, 600 and 700 by their CSVs: `label,youtube_id,time_start,time_end,split`, read by the header's names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from omnisrc.data.importers.csv_lists import Line, read_lines
from omnisrc.data.importers.listing import Problem, ProblemKind, RawRow
from omnisrc.data.importers.places import SPLITS, TargetPlace, VideoIndex, find_lists
from omnisrc.errors import UserError

COLUMNS = {
    "label": ("label",),
    "id": ("youtube_id",),
    "start": ("time_start",),
    "end": ("time_end",),
    "split": ("split",),
}


def read_kinetics(place: TargetPlace) -> Iterator[RawRow | Problem]:
    """Rows of the lists named by split, or of `*train.csv`, `*val.csv`, `*test.csv` near the media.

    A clip is `{youtube_id}_{start:06d}_{end:06d}` with any container, anywhere under the folder; where there is only
    an untrimmed `{youtube_id}`, the row keeps the times. Rows without a label (test lists of old) are left out.

    Raises:
        UserError: no list, or one without the column youtube_id.
    """
    lists = dict(place.lists) or _lists_near(place)
    index = VideoIndex(place.path)
    for split, path in lists.items():
        for line in read_lines(path, required=("id", "start", "end"), columns=COLUMNS):
            yield _row(line, split, place.path, index)


def _lists_near(place: TargetPlace) -> dict[str, Path]:
    folders = [place.annotations] if place.annotations else [place.path, place.path / "annotations", place.path.parent]
    for folder in folders:
        if folder.is_dir() and (lists := find_lists(folder)):
            return lists
    if place.path.is_file():
        return {"": place.path}
    looked = ", ".join(str(folder) for folder in folders)
    raise UserError(
        f"There is no CSV such as kinetics_train.csv in {looked}; name the lists with --train, --val, --test."
    )


def _row(line: Line, split: str, root: Path, index: VideoIndex) -> RawRow | Problem:
    cells = {column: cell.strip() for column, cell in line.cells.items()}
    if line.wrong:
        return Problem(line.where, ProblemKind.BAD_ROW, line.wrong)
    if not any(cells.values()):
        return Problem(line.where, ProblemKind.EMPTY_ROW)
    named = split or SPLITS.get(cells.get("split", "").lower(), "")
    if not named:
        return Problem(line.where, ProblemKind.UNKNOWN_SPLIT, repr(cells.get("split", "")))
    label = cells.get("label", "").strip('"')
    if label in ("", "test"):
        return Problem(line.where, ProblemKind.NO_LABEL)
    video = cells.get("id", "")
    try:
        start, end = float(cells.get("start", "")), float(cells.get("end", ""))
        clip = f"{video}_{int(start):06d}_{int(end):06d}"
    except (ValueError, OverflowError):
        return Problem(line.where, ProblemKind.BAD_TIME, f"{cells.get('start')} to {cells.get('end')}")
    if not 0 <= start < end:
        return Problem(line.where, ProblemKind.BAD_TIME, f"{start} to {end}")
    if trimmed := index.find(clip):
        return RawRow(line.where, trimmed, label, video, named)
    if whole := index.find(video):
        return RawRow(line.where, whole, label, video, named, start, end)
    return RawRow(line.where, root / label / f"{clip}.mp4", label, video, named)
