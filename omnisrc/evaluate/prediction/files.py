"""Predictions in files: JSON, JSON lines or CSV, whole or absent."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any, Protocol

from omnisrc.errors import UserError
from omnisrc.evaluate.prediction.predict import Predicted
from omnisrc.evaluate.whole_files import whole_file

COLUMNS = ("input", "scope", "start", "end", "rank", "class", "index", "score", "error", "head")


class Writer(Protocol):
    def add(self, predicted: Predicted) -> None: ...

    def close(self) -> None: ...


def check_format(path: Path) -> None:
    """Raises UserError for a name whose suffix is none of WRITERS."""
    if path.suffix.lower() not in WRITERS:
        raise UserError(f"{path} should end in one of {', '.join(WRITERS)}: that says how it is written.")


@contextmanager
def prediction_file(path: Path, about: Mapping[str, Any]) -> Iterator[Writer]:
    """Takes predictions one by one; the file appears when the block ends, and not at all when it fails.

    Args:
        about: what a JSON file says beside the predictions (weights, windows).

    Raises:
        UserError: the suffix is unknown.
        WorldError: the disk fails.
    """
    check_format(path)
    with whole_file(path) as file:
        writer = WRITERS[path.suffix.lower()](file, about)
        yield writer
        writer.close()


def as_row(predicted: Predicted) -> dict[str, Any]:
    """An input's predictions as plain values; of several heads under `heads` by their names."""
    row = asdict(predicted)
    for key in ("labels", "windows") if predicted.heads else ():
        del row[key]
    return {key: value for key, value in row.items() if value or key not in ("error", "notes", "heads")}


class _Json:
    """One object: `about`, and `inputs`, a list."""

    def __init__(self, file: IO[Any], about: Mapping[str, Any]) -> None:
        self._file = file
        head = json.dumps(dict(about), ensure_ascii=False, indent=1)
        file.write(head.removesuffix("\n}") + (',\n "inputs": [' if about else '"inputs": ['))
        self._between = "\n"

    def add(self, predicted: Predicted) -> None:
        self._file.write(self._between + json.dumps(as_row(predicted), ensure_ascii=False))
        self._between = ",\n"

    def close(self) -> None:
        self._file.write("\n ]\n}\n")


class _JsonLines:
    """A line an input."""

    def __init__(self, file: IO[Any], about: Mapping[str, Any]) -> None:
        self._file = file

    def add(self, predicted: Predicted) -> None:
        self._file.write(json.dumps(as_row(predicted), ensure_ascii=False) + "\n")

    def close(self) -> None:
        pass


class _Csv:
    """A line a class: of the whole input, then of each window, by head."""

    def __init__(self, file: IO[Any], about: Mapping[str, Any]) -> None:
        self._rows = csv.writer(file, lineterminator="\n")
        self._rows.writerow(COLUMNS)

    def add(self, predicted: Predicted) -> None:
        if predicted.error:
            self._rows.writerow([predicted.name, "", "", "", "", "", "", "", predicted.error, ""])
        for head, answer in predicted.answers.items():
            scopes = [("all", 0.0, predicted.duration, answer.labels)]
            scopes += [("window", window.start, window.end, window.labels) for window in answer.windows]
            for scope, start, end, labels in scopes:
                for rank, label in enumerate(labels, 1):
                    place = (predicted.name, scope, f"{start:.3f}", f"{end:.3f}")
                    self._rows.writerow([*place, rank, label.name, label.index, f"{label.score:.6f}", "", head])

    def close(self) -> None:
        pass


WRITERS: dict[str, Callable[[IO[Any], Mapping[str, Any]], Writer]] = {
    ".json": _Json,
    ".jsonl": _JsonLines,
    ".csv": _Csv,
}
