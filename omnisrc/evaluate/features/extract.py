"""Features of videos, window by window, into a folder."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from omnisrc.data.manifest import Manifest
from omnisrc.data.samples import SampleTable
from omnisrc.errors import ErrorClass, ItemError, UserError
from omnisrc.evaluate.features.folder import FeatureFolder
from omnisrc.evaluate.prediction.predict import WINDOWS_AT_ONCE, sentence
from omnisrc.evaluate.windows.feed import Ended, Feed
from omnisrc.evaluate.windows.inputs import Found, Input, Unusable
from omnisrc.evaluate.windows.network import Network, asked
from omnisrc.evaluate.windows.plan import Windows
from omnisrc.evaluate.windows.reading import PartReader
from omnisrc.media.guard import GuardPool
from omnisrc.media.source import Source
from omnisrc.shards.objects import StoreError
from omnisrc.shards.store import ShardStore


@dataclass(frozen=True)
class Item:
    """One video: its `name` in the folder, how to get at it, and what tells these bytes from others."""

    name: str
    told: str
    identity: dict[str, Any]
    read: Callable[[], Source]
    start: float = 0.0
    end: float = math.inf
    about: dict[str, Any] | None = None

    def input(self) -> Found:
        try:
            return Input(self.told, self.read(), self.start, self.end)
        except ItemError as error:
            return Unusable(self.told, error)
        except (OSError, StoreError) as error:
            return Unusable(self.told, ItemError(ErrorClass.STORAGE, str(error)))


def items_of_files(files: Sequence[Path], arguments: Sequence[str]) -> list[Item]:
    """Files by their path below the folder that was named, without the suffix where that is enough."""
    folders = [Path(argument) for argument in arguments if Path(argument).is_dir()]
    places = [_below(file, folders) for file in files]
    plain = Counter(place.with_suffix("") for place in places)
    items = []
    for file, place in zip(files, places, strict=True):
        name = place if plain[place.with_suffix("")] > 1 else place.with_suffix("")
        stat = file.stat()
        identity = {"path": str(file.resolve()), "bytes": stat.st_size, "modified_ns": stat.st_mtime_ns}
        items.append(Item(name.as_posix(), str(file), identity, lambda file=file: file))  # type: ignore[misc]
    twice = [name for name, count in Counter(item.name for item in items).items() if count > 1]
    if twice:
        raise UserError(f"Two files would both be called {twice[0]}; name the folder above them instead.")
    return items


def _below(file: Path, folders: Sequence[Path]) -> Path:
    folder = next((folder for folder in folders if file.is_relative_to(folder)), None)
    return file.relative_to(folder) if folder is not None else Path(file.name)


def items_of_split(rows: Manifest, store: ShardStore) -> Iterator[Item]:
    """The samples of a split, named SPLIT/KEY or SPLIT/NUMBER, with their labels."""
    table = SampleTable.of(rows, store)
    keys, splits = rows.table["key"].to_pylist(), rows.table["split"].to_pylist()
    for row in range(len(table)):
        offset, length = int(table.offsets[row]), int(table.lengths[row])
        start, end = float(table.starts[row]), float(table.ends[row])
        place = table.place_of(row)
        yield Item(
            f"{splits[row]}/{keys[row] or table.ids[row]}",
            f"{table.told(row)} ({keys[row]})" if length >= 0 else table.told(row),
            {"place": place.rsplit("/", 1)[-1], "offset": offset, "length": length, "start": start, "end": end},
            _reader(table, row, place, offset, length),
            start,
            end if end > start else math.inf,
            {"label": rows.classes[int(table.labels[row])], "sample": int(table.ids[row])},
        )


def _reader(table: SampleTable, row: int, place: str, offset: int, length: int) -> Callable[[], Source]:
    return (lambda: table.store.read(place, offset, length)) if length >= 0 else (lambda: table.path_of(row))


@dataclass(frozen=True)
class Extracted:
    """What became of one video: `windows` written, or the sentence why none were. `new`: not there before."""

    name: str
    windows: int = 0
    new: bool = True
    error: str = ""


def extract(
    network: Network,
    items: Iterable[Item],
    plan: Windows,
    pool: GuardPool,
    folder: FeatureFolder,
    *,
    stage: str = "",
    batch: int = 0,
    report: Callable[[str, float, float], None] = lambda name, done, total: None,
    reader: PartReader | None = None,
) -> Iterator[Extracted]:
    """Writes the features of each video that the folder does not have; yields what became of each, those first that
    were there.

    Args:
        stage: of the trunk; empty: the embedding that the head classifies.
        reader: what the network is shown; by default frames.
    """
    left: list[Item] = []
    for item in items:
        if folder.has(item.name, item.identity):
            yield Extracted(item.name, folder.rows[item.name]["shape"][0], new=False)
        else:
            left.append(item)
    threads = ThreadPoolExecutor(pool.size, "decode")
    found: list[NDArray[np.float32]] = []
    times: list[tuple[float, float]] = []
    waiting = iter(left)
    try:
        feed = Feed((item.input() for item in left), plan, pool, threads, pool.size + 1, report, reader)
        size = batch or WINDOWS_AT_ONCE.get(network.device.type, 8)
        for said in asked(feed, lambda frames: list(network.features(frames, stage)), size):
            if not isinstance(said, Ended):
                window, features = said
                found.append(features)
                times.append((window.start, window.end))
                continue
            item = next(waiting)
            if said.error is not None or not found:
                yield Extracted(item.name, error=sentence(said))
            else:
                folder.add(item.name, np.stack(found), _row(item, said, times))
                yield Extracted(item.name, len(found))
            found, times = [], []
    finally:
        threads.shutdown(wait=True, cancel_futures=True)


def _row(item: Item, ended: Ended, times: Sequence[tuple[float, float]]) -> dict[str, Any]:
    """The line of a video in the index; times in seconds."""
    plan = ended.plan
    regular = plan is not None and not ended.image
    return {
        "fps": ended.fps,
        "duration": ended.duration,
        "window": plan.length if plan is not None and regular else 0.0,
        "stride": plan.stride if plan is not None and regular else 0.0,
        "starts": [round(start, 6) for start, _ in times],
        "ends": [round(end, 6) for _, end in times],
        "source": item.identity,
        **(item.about or {}),
    }
