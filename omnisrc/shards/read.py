"""Read samples of a shard: one member by its place, one sample by its key, or all in order."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from omnisrc.errors import ErrorClass, ItemError
from omnisrc.shards.write import Member, index_path, storage_error


def read_bytes(path: str | Path, offset: int, length: int) -> bytes:
    """The bytes of one member. A missing file or one that ends too soon is `ItemError(STORAGE)`."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise storage_error(Path(path), error) from error
    try:
        return _pread(handle, Path(path), offset, length)
    finally:
        os.close(handle)


def _pread(handle: int, path: Path, offset: int, length: int) -> bytes:
    chunks = []
    missing = length
    while missing > 0:
        try:
            chunk = os.pread(handle, missing, offset + length - missing)
        except OSError as error:
            raise storage_error(path, error) from error
        if not chunk:
            raise ItemError(ErrorClass.STORAGE, f"{path}: ends {missing} bytes short of {offset} + {length}")
        chunks.append(chunk)
        missing -= len(chunk)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def read_index(path: Path) -> list[Member]:
    """The members of a shard as its index names them; `path` is the tar or the index.

    A missing or garbled index is `ItemError(STORAGE)`.
    """
    path = index_path(path)
    try:
        lines = path.read_text("ascii").splitlines()
        return [
            Member(key, ext, int(offset), int(length)) for key, ext, offset, length in (x.split("\t") for x in lines)
        ]
    except OSError as error:
        raise storage_error(path, error) from error
    except ValueError as error:
        raise ItemError(ErrorClass.STORAGE, f"{path}: not an index: {error}") from error


def scan_members(path: Path) -> list[Member]:
    """The members of a tar by its own headers, in its order; for shards without an index and for verification."""
    try:
        with tarfile.open(path, "r:") as tar:
            return [Member(*split_name(info.name), info.offset_data, info.size) for info in tar if info.isfile()]
    except tarfile.TarError as error:
        raise ItemError(ErrorClass.STORAGE, f"{path}: not a tar: {error}") from error
    except OSError as error:
        raise storage_error(path, error) from error


def split_name(name: str) -> tuple[str, str]:
    """Key and field of a member's name, by WebDataset's rule: at the first dot of the base name."""
    folder, slash, base = name.rpartition("/")
    stem, _, ext = base.partition(".")
    return f"{folder}{slash}{stem}", ext.lower()


class ShardReader:
    """One shard: iterate it for `(key, {ext: bytes})` in order, or ask for one sample with `get`.

    Uses the index; a shard from elsewhere that has none is scanned. Nothing is kept open, so a reader may be passed
    to another process.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @cached_property
    def samples(self) -> dict[str, list[Member]]:
        """The members of each sample, by key, in the order of the tar."""
        members = read_index(self.path) if index_path(self.path).exists() else scan_members(self.path)
        samples: dict[str, list[Member]] = {}
        for member in members:
            samples.setdefault(member.key, []).append(member)
        return samples

    def __len__(self) -> int:
        return len(self.samples)

    def __iter__(self) -> Iterator[tuple[str, dict[str, bytes]]]:
        try:
            handle = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise storage_error(self.path, error) from error
        try:
            for key, members in self.samples.items():
                yield key, {m.ext: _pread(handle, self.path, m.offset, m.length) for m in members}
        finally:
            os.close(handle)

    def get(self, key: str) -> dict[str, bytes]:
        """One sample's fields; `KeyError` for a key that the shard does not hold."""
        return {m.ext: read_bytes(self.path, m.offset, m.length) for m in self.samples[key]}
