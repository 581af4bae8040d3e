"""A folder of features: one array a video, and an index of those that are whole.

    features.json   what all have in common: weights, stage, windows
    index.jsonl     a line a video, written when its array is on the disk
    NAME.npy        (windows, channels) float32

A run that is killed leaves at most a file that begins with a dot and a line that breaks off; the next one goes on.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from omnisrc.errors import UserError, WorldError
from omnisrc.evaluate.whole_files import whole_file

SETTINGS, INDEX = "features.json", "index.jsonl"


class FeatureFolder:
    """An open folder, from `open_folder`. `rows` are the index by name."""

    def __init__(self, path: Path, rows: dict[str, dict[str, Any]], index: TextIO) -> None:
        self.path, self.rows, self._index = path, rows, index

    def has(self, name: str, source: Mapping[str, Any]) -> bool:
        """Whether the features of a video are there, and made of the same bytes as `source` says that it has now."""
        row = self.rows.get(name)
        return row is not None and row["source"] == dict(source) and (self.path / row["file"]).is_file()

    def add(self, name: str, features: NDArray[np.float32], row: Mapping[str, Any]) -> None:
        """Writes (windows, channels), then its line in the index. Raises WorldError where the disk fails."""
        file = f"{name}.npy"
        with whole_file(self.path / file, "wb") as out:
            np.save(out, features, allow_pickle=False)
        line = {"name": name, "file": file, "shape": list(features.shape), **row}
        self._index.write(json.dumps(line, ensure_ascii=False) + "\n")
        self._index.flush()
        os.fsync(self._index.fileno())
        self.rows[name] = line


@contextmanager
def open_folder(path: Path, settings: Mapping[str, Any]) -> Iterator[FeatureFolder]:
    """The folder, new or with what was written before. One process at a time.

    Raises:
        UserError: it holds features made in another way, or another process is writing there.
        WorldError: the disk fails.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        _same(path, settings)
        with (path / INDEX).open("a+", encoding="utf-8", errors="backslashreplace") as index:
            _alone(index, path)
            yield FeatureFolder(path, _read(path, index), index)
    except OSError as error:
        raise WorldError(f"{path} could not be written: {error.strerror or error}.") from error


def _same(path: Path, settings: Mapping[str, Any]) -> None:
    file = path / SETTINGS
    if not file.exists():
        with whole_file(file) as out:
            out.write(json.dumps(dict(settings), indent=1, ensure_ascii=False) + "\n")
        return
    try:
        there = dict(json.loads(file.read_text(encoding="utf-8")))
    except (TypeError, ValueError) as error:
        raise UserError(f"{file} is damaged ({error}); name another folder with --output.") from error
    for key, value in settings.items():
        if there.get(key) != value:
            raise UserError(
                f"The features in {path} were made with another {key} ({there.get(key)}, now {value}); name another"
                " folder with --output."
            )


def _alone(index: TextIO, path: Path) -> None:
    try:
        fcntl.flock(index, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise UserError(f"Another process is writing features into {path}; wait for it, or name another.") from None


def _read(path: Path, index: TextIO) -> dict[str, dict[str, Any]]:
    """The lines of the index; one that breaks off, of a process that was killed, is cut away. Its litter goes too."""
    for litter in path.rglob(".*.part"):
        litter.unlink(missing_ok=True)
    index.seek(0)
    text = index.read()
    whole = text[: text.rfind("\n") + 1]
    try:
        lines = [json.loads(line) for line in whole.split("\n")[:-1]]
        rows = {row["name"]: row for row in lines if row["file"] and row["source"]}
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path / INDEX} is damaged ({error}); name another folder with --output.") from error
    if whole != text:
        index.truncate(len(whole.encode()))
    index.seek(0, os.SEEK_END)
    return rows
