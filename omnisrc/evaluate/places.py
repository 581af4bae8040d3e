"""Where scores lie: a folder, a file, or the name of a run of the study."""

from __future__ import annotations

import re
from pathlib import Path

from omnisrc.config import near
from omnisrc.errors import UserError
from omnisrc.evaluate.scores import FILE, ScoreTable, read_scores
from omnisrc.study import Study


def scores_at(study: Study, place: str, split: str) -> tuple[ScoreTable, str]:
    """The scores at a place, and what to call them.

    Raises:
        UserError: there are none; the sentence names the runs that have some.
    """
    path = Path(place)
    if path.exists():
        return read_scores(path), _name(path)
    folder = study.runs / place / "eval" / split
    if "/" not in place and (folder / FILE).is_file():
        return read_scores(folder), place
    if "/" not in place and (study.runs / place).is_dir():
        raise UserError(
            f"The run {place} has no scores on {split}; make them with `omnisrc eval --run {place} --split {split}`."
        )
    there = sorted({file.parents[2].name for file in study.runs.glob(f"*/eval/*/{FILE}")})
    raise UserError(f"There are no scores at {place!r}: no file, folder or run.{near(place, there) if there else ''}")


def safe_name(name: str) -> str:
    """As the name of a folder."""
    return re.sub(r"[^A-Za-z0-9._+-]+", "-", name)[:100]


def _name(path: Path) -> str:
    """runs/NAME/eval/test -> NAME; otherwise the folder's or the file's own."""
    folder = path if path.is_dir() else path.parent
    folder = folder.resolve()
    if path.is_file() and path.name != FILE:
        return path.stem
    if folder.parent.name == "eval":
        return folder.parents[1].name
    return folder.parent.name.removeprefix("eval-") if folder.name in ("train", "val", "test") else folder.name
