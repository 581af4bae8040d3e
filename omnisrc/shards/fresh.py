"""Copies of objects as they lie in their store just now, in the workspace's cache while somebody looks at them.

Who makes one holds a lock that all share; what lies there while nobody holds it was left by a process that was killed.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from omnisrc.shards.store import ShardStore, is_remote

FOLDER = "cache"


def left_copies(root: Path) -> dict[str, int]:
    """Folder, relative to the workspace `root` -> bytes, of copies that nobody looks at."""
    with _alone(root) as alone:
        folders = _folders(root) if alone else []
        return {
            folder.relative_to(root).as_posix(): sum(path.stat().st_size for path in folder.iterdir())
            for folder in folders
        }


def remove_copies(root: Path) -> None:
    """Removes copies that nobody looks at."""
    with _alone(root) as alone:
        for folder in _folders(root) if alone else []:
            shutil.rmtree(folder, ignore_errors=True)


def is_copy(place: str) -> bool:
    """Whether it is one of the folders that `left_copies` names."""
    return place.startswith(f"{FOLDER}/fresh-")


def _folders(root: Path) -> list[Path]:
    return sorted((root / FOLDER).glob("fresh-*/"))


@contextmanager
def _alone(root: Path) -> Iterator[bool]:
    """Whether nobody looks at copies; nobody begins to before the end of the context."""
    if not _folders(root):
        yield False
        return
    with _opened(root) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


def _opened(root: Path) -> IO[str]:
    (root / FOLDER).mkdir(parents=True, exist_ok=True)
    return (root / FOLDER / "fresh.lock").open("a")


class Fresh:
    """Files of one folder as they lie in their place just now, not as the cache has them; gives the first."""

    def __init__(self, store: ShardStore, places: Sequence[str]) -> None:
        self._store, self._places = store, places
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._lock: IO[str] | None = None

    def __enter__(self) -> Path:
        if not is_remote(self._places[0]):
            return self._store.root / self._places[0]
        self._lock = _opened(self._store.root)
        fcntl.flock(self._lock, fcntl.LOCK_SH)
        self._folder = tempfile.TemporaryDirectory(dir=self._store.root / FOLDER, prefix="fresh-")
        try:
            got = [path for place in self._places if (path := self._get(place)) is not None]
            return got[0]
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_: object) -> None:
        if self._folder is not None and self._lock is not None:
            self._folder.cleanup()
            self._lock.close()

    def _get(self, place: str) -> Path | None:
        assert self._folder is not None
        size, path = self._store.objects.size(place), Path(self._folder.name) / place.rpartition("/")[2]
        if size is None:
            return None
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            self._store.objects.download(place, handle, size)
        finally:
            os.close(handle)
        return path
