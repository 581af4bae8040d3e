"""Write one shard: a WebDataset tar that is the same to the byte for the same samples, and its index.

A shard is built as `NAME.tar.part`, hashed while it is written, synced to disk and renamed to `NAME.tar`. The index
`NAME.idx` takes its name first, so a `NAME.tar` is never without one. Whoever calls this names the shard so that no
other writer uses the name (a lease token is part of it).
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import tarfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, NamedTuple

from omnisrc.errors import ErrorClass, ItemError

BLOCK = 512
KEY_PATTERN = re.compile(r"[a-z0-9_-]{1,80}")
FIELD_PATTERN = re.compile(r"[a-z0-9]+(\.[a-z0-9]+)*")


class Member(NamedTuple):
    """One file of a shard: `offset` is its first data byte in the tar, `length` its size in bytes."""

    key: str
    ext: str
    offset: int
    length: int


@dataclass(frozen=True)
class ShardFile:
    """A finished shard: `count` samples in `bytes` bytes."""

    path: Path
    name: str
    count: int
    bytes: int
    sha256: str
    members: tuple[Member, ...]


def index_path(tar: Path) -> Path:
    """The index that belongs to a shard: `NAME.idx` beside `NAME.tar`."""
    return tar.with_suffix(".idx")


def index_text(members: tuple[Member, ...]) -> str:
    """One line `key<TAB>ext<TAB>offset<TAB>length` for each member, in the order of the tar."""
    return "".join(f"{key}\t{ext}\t{offset}\t{length}\n" for key, ext, offset, length in members)


class ShardWriter:
    """Writes the samples of one shard; as a context manager it aborts whatever was not closed.

    A failing disk (full, over quota, unwritable) is `ItemError(STORAGE)`, and nothing is left behind. A sample that
    breaks the format's rules (see `write`) is the caller's bug: `ValueError`.
    """

    def __init__(self, folder: Path, name: str) -> None:
        if not KEY_PATTERN.fullmatch(name):
            raise ValueError(f"shard name {name!r} is not made of 1 to 80 of [a-z0-9_-]")
        self.folder = folder
        self.name = name
        self.path = folder / f"{name}.tar"
        self.count = 0
        self.bytes = 0
        self._part = folder / f"{name}.tar.part"
        self._index_part = folder / f"{name}.idx.part"
        self._sha256 = hashlib.sha256()
        self._members: list[Member] = []
        self._keys: set[str] = set()
        self._fields: tuple[str, ...] | None = None
        self._file: BinaryIO | None = None
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = io.BufferedWriter(io.FileIO(self._part, "wb"), 1 << 20)
        except OSError as error:
            raise storage_error(self._part, error) from error

    def write(self, key: str, fields: Mapping[str, bytes]) -> list[Member]:
        """Add one sample: its fields by extension, without the leading dot, written next to each other.

        Keys are of `[a-z0-9_-]` and occur once; every sample has the same fields, in sorted order. (A dot in a key
        would make WebDataset readers merge samples; unequal fields break viewers.)
        """
        self._check(key, fields)
        members = []
        try:
            for ext in sorted(fields):
                data = fields[ext]
                self._put(member_header(f"{key}.{ext}", len(data)))
                members.append(Member(key, ext, self.bytes, len(data)))
                self._put(data)
                self._put(bytes(-len(data) % BLOCK))
        except OSError as error:
            self.abort()
            raise storage_error(self._part, error) from error
        self._keys.add(key)
        self._members += members
        self.count += 1
        return members

    def close(self) -> ShardFile:
        """Finish the shard and give it its name; on any failure nothing is left behind."""
        file = self._opened()
        members = tuple(self._members)
        try:
            self._put(bytes(2 * BLOCK))
            file.flush()
            os.fsync(file.fileno())
            file.close()
            with open(self._index_part, "wb") as index:
                index.write(index_text(members).encode())
                index.flush()
                os.fsync(index.fileno())
            os.rename(self._index_part, index_path(self.path))
            os.rename(self._part, self.path)
            sync_folder(self.folder)
        except OSError as error:
            self.abort()
            for path in (index_path(self.path), self.path):
                path.unlink(missing_ok=True)
            raise storage_error(self.path, error) from error
        self._file = None
        return ShardFile(self.path, self.name, self.count, self.bytes, self._sha256.hexdigest(), members)

    def abort(self) -> None:
        """Drop what was written. Harmless after `close` and when called twice."""
        file, self._file = self._file, None
        if file is None:
            return
        with suppress(OSError):  # the buffer may still hold bytes that a full disk does not take
            file.close()
        self._part.unlink(missing_ok=True)
        self._index_part.unlink(missing_ok=True)

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.abort()

    def _opened(self) -> BinaryIO:
        if self._file is None:
            raise ValueError(f"shard {self.name} is closed")
        return self._file

    def _check(self, key: str, fields: Mapping[str, bytes]) -> None:
        self._opened()
        if not KEY_PATTERN.fullmatch(key):
            raise ValueError(f"sample key {key!r} is not made of 1 to 80 of [a-z0-9_-]")
        if key in self._keys:
            raise ValueError(f"sample key {key!r} occurs twice in shard {self.name}")
        names = tuple(sorted(fields))
        if not names or not all(FIELD_PATTERN.fullmatch(name) for name in names):
            raise ValueError(f"sample {key!r} has fields {names}; they are lower-case extensions without a leading dot")
        if self._fields is None:
            self._fields = names
        elif names != self._fields:
            raise ValueError(f"sample {key!r} has fields {names}, the others of shard {self.name} have {self._fields}")

    def _put(self, data: bytes) -> None:
        self._opened().write(data)
        self._sha256.update(data)
        self.bytes += len(data)


def member_header(name: str, length: int) -> bytes:
    """The 512-byte ustar header of one member, as `tarfile` writes it; everything that could differ between runs is
    fixed. Made once: of a member's header, only name, size and checksum are its own."""
    told, size = name.encode("ascii"), b"%011o" % length
    if len(told) > 100 or len(size) > 11:
        raise ValueError(f"member {name!r} of {length} bytes does not fit into a ustar header")
    checksum = b"%06o\0" % (_BLANK_SUM + sum(told) + sum(size))
    return told.ljust(100, b"\0") + _BLANK[100:124] + size + _BLANK[135:148] + checksum + _BLANK[155:]


def _blank_header() -> bytes:
    info = tarfile.TarInfo()
    info.mode, info.mtime = 0o644, 0
    return info.tobuf(tarfile.USTAR_FORMAT)


_BLANK = _blank_header()
_BLANK_SUM = sum(_BLANK[:124]) + sum(_BLANK[135:148]) + 8 * ord(" ") + sum(_BLANK[156:])
"""A header's checksum counts its own eight bytes as blanks."""


def sync_folder(folder: Path) -> None:
    """Make renames in a folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def storage_error(path: Path, error: OSError) -> ItemError:
    return ItemError(ErrorClass.STORAGE, f"{path}: {error.strerror or error}")
