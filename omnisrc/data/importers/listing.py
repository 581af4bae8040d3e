"""What a target data set lists, and what is wrong with it: the one form that every importer's rows end in."""

from __future__ import annotations

import difflib
import os
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path

from omnisrc.classes import ActionClass, ClassList, class_list_of, label_key
from omnisrc.classes.query import query_text
from omnisrc.data.importers.groups import group_of


class ProblemKind(StrEnum):
    """Why a row of a target data set is left out; the words that reports count by."""

    EMPTY_ROW = "empty-row"
    BAD_ROW = "bad-row"
    NO_LABEL = "no-label"
    UNKNOWN_LABEL = "unknown-label"
    AMBIGUOUS_LABEL = "ambiguous-label"
    LABEL_MISMATCH = "label-mismatch"
    UNKNOWN_SPLIT = "unknown-split"
    BAD_TIME = "bad-time"
    MISSING_FILE = "missing-file"
    EMPTY_FILE = "empty-file"
    NOT_A_VIDEO = "not-a-video"
    EMPTY_FOLDER = "empty-folder"
    DUPLICATE_ROW = "duplicate-row"
    TWO_LABELS = "two-labels"
    TWO_SPLITS = "two-splits"


@dataclass(frozen=True)
class Problem:
    """One row that was left out. `row` says where it stands: a list and line, or a file."""

    row: str
    what: ProblemKind
    detail: str = ""


@dataclass(frozen=True)
class RawRow:
    """One row as an importer found it. No group: it is told from the file's name. No end: the whole file."""

    where: str
    path: Path
    label: str
    group: str = ""
    split: str | None = None
    start: float | None = None
    end: float | None = None


@dataclass(frozen=True)
class TargetRow:
    """One labelled item: a file, or the part of it from `start` to `end` seconds.

    `label` is the name of the class and `index` its place in the class list; where a clip may have several, `indices`
    are the places of all, and these two are of the first. Items of one `group` come from one recording and must stay in
    one split. `split` is train, val, test, or None where the data set has no splits.
    """

    path: Path
    label: str
    group: str
    split: str | None
    start: float | None
    end: float | None
    index: int
    indices: tuple[int, ...] = ()


@dataclass
class TargetListing:
    """The items of a target data set, and the rows left out. `absent`: those of them whose file alone is wanting."""

    items: list[TargetRow]
    problems: list[Problem]
    class_list: ClassList
    absent: list[TargetRow] = field(default_factory=list)
    by_split: Counter[str] = field(default_factory=Counter)

    def counts(self) -> dict[str, int]:
        """How many rows were left out, by problem, the most frequent first."""
        return {kind.value: n for kind, n in Counter(problem.what for problem in self.problems).most_common()}


SPLIT_ORDER = {"test": 0, "val": 1, "train": 2, None: 3}
"""Where one file stands in two splits, it stays in the first of these: what is scored is not trained on."""

Place = tuple[Path, float | None, float | None, str | None]

HINTED_LABELS = 1000
"""Looking for the nearest class takes milliseconds; a column of captions would take hours."""


def listing_of(
    rows: Iterable[RawRow | Problem], class_list: ClassList | None, name: str, several: bool = False
) -> TargetListing:
    """Matches labels, looks for the files, and takes out what stands there twice. Never raises for a row.

    Without a class list, the labels found make one, sorted, under `name`. With `several`, a row's label may be several
    with `|` or `;` between them, and rows of one clip add their labels up.
    """
    found = list(rows)
    problems = [row for row in found if isinstance(row, Problem)]
    raw = [row for row in found if isinstance(row, RawRow)]
    if several:
        raw = [replace(row, label=label) for row in raw for label in _parts(row.label)]
    classes = class_list if class_list is not None else _classes_of(raw, name)
    matched: list[tuple[RawRow, TargetRow]] = []
    absent: list[tuple[RawRow, TargetRow]] = []
    labels: dict[str, ActionClass | Problem] = {}
    for row in raw:
        if row.label not in labels:
            labels[row.label] = _match(row.label, classes, hint=len(labels) < HINTED_LABELS)
        action = labels[row.label]
        wrong = _file_problem(row) if isinstance(action, ActionClass) else action
        if isinstance(action, ActionClass) and wrong is None:
            matched.append((row, _target_row(row, action)))
        elif wrong is not None:
            problems.append(Problem(row.where, wrong.what, wrong.detail))
            if isinstance(action, ActionClass):
                absent.append((row, _target_row(row, action)))
    items = _without_twins(_added_up(matched) if several else matched, problems)
    counts = Counter(item.split or "none" for item in items)
    return TargetListing(items, problems, classes, _without_twins(_added_up(absent) if several else absent, []), counts)


