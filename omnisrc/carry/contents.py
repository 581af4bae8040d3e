"""What of a study travels: what rows of the catalogue name, and the folders of models, runs and reports."""

from __future__ import annotations

import io
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.models import PredictionSet, Shard
from db.session import Database
from omnisrc.data.flow_cache import FACTS, cache_names, flow_files
from omnisrc.data.flow_cache import FOLDER as FLOW
from omnisrc.errors import UserError, WorldError
from omnisrc.shards.objects import BLOCK, MissingObject
from omnisrc.shards.store import ShardStore, is_remote, name_of, sidecars, store_of
from omnisrc.study import Study

FOLDERS = ("models", "runs", "reports")
MAY_STAY = ("landing", *FOLDERS, FLOW)
"""What a study can be carried without: it trains on curated and target shards."""


@dataclass(frozen=True)
class CarriedFile:
    """One file: its place (as a row has it), the name that it has in a workspace, its size in bytes."""

    place: str
    name: str
    bytes: int


def parse_without(text: str | None) -> frozenset[str]:
    """`landing,runs` -> its words. Raises UserError."""
    words = frozenset(word.strip() for word in (text or "").split(",") if word.strip())
    if wrong := sorted(words - set(MAY_STAY)):
        raise UserError(f"--without {wrong[0]} cannot be; what may stay behind: {', '.join(MAY_STAY)}.")
    return words


def carried_files(study: Study, catalogue: Database, without: Collection[str]) -> list[CarriedFile]:
    """The files that the rows of `catalogue` name, here and in object stores, and what lies in the folders.

    Raises:
        WorldError: one is missing.
        UserError, ItemError: an object store that holds some cannot be asked.
    """
    store = store_of(study)
    needed, beside = catalogue.read(_named)
    sizes = _sizes(store, {*needed, *beside})
    if missing := set(needed) - sizes.keys():
        raise WorldError(
            f"{len(missing):,} files of the study are missing, such as {min(missing)}; see `omnisrc doctor`, and "
            "export when they are back."
        )
    flow = {} if FLOW in without else whole_flow(store)
    sizes |= flow
    folders = [name for folder in FOLDERS if folder not in without for name in _files(study.root, folder)]
    sizes |= _sizes(store, folders)
    names = {place: f"{FLOW}/{'/'.join(place.split('/')[-2 if place.endswith(FACTS) else -3 :])}" for place in flow}
    return [CarriedFile(place, names.get(place) or name_of(place), sizes[place]) for place in sorted(sizes)]


def open_file(study: Study, place: str, size: int) -> IO[bytes]:
    """A file of the study by the place that its row has. Raises FileNotFoundError: it is gone."""
    if is_remote(place):
        return io.BufferedReader(_Object(store_of(study), place, size), max(1, min(BLOCK, size)))
    return (study.root / place).open("rb")


class _Object(io.RawIOBase):
    """An object from its beginning to its end, without a copy of the whole on this disk."""

    def __init__(self, store: ShardStore, place: str, size: int) -> None:
        self._store, self._place, self._left, self._at = store, place, size, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        length = min(len(buffer), self._left)
        try:
            buffer[:length] = self._store.read(self._place, self._at, length) if length else b""
        except MissingObject as error:
            raise FileNotFoundError(self._place) from error
        self._at, self._left = self._at + length, self._left - length
        return length


def _sizes(store: ShardStore, places: Iterable[str]) -> dict[str, int]:
    """Bytes of the files that are there; a store is asked for whole folders."""
    found, folders = {}, set()
    for place in places:
        path = store.root / place
        if is_remote(place):
            folders.add(place.rpartition("/")[0])
        elif path.is_file():
            found[place] = path.stat().st_size
    listed = {place: size for folder in folders for place, size in store.objects.list(folder).items()}
    return found | {place: listed[place] for place in places if place in listed}


def _named(session: Session) -> tuple[list[str], list[str]]:
    """Places of files that must be there, and of those that may be: attributions of shards."""
    needed, beside = list(session.scalars(select(PredictionSet.path))), []
    for path, kind in session.execute(select(Shard.path, Shard.kind).where(Shard.freed.is_(False))):
        tar, index, *others = sidecars(path, kind)
        needed += [tar, index]
        beside += others
    return needed, beside


def whole_flow(store: ShardStore) -> dict[str, int]:
    """Place -> bytes of the files of finished flow, each from the workspace or else from the object store."""
    there = flow_files(store)
    tars = {place for place in there if place.endswith(".tar") and sidecars(place, "")[1] in there}
    files = {file for place in tars for file in sidecars(place, "")[:2]}
    facts = {place for name in cache_names(store) for place in [_facts_of(store, name)]}
    here = {f"{store.settings.shards}/{place}" for place in files | facts if not is_remote(place)}
    sizes = {place: there[place] for place in files - here}
    return sizes | {place: size for place in facts if (size := store.size(place)) is not None}


def _facts_of(store: ShardStore, name: str) -> str:
    path = store.root / FLOW / name / FACTS
    return path.relative_to(store.root).as_posix() if path.exists() else store.place_of(path)


def _files(root: Path, folder: str) -> Iterator[str]:
    for path in sorted((root / folder).rglob("*")):
        if path.is_file() and not path.name.endswith((".part", ".lock")):
            yield path.relative_to(root).as_posix()
