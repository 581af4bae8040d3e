"""The flow of samples in place of their frames: the same rows and ids, read from a cache of flow."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from omnisrc.data.flow_cache import FIELD, FlowCache, members_of, read_cache
from omnisrc.data.manifest import Manifest
from omnisrc.data.samples import Choose, Decoded, FrameCache, SampleReader, SampleTable
from omnisrc.data.transforms import Frames
from omnisrc.errors import ErrorClass, ItemError, UserError
from omnisrc.media.flow import PackedFlow, brought_down
from omnisrc.shards.store import ShardStore

Modality = Literal["rgb", "flow"]


def reader_of(
    rows: Manifest,
    root: Path | ShardStore,
    modality: Modality = "rgb",
    flow: str = "",
    *,
    short_side: int = 0,
    cache: FrameCache | None = None,
    name: str = "",
) -> SampleReader:
    """The reader of a manifest's rows: of their frames, or of their flow in the cache of that name.

    Raises:
        UserError: flow is asked for and is not there for all of them; the sentence names the command that makes it.
    """
    if modality == "rgb":
        return SampleReader(SampleTable.of(rows, root), short_side, cache, name)
    store = root if isinstance(root, ShardStore) else ShardStore(root)
    return FlowReader(flow_table(rows, store, read_cache(store, flow)), short_side, cache, name)


def flow_table(rows: Manifest, store: ShardStore, flow: FlowCache) -> SampleTable:
    """The rows with the places of their flow. A sample whose video could not be read has a length of 0.

    Raises:
        UserError: the flow of some is not there, or they are stills.
    """
    table = SampleTable.of(rows, store)
    stills = int((~table.videos).sum())
    if stills:
        raise UserError(
            f"{stills} of {len(table)} samples are still images, in which nothing moves; train on them with"
            " train.modality=rgb, or leave their source out of --mix."
        )
    paths: dict[str, int] = {}
    indices: dict[Path, tuple[str, dict[str, tuple[int, int]]]] = {}
    files, offsets, lengths = (np.zeros(len(table), np.int64) for _ in range(3))
    missing: list[int] = []
    keys = rows.table["key"].to_pylist()
    for row in range(len(table)):
        shard, key = _place(flow, table, row, keys[row])
        if shard not in indices:
            indices[shard] = _members(flow, shard)
        place, members = indices[shard]
        if key not in members:
            missing.append(row)
            continue
        files[row] = paths.setdefault(place, len(paths))
        offsets[row], lengths[row] = members[key]
    if missing:
        raise UserError(_advice(rows, table, missing, flow))
    nothing = np.zeros(len(table), np.float32)
    return dataclasses.replace(
        table, files=files, paths=tuple(paths), offsets=offsets, lengths=lengths, starts=nothing, ends=nothing
    )


def _place(flow: FlowCache, table: SampleTable, row: int, key: str) -> tuple[Path, str]:
    place = table.place_of(row)
    if table.lengths[row] >= 0:
        return flow.shard_of(place), key
    shard = flow.shard_of_file(place, float(table.starts[row]), float(table.ends[row]))
    return shard, shard.stem


def _members(flow: FlowCache, shard: Path) -> tuple[str, dict[str, tuple[int, int]]]:
    """The place of a shard of flow, and key -> offset and length of its fields; none where there is no such shard."""
    place = flow.place_of(shard)
    if flow.store.size(place) is None:
        return place, {}
    return place, {m.key: (m.offset, m.length) for m in members_of(flow.store, place) if m.ext == FIELD}


def _advice(rows: Manifest, table: SampleTable, missing: Sequence[int], flow: FlowCache) -> str:
    first = missing[0]
    facts = flow.facts
    splits = dict.fromkeys(rows.table["split"].to_pylist()[row] for row in missing)
    sources = {rows.table["source"].to_pylist()[row] for row in missing}
    what = "--web" if sources == {"web-clip"} else f"--split {next(iter(splits)) if len(splits) == 1 else 'all'}"
    what += " --web" if len(sources) > 1 else ""
    return (
        f"The flow of {len(missing)} of {len(table)} samples is not in the cache {flow.name} (such as that of"
        f" {table.told(first)}); extract it with `omnisrc flow {what} --method {facts.method} --bound {facts.bound:g}"
        f" --cache {flow.name}`."
    )


class FlowReader(SampleReader):
    """The quantised flow (n, H, W, 2) of the samples in a table of `flow_table`, x and y, 0..255 with 127 at rest.

    A clip of N frames has N - 1 fields, and those are what a clip's numbers count. Fields are brought down to
    `short_side` (`omnisrc.media.flow.brought_down`).
    """

    channels = 2

    def image(self, row: int) -> Frames:
        raise ItemError(ErrorClass.DECODE, "a still has no flow")

    def clip(self, row: int, choose: Choose) -> Frames:
        found = self.cache.get((self.name, row))
        if found is not None:
            return found.frames[choose(len(found.frames), found.fps)]
        if not self.table.lengths[row]:
            raise ItemError(ErrorClass.DECODE, "its flow could not be extracted")
        packed = PackedFlow(self._bytes(row))
        about, count = packed.about, len(packed)
        fps = float(about.get("fps", 0.0))
        if not self.cache.has_room(self._size(count, int(about["width"]), int(about["height"]))):
            return self._fields(packed, choose(count, fps))
        fields = self._fields(packed, np.arange(count))
        self.cache.put((self.name, row), Decoded(fields, fps))
        return fields[choose(count, fps)]

    def _fields(self, packed: PackedFlow, indices: NDArray[np.integer]) -> Frames:
        wanted, places = np.unique(indices, return_inverse=True)
        return np.stack([brought_down(field, self.short_side) for field in packed.fields(wanted)])[places]

    def _size(self, count: int, width: int, height: int) -> int:
        shrink = min(1.0, self.short_side / min(width, height)) if self.short_side else 1.0
        return round(count * 2 * width * height * shrink * shrink)
