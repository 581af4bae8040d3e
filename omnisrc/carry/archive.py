"""The file that a study travels in: a tar, plain or compressed by the ending of its name.

Its first member says what is in it (`workspace.json`), its last one names every file between them with its size and
SHA-256 (`manifest.jsonl`), so that a file that ends early has none and is seen to be short.
"""

from __future__ import annotations

import fcntl
import gzip
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from omnisrc.errors import UserError
from omnisrc.shards.write import sync_folder

HEADER, MANIFEST = "workspace.json", "manifest.jsonl"
FORMAT = 1
CATALOGUE = "catalog.db"
CHUNK = 2**20

ENDINGS = {".tar": "", ".tar.gz": "gzip", ".tgz": "gzip", ".tar.zst": "zstd", ".tzst": "zstd"}


def compression(path: Path) -> str:
    """`gzip`, `zstd` or nothing, by the ending of a file's name. Raises UserError."""
    for ending, kind in ENDINGS.items():
        if path.name.endswith(ending) and path.name != ending:
            return kind
    raise UserError(f"{path.name} does not say what kind of file it is; let its name end in .tar, .tar.gz or .tar.zst.")


@contextmanager
def written(path: Path) -> Iterator[IO[bytes]]:
    """A file that appears under its name only when it is whole and on the disk.

    Until then it is `.NAME.part`; what a killed export left there is overwritten. Raises UserError where another
    export writes it now.
    """
    part = path.with_name(f".{path.name}.part")
    with part.open("ab") as raw:
        lock(raw, f"Another export writes {path} just now")
        raw.truncate(0)
        try:
            with _compressed(raw, compression(path)) as file:
                yield file
            raw.flush()
            os.fsync(raw.fileno())
            part.replace(path)
            sync_folder(path.parent)
        except BaseException:
            with suppress(OSError):
                part.unlink()
            raise


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """The tar in a file. Raises OSError, EOFError or zlib.error as it is read, where it is damaged."""
    kind = compression(path)
    with path.open("rb") as raw:
        if kind == "gzip":
            with gzip.GzipFile(fileobj=raw) as file:
                yield file  # type: ignore[misc]
        elif kind == "zstd":
            import pyarrow

            with pyarrow.CompressedInputStream(pyarrow.PythonFile(raw, "r"), "zstd") as file:
                yield file
        else:
            yield raw


@contextmanager
def _compressed(raw: IO[bytes], kind: str) -> Iterator[IO[bytes]]:
    if kind == "gzip":
        with gzip.GzipFile(fileobj=raw, mode="wb", compresslevel=1, mtime=0) as file:
            yield file  # type: ignore[misc]
    elif kind == "zstd":
        import pyarrow

        sink = pyarrow.PythonFile(_Kept(raw), "w")
        with pyarrow.CompressedOutputStream(sink, "zstd") as file:
            yield file
    else:
        yield raw


class _Kept:
    """A file that is written to and not closed: its owner has more to do with it."""

    closed = False

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def write(self, data: Any) -> int:
        return self._file.write(data)

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        self._file.flush()


def lock(file: Any, trouble: str) -> None:
    """Holds a file or folder until it is closed. Raises UserError where somebody else holds it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise UserError(f"{trouble}; wait until that has ended.") from None
