"""Caches of optical flow: shards of their own beside the study's, with the same keys.

The flow of the shard `target/NAME.tar` is in `flow/CACHE/target/NAME.tar` in the workspace, or under that name in the
object store of new shards (`storage.shards`): for each of its samples `KEY.zip` (see `omnisrc.media.flow.pack_flow`;
empty where the video cannot be read) and `KEY.json`. A file that is used in place has a shard of one sample in
`flow/CACHE/files/`. `flow/CACHE/flow.json` says how all of it was made. What lies in the workspace comes first.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from omnisrc.errors import UserError, WorldError
from omnisrc.shards.read import read_index
from omnisrc.shards.store import ShardStore, is_remote, name_of, sidecars
from omnisrc.shards.write import BLOCK, Member, sync_folder

FOLDER, FILES, FACTS = "flow", "files", "flow.json"
SCHEMA = 1
FIELD = "zip"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")


@dataclass(frozen=True)
class FlowFacts:
    """How the fields of one cache were made; `version` is that of the library, `weights_sha256` of a network's file."""

    method: str
    bound: float
    short_side: int
    format: str
    quality: int
    version: str
    weights_sha256: str = ""


@dataclass(frozen=True)
class FlowCache:
    """One cache of a workspace."""

    store: ShardStore
    name: str
    facts: FlowFacts

    @property
    def folder(self) -> Path:
        return self.store.root / FOLDER / self.name

    def place_of(self, shard: Path) -> str:
        """The place of a shard of flow that has this name in the workspace: there, or in the object store."""
        if shard.exists() or not self.store.settings.shards:
            return shard.relative_to(self.store.root).as_posix()
        return self.store.place_of(shard)

    def shard_of(self, place: str) -> Path:
        """Where the flow of a shard is, by the shard's place, here or in an object store."""
        return self.folder.joinpath(*name_of(place).split("/")[-2:])

    def shard_of_file(self, path: str, start: float, end: float) -> Path:
        """Where the flow of a file that is used in place is, or of a window of it."""
        return self.folder / FILES / f"{file_key(path, start, end)}.tar"


def file_key(path: str, start: float = 0.0, end: float = 0.0) -> str:
    """A key for a file, or a window of it, by its absolute path."""
    slug = re.sub(r"[^a-z0-9]+", "-", Path(path).stem.lower()).strip("-")[:40] or "video"
    window = f"|{start:.3f}|{end:.3f}" if end > start else ""
    return f"{slug}-{hashlib.sha256(f'{path}{window}'.encode()).hexdigest()[:12]}"


def default_name(method: str, bound: float) -> str:
    """`dis-b20`."""
    return f"{method}-b{bound:g}"


def cache_names(root: Path | ShardStore) -> list[str]:
    """The caches of a workspace, here and in the object store of its new shards."""
    store = opened(root)
    here = {path.parent.name for path in (store.root / FOLDER).glob(f"*/{FACTS}")}
    there = {place.split("/")[-2] for place in objects_of(store) if place.endswith(f"/{FACTS}")}
    return sorted(here | there)


def objects_of(store: ShardStore) -> dict[str, int]:
    """URL -> bytes of all files of flow in the object store of new shards."""
    return store.objects.list(f"{store.settings.shards}/{FOLDER}") if store.settings.shards else {}


def opened(root: Path | ShardStore) -> ShardStore:
    """The store of a workspace; of a folder alone, one without settings."""
    return root if isinstance(root, ShardStore) else ShardStore(root)


def members_of(store: ShardStore, place: str) -> list[Member]:
    """What the index beside a shard of flow names. `ItemError(STORAGE)` where there is none, or garbage."""
    with store.holding(sidecars(place, "")[1]) as path:
        return read_index(path)


