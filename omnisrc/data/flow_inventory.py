"""Caches of flow as they lie: what each holds, what is broken in it, and what nobody needs any more."""

from __future__ import annotations

import io
import json
import os
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.models import Shard, TargetItem
from omnisrc.data.flow_cache import (
    FACTS,
    FIELD,
    FILES,
    FOLDER,
    FlowFacts,
    bytes_by,
    cache_names,
    flow_files,
    members_of,
    read_facts,
    remove_flow,
    unclaimed,
)
from omnisrc.errors import ItemError, UserError
from omnisrc.shards.fresh import Fresh
from omnisrc.shards.objects import StoreError
from omnisrc.shards.read import ShardReader
from omnisrc.shards.store import ShardStore, sidecars, store_of
from omnisrc.shards.turns import changing_shards
from omnisrc.shards.verify import verify_shard
from omnisrc.study import Study


@dataclass
class CacheState:
    """One cache: `clips` in `shards` whole shards of `bytes` bytes, of which `unreadable` have no flow because their
    video cannot be read; `begun` shards have clips that wait to be finished. `damage`: sentences."""

    name: str
    facts: FlowFacts | None
    shards: int = 0
    clips: int = 0
    unreadable: int = 0
    bytes: int = 0
    begun: int = 0
    damage: list[str] = field(default_factory=list)


def inspect_flow(store: ShardStore, *, deep: bool = False) -> list[CacheState]:
    """The caches of a workspace, here and in its object store. `deep` reads all of them and checks every image.

    Raises:
        StoreError: the object store does not answer.
    """
    files, states = flow_files(store), []
    for name in cache_names(store):
        path = store.root / FOLDER / name / FACTS
        try:
            state = CacheState(name, read_facts(store, path))
        except UserError as error:
            state = CacheState(name, None, damage=[str(error)])
        for place in (place for place in files if place.split("/")[-3] == name):
            if place.endswith(".work"):
                state.begun += 1
            elif place.endswith(".tar"):
                _inspect(store, files, place, state, deep)
        states.append(state)
    return states


def _inspect(store: ShardStore, files: Mapping[str, int], place: str, state: CacheState, deep: bool) -> None:
    again = f"remove it and run `omnisrc flow --cache {state.name}` again"
    try:
        members = members_of(store, place)
    except StoreError:
        raise
    except ItemError as error:
        state.damage.append(f"{place}: its index cannot be read ({error.detail}); {again}")
        return
    if files[place] != bytes_by(members):
        state.damage.append(f"{place}: it has {files[place]} bytes, {bytes_by(members)} were written; {again}")
        return
    if deep:
        state.damage += [f"{place}: {problem}; {again}" for problem in _problems(store, place)]
    clips = [member for member in members if member.ext == FIELD]
    state.shards, state.clips = state.shards + 1, state.clips + len(clips)
    state.bytes += files[place]
    state.unreadable += sum(not member.length for member in clips)


def _problems(store: ShardStore, place: str) -> Iterator[str]:
    """What is wrong with a shard as it lies just now. Every image has a checksum in its zip."""
    with Fresh(store, sidecars(place, "")[:2]) as path:
        yield from verify_shard(path)
        for key, fields in ShardReader(path):
            data = fields[FIELD]
            try:
                if data and (bad := zipfile.ZipFile(io.BytesIO(data)).testzip()):
                    yield f"{bad} of {key} is not as it was written"
            except (zipfile.BadZipFile, zlib.error, ValueError) as error:
                yield f"the fields of {key} are damaged ({error})"


def free_flow(study: Study, *, dry_run: bool = False) -> dict[str, int]:
    """Removes the flow of clips that are gone: of shards that no row names, and of files that are no more and that no
    item of the target names. Place -> bytes of what was removed.

    Raises:
        UserError: a command is at work on the shards.
    """
    store = store_of(study)
    if dry_run:
        return _ownerless(study, store)
    with changing_shards(study):
        gone = _ownerless(study, store)
        remove_flow(store, gone)
    return gone


def _ownerless(study: Study, store: ShardStore) -> dict[str, int]:
    def read(session: Session) -> tuple[list[str], set[str]]:
        shards = session.scalars(select(Shard.path).where(Shard.freed.is_(False))).all()
        return list(shards), set(session.scalars(select(TargetItem.path).where(TargetItem.shard_id.is_(None))))

    shards, items = study.database().read(read)
    gone = unclaimed(store, shards)
    files = flow_files(store)
    for place in (place for place in files if place.split("/")[-2] == FILES and place.endswith(".tar")):
        source = _file_of(store, place)
        if source and source not in items and not os.path.exists(source):
            gone |= {beside: files[beside] for beside in sidecars(place, "")[:2] if beside in files}
    return gone


def _file_of(store: ShardStore, place: str) -> str:
    """The file that a shard of one clip is the flow of; empty where it does not say."""
    try:
        [said] = [member for member in members_of(store, place) if member.ext == "json"]
        return str(json.loads(store.read(place, said.offset, said.length))["source"]["path"])
    except StoreError:
        raise
    except (ItemError, ValueError, KeyError, TypeError):
        return ""
