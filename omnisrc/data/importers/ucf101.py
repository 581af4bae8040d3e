"""UCF101 by its own lists: classInd.txt, trainlist0N.txt (`Class/file.avi id`), testlist0N.txt (`Class/file.avi`)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from omnisrc.classes import label_key
from omnisrc.data.importers.listing import Problem, ProblemKind, RawRow
from omnisrc.data.importers.places import TargetPlace, VideoIndex, find_annotations

USUAL_FOLDERS = ("ucfTrainTestlist", "UCF101TrainTestSplits-RecognitionTask", "splits")


def read_ucf101(place: TargetPlace) -> Iterator[RawRow | Problem]:
    """Rows of one of the three official splits (`place.split_number`), which have no val.

    Files are found by name, whatever the case: the lists, folders and files of HandstandPushups disagree about it.

    Raises:
        UserError: the lists are not there.
    """
    train = f"trainlist{place.split_number:02d}.txt"
    folder = find_annotations(place, train, USUAL_FOLDERS)
    ids = _class_ids(folder / "classInd.txt")
    index = VideoIndex(place.path)
    for split, name in (("train", train), ("test", f"testlist{place.split_number:02d}.txt")):
        for number, line in enumerate(_lines(folder / name), 1):
            yield _row(line.strip(), f"{name}:{number}", split, place.path, index, ids)


def _row(line: str, where: str, split: str, root: Path, index: VideoIndex, ids: dict[str, int]) -> RawRow | Problem:
    if not line:
        return Problem(where, ProblemKind.EMPTY_ROW)
    name, _, number = line.rpartition(" ")
    if not number.isdecimal():
        name, number = line, ""
    label, slash, file = name.replace("\\", "/").strip().rpartition("/")
    if not slash:
        return Problem(where, ProblemKind.BAD_ROW, "not Class/file")
    if number and label_key(label) in ids and ids[label_key(label)] != int(number):
        return Problem(where, ProblemKind.LABEL_MISMATCH, f"{label} is {ids[label_key(label)]}, not {number}")
    path = index.find(Path(file).stem, fold_case=True) or root / label / file
    return RawRow(where, path, label, split=split)


def _class_ids(path: Path) -> dict[str, int]:
    """Class -> id by classInd.txt; empty where that is missing."""
    pairs = [line.split(None, 1) for line in _lines(path) if line.strip()]
    return {label_key(pair[1]): int(pair[0]) for pair in pairs if len(pair) == 2 and pair[0].isdecimal()}


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8-sig", errors="replace").splitlines() if path.is_file() else []