def bytes_by(members: Sequence[Member]) -> int:
    """How long a shard of these members is, to the end of its tar."""
    last = members[-1] if members else Member("", "", 0, 0)
    return last.offset + -(-last.length // BLOCK) * BLOCK + 2 * BLOCK


def begin_cache(root: Path | ShardStore, name: str, facts: FlowFacts) -> FlowCache:
    """The cache of this name, made where there is none.

    Raises:
        UserError: it cannot be a folder's name, or what it holds was made in another way.
        WorldError: the disk fails.
    """
    if not NAME.fullmatch(name):
        raise UserError(f"{name!r} cannot name a cache of flow; use letters, digits and . _ - (at most 80).")
    store = opened(root)
    path = store.root / FOLDER / name / FACTS
    if path.exists() or (store.settings.shards and store.size(store.place_of(path)) is not None):
        there = asdict(read_cache(store, name).facts)
        for key, value in asdict(facts).items():
            if there[key] != value:
                raise UserError(
                    f"The cache {name} was made with another {key} ({there[key]!r}, now {value!r}); extract under"
                    f" another --cache NAME, or remove {path.parent} to make it again."
                )
    if not path.exists():
        _write_facts(path, facts)
    if store.settings.shards and store.size(store.place_of(path)) is None:
        store.put([path])
    return FlowCache(store, name, facts)


def _write_facts(path: Path, facts: FlowFacts) -> None:
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("w", encoding="utf-8") as file:
            json.dump({"schema": SCHEMA, **asdict(facts)}, file, indent=2)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise WorldError(f"{path} could not be written: {error.strerror or error}") from error


def read_cache(root: Path | ShardStore, name: str = "") -> FlowCache:
    """The cache of this name; without one, the only cache that there is.

    Raises:
        UserError: there is no such cache, none at all, several without a name, or its facts are damaged.
    """
    store = opened(root)
    names = cache_names(store)
    if not names:
        raise UserError(f"There is no flow in {store.root}; extract it with `omnisrc flow`.")
    if not name and len(names) > 1:
        raise UserError(
            f"There are several caches of flow ({', '.join(names)}); name one with --set"
            " train.flow=NAME (or eval.flow)."
        )
    name = name or names[0]
    if name not in names:
        raise UserError(
            f"There is no cache of flow {name!r} (there are: {', '.join(names)}); extract it with"
            f" `omnisrc flow --cache {name}`, or name another with --set train.flow=NAME (or eval.flow)."
        )
    path = store.root / FOLDER / name / FACTS
    return FlowCache(store, name, read_facts(store, path))


def read_facts(store: ShardStore, path: Path) -> FlowFacts:
    """What `flow.json` of a cache says, that in the workspace or else that in the object store.

    Raises:
        UserError: it is damaged.
    """
    try:
        text = path.read_bytes() if path.exists() else _text(store, store.place_of(path))
        said: dict[str, Any] = json.loads(text)
        return FlowFacts(**{key: value for key, value in said.items() if key != "schema"})
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise UserError(f"The file {path} is damaged; remove {path.parent} and run `omnisrc flow` again.") from error


def _text(store: ShardStore, place: str) -> bytes:
    return store.read(place, 0, store.size(place) or 0)


def flow_files(store: ShardStore) -> dict[str, int]:
    """Place -> bytes of all files of flow, here and in the object store; folders of clips that were begun have 0."""
    found = {
        path.relative_to(store.root).as_posix(): path.stat().st_size if path.is_file() else 0
        for path in sorted((store.root / FOLDER).glob("*/*/*"))
    }
    return found | objects_of(store)


def unclaimed(store: ShardStore, places: Iterable[str]) -> dict[str, int]:
    """Place -> bytes of the flow of shards that are none of `places`, finished or not. That of files that are used in
    place has an owner always."""
    known = {"/".join(name_of(place).split("/")[-2:]).removesuffix(".tar") for place in places}

    def is_claimed(place: str) -> bool:
        kind, name = place.split("/")[-2:]
        return kind == FILES or f"{kind}/{name.partition('.')[0]}" in known

    files = {place: size for place, size in flow_files(store).items() if not place.endswith(f"/{FACTS}")}
    return {place: size for place, size in files.items() if not is_claimed(place)}


def remove_flow(store: ShardStore, places: Iterable[str]) -> None:
    """Removes files of flow, and folders of clips that were begun."""
    for place in places:
        if not is_remote(place) and (store.root / place).is_dir():
            shutil.rmtree(store.root / place, ignore_errors=True)
        else:
            store.delete([place])