def _classes_of(rows: list[RawRow], name: str) -> ClassList:
    names: dict[str, str] = {}
    for row in rows:
        names.setdefault(label_key(row.label), " ".join(row.label.split()))
    return class_list_of(sorted(filter(query_text, names.values())), name)


def _match(label: str, classes: ClassList, hint: bool) -> ActionClass | Problem:
    """The class that a label means: by name in any spelling, else by a whole number from 0 on."""
    if not label.strip():
        return Problem("", ProblemKind.NO_LABEL)
    found = classes.matches(label)
    if len(found) > 1:
        return Problem("", ProblemKind.AMBIGUOUS_LABEL, f"{label!r} names {len(found)} classes; give the class's index")
    if found:
        return found[0]
    if re.fullmatch("[0-9]{1,6}", label) and int(label) < len(classes):
        return classes.classes[int(label)]
    near = difflib.get_close_matches(label, classes.names, n=1) if hint else []
    meant = f"; did you mean {near[0]!r}?" if near else ""
    return Problem("", ProblemKind.UNKNOWN_LABEL, f"{label!r} is not in {classes.name}{meant}")


def _file_problem(row: RawRow) -> Problem | None:
    try:
        status = os.stat(row.path)
    except (OSError, ValueError):
        return Problem(row.where, ProblemKind.MISSING_FILE, str(row.path))
    if not os.path.isfile(row.path):
        return Problem(row.where, ProblemKind.MISSING_FILE, f"{row.path} is not a file")
    if status.st_size == 0:
        return Problem(row.where, ProblemKind.EMPTY_FILE, str(row.path))
    return None


def _target_row(row: RawRow, action: ActionClass) -> TargetRow:
    path = Path(os.path.abspath(row.path))
    group = row.group or group_of(path.stem, action.name)
    return TargetRow(path, action.name, group, row.split, row.start, row.end, action.index)


def _parts(label: str) -> list[str]:
    """The labels of a cell; one empty one where there is none."""
    return [part.strip() for part in re.split("[|;]", label) if part.strip()] or [""]


def _added_up(rows: list[tuple[RawRow, TargetRow]]) -> list[tuple[RawRow, TargetRow]]:
    """Each part of each file in each split once, with all its classes, at the place of its first row."""
    indices: dict[Place, set[int]] = {}
    first: dict[Place, tuple[RawRow, TargetRow]] = {}
    for raw, row in rows:
        place = (row.path, row.start, row.end, row.split)
        indices.setdefault(place, set()).add(row.index)
        first.setdefault(place, (raw, row))
    return [(raw, replace(row, indices=tuple(sorted(indices[place])))) for place, (raw, row) in first.items()]


def _without_twins(rows: list[tuple[RawRow, TargetRow]], problems: list[Problem]) -> list[TargetRow]:
    """The rows in order, each part of each file once."""
    kept: dict[tuple[Path, float | None, float | None], TargetRow] = {}
    for raw, row in sorted(rows, key=lambda pair: SPLIT_ORDER[pair[1].split]):
        twin = kept.setdefault((row.path, row.start, row.end), row)
        if twin is row:
            continue
        if twin.split != row.split:
            problems.append(Problem(raw.where, ProblemKind.TWO_SPLITS, f"{row.path} stays in {twin.split} alone"))
        elif twin.index != row.index:
            problems.append(Problem(raw.where, ProblemKind.TWO_LABELS, f"{row.path} stays {twin.label!r}"))
        else:
            problems.append(Problem(raw.where, ProblemKind.DUPLICATE_ROW, str(row.path)))
    chosen = {id(row) for row in kept.values()}
    return [row for _, row in rows if id(row) in chosen]
