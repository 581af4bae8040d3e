"""Shards and prediction files without some samples, under new names; the old files are left where they are."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from db.models import PredictionSet, Shard
from omnisrc.errors import ErrorClass, ItemError
from omnisrc.filter.arrays import write_arrays
from omnisrc.shards.attribution import attribution_paths, attributions_of_shard, write_attributions
from omnisrc.shards.read import ShardReader
from omnisrc.shards.store import ShardStore
from omnisrc.shards.write import ShardFile, ShardWriter

EARLIER = re.compile(r"-t[0-9a-f]{12}$")
LANDING = "landing"
LONGEST = 60  # characters of a shard's name before the mark of a takedown


@dataclass(frozen=True)
class NewShard:
    """A shard without some keys; `file` None: nothing is left of it. `offsets`: of each sample's media, by key."""

    shard_id: int
    old: str
    file: ShardFile | None
    offsets: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class NewSet:
    """A prediction file without some samples. `kept` (N,): which rows of the old one are in it."""

    set_id: int
    old: str
    path: Path
    sha256: str
    kept: NDArray[np.bool_]


def rewrite_shard(store: ShardStore, shard: Shard, keys: Collection[str]) -> NewShard | None:
    """Writes the shard without `keys`. None: its file is gone already. The same wish gives the same name again.

    Raises:
        ItemError: STORAGE, for a damaged shard or a full disk; no new file is left then.
    """
    if store.size(shard.path) is None:
        return None
    with store.holding(shard.path, index=True) as path:
        return _rewritten(store.root / shard.kind, path, shard, keys)


def _rewritten(folder: Path, path: Path, shard: Shard, keys: Collection[str]) -> NewShard:
    reader = ShardReader(path)
    kept = [key for key in reader.samples if key not in keys]
    if not kept:
        return NewShard(shard.id, shard.path, None)
    name = f"{EARLIER.sub('', path.stem)[:LONGEST]}-t{_digest(shard.sha256, keys)}"
    offsets: dict[str, int] = {}
    with ShardWriter(folder, name) as writer:
        for key in kept:
            members = writer.write(key, reader.get(key))
            offsets[key] = next(member.offset for member in members if member.ext != "json")
        made = writer.close()
    if shard.kind == "curated":
        write_attributions(attribution_paths(made.path), attributions_of_shard(made.path))
    return NewShard(shard.id, shard.path, made, offsets)


def rewrite_predictions(store: ShardStore, made: PredictionSet, samples: Collection[int]) -> NewSet | None:
    """Writes the predictions (or embeddings) without those of `samples`. None: the file is gone, or holds none.

    Raises:
        ItemError: STORAGE, for a damaged file or a full disk.
    """
    if store.size(made.path) is None:
        return None
    try:
        with store.holding(made.path) as path, np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, ValueError) as error:
        raise ItemError(ErrorClass.STORAGE, f"{made.path}: {error}") from error
    kept = ~np.isin(arrays["samples"], np.array(sorted(samples), np.int64))
    if kept.all():
        return None
    stem = path.name.removesuffix(".npz").rpartition(".")[0]
    new = store.root / LANDING / f"{stem}.t{_digest(made.sha256, map(str, samples))}.npz"
    sha256 = write_arrays(new, **{name: array[kept] for name, array in arrays.items()})
    return NewSet(made.id, made.path, new, sha256, kept)


def _digest(*parts: object) -> str:
    words = [part if isinstance(part, str) else " ".join(sorted(part)) for part in parts]  # type: ignore[call-overload]
    return hashlib.sha256("\n".join(words).encode()).hexdigest()[:12]
