"""Shards move from one place to another: each is copied, compared, named anew by its row, and then gone where it was.

Killed at any moment, a move leaves shards at the old place or the new one and at most one copy too many, which the next
move (or `omnisrc doctor`) removes.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from db.models import PredictionSet, Shard
from omnisrc.errors import UserError, WorldError
from omnisrc.shards.fresh import Fresh, remove_copies
from omnisrc.shards.inventory import KINDS, list_files
from omnisrc.shards.objects import BLOCK
from omnisrc.shards.places import own_places, take_place
from omnisrc.shards.settings import check_url
from omnisrc.shards.store import ShardStore, is_remote, name_of, sidecars, store_of
from omnisrc.shards.turns import busy_stages, changing_shards, nobody_trains
from omnisrc.shards.verify import file_sha256
from omnisrc.shards.write import storage_error, sync_folder
from omnisrc.study import Study

HERE = "local"


@dataclass(frozen=True)
class Thing:
    """What moves as one: a shard with the files beside it, or the file of a prediction set."""

    table: type[Shard] | type[PredictionSet]
    id: int
    path: str
    sha256: str
    kind: str

    def files(self, place: str) -> list[str]:
        return sidecars(place, self.kind) if self.table is Shard else [place]


@dataclass
class Moved:
    """`files` were moved with `bytes` bytes, `there` were in their place already; `damaged` stay where they are."""

    files: int = 0
    bytes: int = 0
    there: int = 0
    damaged: list[str] = field(default_factory=list)


def destination_of(text: str) -> str:
    """`local` -> ``, a URL -> itself.

    Raises:
        UserError: it is neither.
    """
    if text == HERE:
        return ""
    try:
        return check_url(text)
    except ValueError as error:
        raise UserError(f"The destination is neither `{HERE}` nor an object store: {error}.") from error


def move_shards(
    study: Study,
    destination: str,
    kinds: Sequence[str] = KINDS,
    report: Callable[[int, int], None] = lambda done, count: None,
) -> Moved:
    """Moves all shards of the kinds, with the prediction sets of landing shards, to `destination`.

    Raises:
        UserError: it is neither `local` nor a folder of an object store that can be written to; somebody reads shards.
        ItemError, WorldError: a store or the disk failed; the same command goes on.
    """
    folder = destination_of(destination)
    if folder:
        take_place(study, folder)
    store, moved = store_of(study), Moved()
    with changing_shards(study), nobody_trains(study):
        _remove_leftovers(study, store)
        things = study.database().read(lambda session: list_things(session, kinds))
        for done, thing in enumerate(things):
            report(done, len(things))
            _move(study, store, thing, f"{folder}/{name_of(thing.path)}".lstrip("/"), moved)
        report(len(things), len(things))
    return moved


def list_things(session: Session, kinds: Sequence[str]) -> list[Thing]:
    """Shards of the kinds that have files, and the prediction sets of landing shards."""
    shards = session.scalars(select(Shard).where(Shard.kind.in_(kinds), Shard.freed.is_(False)).order_by(Shard.id))
    things = [Thing(Shard, row.id, row.path, row.sha256, row.kind) for row in shards]
    if "landing" in kinds:
        sets = session.scalars(select(PredictionSet).order_by(PredictionSet.id))
        things += [Thing(PredictionSet, row.id, row.path, row.sha256, "landing") for row in sets]
    return things


def _move(study: Study, store: ShardStore, thing: Thing, new: str, moved: Moved) -> None:
    if new == thing.path:
        moved.there += 1
        return
    files = [place for place in thing.files(thing.path) if store.size(place) is not None]
    if thing.path not in files:
        moved.damaged.append(f"{thing.path}: its file is missing")
        return
    with Fresh(store, files) as first:
        if file_sha256(first) != thing.sha256:
            moved.damaged.append(f"{thing.path}: it does not have the SHA-256 it was written with")
            return
        for place in files:
            file = first.with_name(place.rpartition("/")[2])
            _copy(store, file, f"{new.rpartition('/')[0]}/{file.name}")
            moved.bytes += file.stat().st_size
    if study.database().write(lambda session: _rename(session, thing, new)):
        moved.files += 1
        store.delete(files)


def _copy(store: ShardStore, file: Path, new: str) -> None:
    """Copies a file to its new place and compares what lies there.

    Raises:
        WorldError: it differs.
    """
    wanted = file_sha256(file)
    if is_remote(new):
        store.objects.put(file, new)
        got = _remote_sha256(store, new, file.stat().st_size)
    else:
        path = store.root / new
        part = path.with_name(f"{path.name}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, part)
            with part.open("rb") as made:
                os.fsync(made.fileno())
            part.replace(path)
            sync_folder(path.parent)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise storage_error(path, error) from error
        got = file_sha256(path)
    if got != wanted:
        raise WorldError(f"{new} is not what was copied there; look at that store, and run the same command again.")


def _remote_sha256(store: ShardStore, url: str, size: int) -> str:
    digest = hashlib.sha256()
    for offset in range(0, size, BLOCK):
        digest.update(store.objects.read(url, offset, min(BLOCK, size - offset)))
    return digest.hexdigest()


def _rename(session: Session, thing: Thing, new: str) -> bool:
    """The row names the new place, unless it names another than it did; whether it does.

    Raises:
        UserError: a job reads shards, or the next one has places in what it was told.
    """
    busy = [*busy_stages(session, ("leased",)), *busy_stages(session, ("waiting",), ("select",))]
    if busy:
        raise UserError(
            f"Jobs that read shards are at work ({', '.join(dict.fromkeys(busy))}); let `omnisrc filter` finish them,"
            " and run the same command again to go on."
        )
    table = thing.table
    changed = session.execute(update(table).where(table.id == thing.id, table.path == thing.path).values(path=new))
    return bool(changed.rowcount)  # type: ignore[attr-defined]


def _remove_leftovers(study: Study, store: ShardStore) -> None:
    """Removes what a killed move left: copies, and a shard's files at places that its row does not name."""
    remove_copies(study.root)
    things = study.database().read(lambda session: list_things(session, KINDS))
    right = {name_of(place): place for thing in things for place in thing.files(thing.path)}
    there = list_files(store, own_places(study))
    store.delete(place for place in there if right.get(name_of(place), place) != place)
