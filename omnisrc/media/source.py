"""Where the bytes of an image or a video are: in memory, in a file, or in a part of a file (a member of a shard)."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import NamedTuple

from omnisrc.errors import ErrorClass, ItemError
from omnisrc.media.sniff import SNIFF_BYTES


class MediaRef(NamedTuple):
    """`length` bytes of the file `path` from byte `offset` on."""

    path: str
    offset: int
    length: int


Source = bytes | Path | MediaRef


def source_size(source: Source) -> int:
    """How many bytes a source has; a missing file is `ItemError(STORAGE)`."""
    if isinstance(source, bytes):
        return len(source)
    if isinstance(source, MediaRef):
        return source.length
    try:
        return source.stat().st_size
    except OSError as error:
        raise ItemError(ErrorClass.STORAGE, f"{source}: {error.strerror}") from error


def read_source(source: Source, limit: int | None = None) -> bytes:
    """All bytes of a source, or the first `limit`; a file that ends too soon is `ItemError(STORAGE)`."""
    if isinstance(source, bytes):
        return source if limit is None else source[:limit]
    size = source_size(source)
    wanted = size if limit is None else min(size, limit)
    with open_source(source) as file:
        data = file.read(wanted)
    if len(data) < wanted:
        raise ItemError(ErrorClass.STORAGE, f"{source}: {len(data)} bytes of {wanted}")
    return data


def read_head(source: Source) -> bytes:
    """The bytes that `sniff` looks at."""
    return read_source(source, SNIFF_BYTES)


class Region(io.RawIOBase):
    """A part of a file as a file of its own: read-only, seekable, closed with `close`."""

    def __init__(self, ref: MediaRef) -> None:
        try:
            self._handle = os.open(ref.path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise ItemError(ErrorClass.STORAGE, f"{ref.path}: {error.strerror}") from error
        self._ref = ref
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._ref.length}[whence]
        self._at = max(0, base + offset)
        return self._at

    def read(self, size: int = -1) -> bytes:
        left = max(0, self._ref.length - self._at)
        data = os.pread(self._handle, left if size < 0 else min(size, left), self._ref.offset + self._at)
        self._at += len(data)
        return data

    def close(self) -> None:
        if not self.closed:
            os.close(self._handle)
        super().close()


def open_source(source: Source) -> io.BytesIO | Region:
    """A seekable binary file over any source; a missing file is `ItemError(STORAGE)`."""
    if isinstance(source, bytes):
        return io.BytesIO(source)
    if isinstance(source, Path):
        source = MediaRef(str(source), 0, source_size(source))
    return Region(source)
