"""HMDB51 by its own lists: `CLASS_test_splitN.txt` with lines `file.avi tag`; 1 is train, 2 is test, 0 is unused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from omnisrc.data.importers.listing import Problem, ProblemKind, RawRow
from omnisrc.data.importers.places import TargetPlace, VideoIndex, find_annotations

USUAL_FOLDERS = ("testTrainMulti_7030_splits", "test_train_splits", "splits")
SPLIT_OF_TAG = {"1": "train", "2": "test"}


def read_hmdb51(place: TargetPlace) -> Iterator[RawRow | Problem]:
    """Rows of one of the three official splits (`place.split_number`), which have no val; unused clips are left out.

    Raises:
        UserError: the lists are not there.
    """
    ending = f"_test_split{place.split_number}.txt"
    folder = find_annotations(place, f"*{ending}", USUAL_FOLDERS)
    index = VideoIndex(place.path)
    for path in sorted(folder.glob(f"*{ending}")):
        label = path.name.removesuffix(ending)
        lines = path.read_text(encoding="utf-8-sig", errors="replace").splitlines()
        for number, line in enumerate(lines, 1):
            row = _row(line.strip(), f"{path.name}:{number}", label, place.path, index)
            if row is not None:
                yield row


def _row(line: str, where: str, label: str, root: Path, index: VideoIndex) -> RawRow | Problem | None:
    if not line:
        return Problem(where, ProblemKind.EMPTY_ROW)
    file, _, tag = line.rpartition(" ")
    if tag == "0" and file:
        return None
    if tag not in SPLIT_OF_TAG or not file:
        return Problem(where, ProblemKind.BAD_ROW, "not `file tag` with tag 0, 1 or 2")
    stem = Path(file.strip()).stem
    path = index.find(stem, fold_case=True) or root / label / file.strip()
    return RawRow(where, path, label, split=SPLIT_OF_TAG[tag])
