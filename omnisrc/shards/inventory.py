"""Files against rows, here and in object stores: a file without a row is litter, a row without its file is damage."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.models import Job, PredictionSet, Shard
from omnisrc.shards.fresh import Fresh, is_copy, left_copies, remove_copies
from omnisrc.shards.places import own_places
from omnisrc.shards.store import ShardStore, is_remote, sidecars, store_of
from omnisrc.shards.turns import using_shards
from omnisrc.shards.verify import file_sha256, verify_shard
from omnisrc.study import Study

KINDS = ("landing", "curated", "target")
JOB_FOLDERS = "fetch-*"  # what a fetch job makes for downloads by other programs


@dataclass
class Inventory:
    """What was found: litter (bytes by place; folders of dead jobs too) may be removed; damage is for a person to
    judge."""

    shards: int = 0
    bytes: int = 0
    litter: dict[str, int] = field(default_factory=dict)
    damage: list[str] = field(default_factory=list)


def take_inventory(study: Study, *, deep: bool = False) -> Inventory:
    """Compares the shard folders with the catalogue. `deep` reads every file and checks hash, index and count.

    Raises:
        UserError, ItemError: an object store that holds shards cannot be asked.
    """
    store = store_of(study)
    files = list_files(store, own_places(study))  # before the rows: no new file is litter
    shards, sets, tokens = study.database().read(_rows)
    found = Inventory()
    known: set[str] = set()
    for shard in shards:
        if shard.freed:
            continue
        known |= set(sidecars(shard.path, "curated"))
        found.shards += 1
        found.bytes += shard.bytes
        found.damage += [f"{shard.path}: {problem}" for problem in _problems(store, files, shard, deep)]
    for made in sets:
        known.add(made.path)
        found.damage += [f"{made.path}: {problem}" for problem in _set_problems(store, files, made, deep)]
    left = {place: size for place, size in files.items() if place not in known and not _in_work(place, tokens)}
    # A job that has ended since took its own away.
    found.litter = {place: left[place] for place in sorted(left) if is_remote(place) or (store.root / place).exists()}
    found.litter |= left_copies(store.root)
    return found


def list_files(store: ShardStore, folders: Sequence[str]) -> dict[str, int]:
    """Place -> bytes of all files in the workspace's shard folders and in those of the object stores' `folders`, and
    of the folders that bear a job's token (0): another one that is empty may be about to be used."""
    files = {}
    for path in (path for kind in KINDS for path in (store.root / kind).rglob("*")):
        if path.is_file() or (path.is_dir() and path.match(JOB_FOLDERS)):
            files[path.relative_to(store.root).as_posix()] = path.stat().st_size if path.is_file() else 0
    for folder in folders:
        for kind in KINDS:
            files |= store.objects.list(f"{folder}/{kind}")
    return files


def remove_litter(study: Study, inventory: Inventory) -> int:
    """Removes files that no row names, and the folders of dead jobs; the bytes that this freed.

    Raises:
        UserError: shards are being moved or freed just now: their copies only look like litter.
    """
    if inventory.litter:
        with using_shards(study):
            store = store_of(study)
            remove_copies(store.root)
            litter = {place for place in inventory.litter if not is_copy(place)}
            folders = [place for place in litter if not is_remote(place) and (store.root / place).is_dir()]
            store.delete(litter - set(folders))
            for place in sorted(folders, reverse=True):
                with suppress(OSError):  # somebody has put something into it
                    (store.root / place).rmdir()
    return sum(inventory.litter.values())


def _rows(session: Session) -> tuple[list[Shard], list[PredictionSet], set[str]]:
    tokens = session.scalars(select(Job.lease_token).where(Job.lease_token.is_not(None)))
    return (
        list(session.scalars(select(Shard).order_by(Shard.id))),
        list(session.scalars(select(PredictionSet))),
        {token for token in tokens if token},
    )


def _in_work(place: str, tokens: set[str]) -> bool:
    """Whether a running job is writing it: its name, or that of its folder, holds that job's token."""
    return any(token in part for token in tokens for part in place.split("/")[-3:])


def _problems(store: ShardStore, files: dict[str, int], shard: Shard, deep: bool) -> list[str]:
    tar, index = sidecars(shard.path, "")
    size = _size(store, files, tar)
    if size is None:
        return ["the file of a shard is missing"]
    if deep:
        with Fresh(store, [tar, index]) as path:
            return verify_shard(path, count=shard.count, bytes=shard.bytes, sha256=shard.sha256)
    return [] if size == shard.bytes else [f"it has {size} bytes, {shard.bytes} were written"]


def _set_problems(store: ShardStore, files: dict[str, int], made: PredictionSet, deep: bool) -> list[str]:
    if _size(store, files, made.path) is None:
        return ["the file of a prediction set is missing"]
    if deep:
        with Fresh(store, [made.path]) as path:
            if file_sha256(path) != made.sha256:
                return ["the file of a prediction set does not have the SHA-256 it was written with"]
    return []


def _size(store: ShardStore, files: dict[str, int], place: str) -> int | None:
    return files[place] if place in files else store.size(place)
