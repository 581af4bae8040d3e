"""Rows of a table from a given place on: CSV and TSV, JSON lines, Parquet. A place is found again without a scan."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from omnisrc.errors import ErrorClass, ItemError

Row = dict[str, str]
BATCH = 4096
LINES = (".jsonl", ".ndjson", ".json")
csv.field_size_limit(2**24)


def columns_of(path: Path) -> list[str]:
    """The names of a table's columns. Raises ItemError(PROVIDER), OSError."""
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        import pyarrow.parquet as parquet  # 0.2 s

        return [str(name) for name in parquet.read_schema(path).names]
    with path.open("rb") as file:
        if suffix in LINES:
            first = next((row for row, _ in _json_rows(path, file, 0)), {})
            return list(first)
        return next(csv.reader(_Lines(file), delimiter=_delimiter(path)), [])


def rows_from(path: Path, place: int) -> Iterator[tuple[Row, int]]:
    """Rows from `place` (0: the first) on, each with the place after it. Values are text, missing ones empty.

    Raises ItemError(PROVIDER) where the table is broken, OSError where it cannot be read.
    """
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        yield from _parquet_rows(path, place)
        return
    with path.open("rb") as file:
        yield from (_json_rows if suffix in LINES else _csv_rows)(path, file, place)


def _delimiter(path: Path) -> str:
    return "\t" if path.suffix.lower() in (".tsv", ".tab") else ","


class _Lines:
    """Lines of a file as text, and the byte at which the next one begins."""

    def __init__(self, file: BinaryIO, place: int = 0) -> None:
        self._file = file
        self.place = place
        file.seek(place)

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = self._file.readline()
        if not line:
            raise StopIteration
        encoding = "utf-8-sig" if self.place == 0 else "utf-8"
        self.place += len(line)
        return line.decode(encoding, errors="replace")


def _csv_rows(path: Path, file: BinaryIO, place: int) -> Iterator[tuple[Row, int]]:
    lines = _Lines(file)
    header = next(csv.reader(lines, delimiter=_delimiter(path)), [])
    if place:
        lines = _Lines(file, place)
    try:
        for values in csv.reader(lines, delimiter=_delimiter(path)):
            if values:
                yield dict(zip(header, values + [""] * (len(header) - len(values)), strict=False)), lines.place
    except csv.Error as error:
        raise ItemError(ErrorClass.PROVIDER, f"the table {path}, before byte {lines.place}: {error}") from error


def _json_rows(path: Path, file: BinaryIO, place: int) -> Iterator[tuple[Row, int]]:
    lines = _Lines(file, place)
    for line in lines:
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise ItemError(ErrorClass.PROVIDER, f"the table {path}, before byte {lines.place}: {error}") from error
        if isinstance(row, dict):
            yield {str(key): "" if value is None else str(value) for key, value in row.items()}, lines.place


def _parquet_rows(path: Path, place: int) -> Iterator[tuple[Row, int]]:
    import pyarrow as arrow
    import pyarrow.parquet as parquet

    try:
        with parquet.ParquetFile(path) as file:
            first = 0
            groups: list[int] = []
            for number in range(file.num_row_groups):
                count = file.metadata.row_group(number).num_rows
                if groups or first + count > place:
                    groups.append(number)
                else:
                    first += count
            for batch in file.iter_batches(BATCH, row_groups=groups):
                for row in batch.to_pylist():
                    first += 1
                    if first > place:
                        yield {key: "" if value is None else str(value) for key, value in row.items()}, first
    except arrow.ArrowException as error:
        raise ItemError(ErrorClass.PROVIDER, f"the table {path}: {error}") from error
