"""Where shards lie: from the path in a row to a file that can be read here, and from a file built here to its place.

The path of a row (of a shard or a prediction set) is relative to the workspace, or the URL of an object: some may lie
here and others there. Files are built in the workspace under names of their own; `storage.shards` says where those that
are new go.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.models import PredictionSet, Shard
from omnisrc.errors import ItemError, UserError
from omnisrc.shards.attribution import attribution_paths
from omnisrc.shards.cache import ShardCache
from omnisrc.shards.objects import MissingObject, ObjectStore
from omnisrc.shards.read import read_bytes
from omnisrc.shards.settings import StorageSettings
from omnisrc.shards.write import index_path
from omnisrc.study import Study

CHUNK = 400

log = logging.getLogger(__name__)


def is_remote(place: str) -> bool:
    return "://" in place


def name_of(place: str) -> str:
    """What stays the same wherever a shard lies: its folder's and its file's name; of other files the whole path."""
    return "/".join(place.rsplit("/", 2)[-2:]) if is_remote(place) else place


def sidecars(place: str, kind: str) -> list[str]:
    """The places of a shard's files: itself, its index, and the attributions of a curated one."""
    folder, _, name = place.rpartition("/")
    tar = Path(name)
    beside = [tar, index_path(tar), *(attribution_paths(tar) if kind == "curated" else ())]
    return [f"{folder}/{path.name}" for path in beside]


class ShardStore:
    """The door to shards and what lies beside them.

    Args:
        root: the workspace, from which relative paths count.
    """

    def __init__(self, root: Path, settings: StorageSettings | None = None) -> None:
        self.root, self.settings = root, settings or StorageSettings()
        self.objects = ObjectStore(self.settings)
        folder = Path(self.settings.cache_dir).expanduser() if self.settings.cache_dir else root / "cache" / "shards"
        self.cache = ShardCache(folder, self.settings.cache_bytes, self.objects)

    def place_of(self, file: Path) -> str:
        """The path for the row of a file that was built in the workspace."""
        inside = file.resolve().relative_to(self.root).as_posix()
        return f"{self.settings.shards}/{inside}" if self.settings.shards else inside

    def put(self, files: Iterable[Path]) -> None:
        """Copies files to their place, where that is not the workspace. To put one again is harmless.

        Raises:
            ItemError: STORAGE; the store does not take them.
        """
        if self.settings.shards:
            for file in files:
                self.objects.put(file, self.place_of(file))

    def settle(self, files: Iterable[Path]) -> None:
        """A commit named them: what was copied to the store is read from the cache from now on."""
        if self.settings.shards:
            for file in files:
                self.cache.take_in(self.place_of(file), file)

    def drop(self, files: Iterable[Path]) -> None:
        """No row names them: they go, here and there. What a store keeps is litter to `omnisrc doctor`."""
        places = []
        for file in files:
            file.unlink(missing_ok=True)
            places.append(self.place_of(file))
        try:
            self.delete(place for place in places if is_remote(place))
        except (ItemError, UserError) as error:
            log.warning("left behind: %s", error)

    def holding(self, place: str, *, index: bool = False) -> AbstractContextManager[Path]:
        """The file of a place for as long as the context lasts, downloaded where it has to be; with `index`, that of a
        shard beside it. `StoreError` where the store does not answer; who reads a file that is missing finds out."""
        return self._holding(place, index)

    @contextmanager
    def _holding(self, place: str, index: bool) -> Iterator[Path]:
        if not is_remote(place):
            yield self.root / place
            return
        with ExitStack() as held:
            for needed in sidecars(place, "")[: 2 if index else 1]:
                with suppress(MissingObject):
                    held.enter_context(self.cache.holding(needed))
            yield self.cache.path_of(place)

    def read(self, place: str, offset: int, length: int) -> bytes:
        """A part of a file, without the rest of it where it lies in the store alone."""
        if is_remote(place) and not self.cache.has(place):
            return self.objects.read(place, offset, length)
        with self.holding(place) as path:
            return read_bytes(path, offset, length)

    def size(self, place: str) -> int | None:
        """Bytes of a place's file where it lies, not in the cache; None where there is none."""
        if is_remote(place):
            return self.objects.size(place)
        path = self.root / place
        return path.stat().st_size if path.is_file() else None

    def delete(self, places: Iterable[str]) -> None:
        """Removes files where they lie, and from this machine's cache."""
        for place in places:
            if is_remote(place):
                self.objects.delete([place])
                self.cache.forget(place)
            else:
                (self.root / place).unlink(missing_ok=True)


class Held(ExitStack):
    """Files of several places, all held until the end of the context."""

    def __init__(self, store: ShardStore) -> None:
        super().__init__()
        self._store = store
        self._paths: dict[str, Path] = {}

    def __call__(self, place: str) -> Path:
        if place not in self._paths:
            self._paths[place] = self.enter_context(self._store.holding(place))
        return self._paths[place]


def store_of(study: Study) -> ShardStore:
    return ShardStore(study.root, study.section(StorageSettings))


@contextmanager
def published(study: Study, files: Iterable[Path]) -> Iterator[None]:
    """Files that were built here are in their place while the block commits their rows. If that fails, those go that no
    row names: a commit may have happened whose answer was lost."""
    store, made = store_of(study), list(files)
    try:
        store.put(made)
        yield
    except BaseException:
        drop_unrecorded(study, made)
        raise
    store.settle(made)


def drop_unrecorded(study: Study, files: Iterable[Path]) -> None:
    """Deletes files that were built here, but for those of shards and prediction sets that a row names."""
    store = store_of(study)
    made = {file: store.place_of(file) for file in files}
    heads = {place for place in made.values() if place.endswith((".tar", ".npz"))}
    named = study.database().read(lambda session: recorded(session, heads)) if heads else set()
    kept = {beside for place in named for beside in (place, *sidecars(place, "curated"))}
    store.drop(file for file, place in made.items() if place not in kept)


def recorded(session: Session, places: Iterable[str]) -> set[str]:
    """Those of the places that a row names."""
    wanted, found = sorted(places), set[str]()
    for start in range(0, len(wanted), CHUNK):
        part = wanted[start : start + CHUNK]
        found |= set(session.scalars(select(Shard.path).where(Shard.path.in_(part))))
        found |= set(session.scalars(select(PredictionSet.path).where(PredictionSet.path.in_(part))))
    return found
