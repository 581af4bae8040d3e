"""Objects on the local disk: downloaded once for all processes of a machine, bounded, the longest unused go first.

A file is held by a shared lock on itself; whoever would remove it must have the exclusive one. Files are made and
removed under the lock of the whole folder. Locks end with the process that has them, however it ends.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from omnisrc.errors import ErrorClass
from omnisrc.shards.objects import MissingObject, ObjectStore
from omnisrc.shards.write import storage_error

PART, LOCK = ".part", ".lock"


class ShardCache:
    """Files of objects by URL, in a folder of about `limit` bytes."""

    def __init__(self, folder: Path, limit: int, objects: ObjectStore) -> None:
        self.folder, self.limit, self.objects = folder, limit, objects

    def path_of(self, url: str) -> Path:
        """Where an object's file is, if it is there; files of one folder of the store are beside each other."""
        place, _, name = url.rpartition("/")
        return self.folder / hashlib.sha256(place.encode()).hexdigest()[:16] / name

    @contextmanager
    def holding(self, url: str) -> Iterator[Path]:
        """The file of an object, which stays for as long as the context lasts. `ItemError(STORAGE)`: it cannot be had,
        or this disk does not take it."""
        path = self.path_of(url)
        try:
            handle = _hold(path) or self._download(url, path)
            os.utime(handle)
        except OSError as error:
            raise storage_error(path, error) from error
        try:
            yield path
        finally:
            os.close(handle)

    def has(self, url: str) -> bool:
        return self.path_of(url).exists()

    def take_in(self, url: str, file: Path) -> None:
        """Moves a file here that was put to the store just now. What does not fit, or lies on another disk, is removed:
        it can be had again."""
        path = self.path_of(url)
        with suppress(OSError), self._locked():
            if self._make_room(file.stat().st_size):
                path.parent.mkdir(parents=True, exist_ok=True)
                os.rename(file, path)
                return
        file.unlink(missing_ok=True)

    def forget(self, url: str) -> None:
        """Removes the file of an object that is no more; readers that have it open read on."""
        self.path_of(url).unlink(missing_ok=True)

    def _download(self, url: str, path: Path) -> int:
        """Waits for another process that downloads it, or does so. A handle that holds the file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with _claimed(path.with_name(path.name + LOCK)):
            if (handle := _hold(path)) is not None:
                return handle
            size = self.objects.size(url)
            if size is None:
                raise MissingObject(ErrorClass.STORAGE, f"{url}: there is no such object")
            part = path.with_name(path.name + PART)
            with self._locked():
                self._make_room(size)
                handle = os.open(part, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
                fcntl.flock(handle, fcntl.LOCK_EX)
                os.truncate(handle, size)  # so that others count it
            try:
                self.objects.download(url, handle, size)
                with self._locked():
                    os.rename(part, path)
                    fcntl.flock(handle, fcntl.LOCK_SH)
            except BaseException:
                part.unlink(missing_ok=True)
                os.close(handle)
                raise
            return handle

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self.folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def _make_room(self, size: int) -> bool:
        """Removes parts of dead downloads, and what was unused for longest until `size` bytes fit; whether they fit."""
        there: list[tuple[float, int, Path]] = []
        for path in self.folder.glob("*/*"):
            with suppress(OSError):
                status = path.stat()
                if path.name.endswith(PART) and _remove(path):
                    continue
                if not path.name.endswith(LOCK):
                    there.append((status.st_mtime, status.st_size, path))
        total = sum(length for _, length, _ in there)
        for _, length, path in sorted(there):
            if total + size <= self.limit:
                break
            if not path.name.endswith(PART) and _remove(path):
                total -= length
        return total + size <= self.limit


def _hold(path: Path) -> int | None:
    """A handle with a shared lock on the file of that name; None where there is none."""
    while True:
        try:
            handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        fcntl.flock(handle, fcntl.LOCK_SH)
        if _is(path, handle):
            return handle
        os.close(handle)  # it was removed before we had the lock


def _remove(path: Path) -> bool:
    """Removes a file unless somebody holds it."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink(missing_ok=True)
        return True
    except BlockingIOError:
        return False
    finally:
        os.close(handle)


@contextmanager
def _claimed(path: Path) -> Iterator[None]:
    """Alone in the context; the file of the lock is gone after it."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        fcntl.flock(handle, fcntl.LOCK_EX)
        if _is(path, handle):
            break
        os.close(handle)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(handle)


def _is(path: Path, handle: int) -> bool:
    """Whether the name still belongs to the open file."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(handle))
    except FileNotFoundError:
        return False
