"""The samples of one source as arrays, and the reader that gives their frames."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from omnisrc.data.manifest import Manifest
from omnisrc.data.transforms import Frames
from omnisrc.errors import ErrorClass, ItemError, UserError, WorldError
from omnisrc.media.video import Video, open_video
from omnisrc.shards.objects import StoreError
from omnisrc.shards.read import read_bytes
from omnisrc.shards.store import ShardStore, is_remote

Choose = Callable[[int, float], NDArray[np.integer]]
"""(number of frames, frames a second) -> the frames wanted."""


@dataclass(frozen=True)
class SampleTable:
    """Columns of a manifest's rows. Arrays, not objects: loader workers share them without copying.

    ids, labels, weights, offsets, lengths, videos, starts, ends  # (n,)
    files  # (n,) number of each row's file in `paths`, the places that `store` reads
    answers  # (n, classes) as `Manifest.answers` has them; None where a sample has one class, its label
    """

    ids: NDArray[np.int64]
    labels: NDArray[np.int32]
    weights: NDArray[np.float32]
    files: NDArray[np.int64]
    paths: tuple[str, ...]
    store: ShardStore
    offsets: NDArray[np.int64]
    lengths: NDArray[np.int64]
    videos: NDArray[np.bool_]
    starts: NDArray[np.float32]
    ends: NDArray[np.float32]
    answers: NDArray[np.int8] | None = None

    @classmethod
    def of(cls, rows: Manifest, root: Path | ShardStore) -> SampleTable:
        """The rows of a manifest whose relative paths count from `root`, a workspace without settings or its store."""
        names, files = np.unique(np.asarray(rows.table["path"].to_pylist(), dtype=object), return_inverse=True)
        return cls(
            ids=rows.column("sample"),
            labels=rows.column("label"),
            weights=rows.column("weight"),
            files=files.astype(np.int64),
            paths=tuple(names),
            store=root if isinstance(root, ShardStore) else ShardStore(root),
            offsets=rows.column("offset"),
            lengths=rows.column("length"),
            videos=np.asarray(rows.table["medium"].to_pylist(), dtype=object) == "video",
            starts=rows.column("start"),
            ends=rows.column("end"),
            answers=rows.answers if rows.multi_label else None,
        )

    def __len__(self) -> int:
        return len(self.ids)

    def labels_of(self, rows: NDArray[np.integer]) -> NDArray[np.int64] | NDArray[np.float32]:
        """(B,) of samples with one class; else (B, classes): 1 has it, 0 has it not, NaN nobody has said."""
        if self.answers is None:
            labels: NDArray[np.int64] = self.labels[rows].astype(np.int64)
            return labels
        answers: NDArray[np.float32] = self.answers[rows].astype(np.float32)
        answers[answers < 0] = np.nan
        return answers

    def place_of(self, row: int) -> str:
        return self.paths[int(self.files[row])]

    def path_of(self, row: int) -> Path:
        """The file of a row that does not lie in an object store."""
        return self.store.root / self.place_of(row)

    def told(self, row: int) -> str:
        """What a message calls the row's file."""
        place = self.place_of(row)
        return place if is_remote(place) else str(self.path_of(row))

    @property
    def shards(self) -> NDArray[np.int64]:
        """(n,) the shard of each row; files used in place count as one, for each is as near as the other."""
        return np.where(self.lengths >= 0, self.files, -1)


class Decoded(NamedTuple):
    """All frames of a sample (T, H, W, 3), and how many make a second."""

    frames: Frames
    fps: float


class FrameCache:
    """Decoded samples in memory, taken in until it is full and kept: what a small set needs, and no thrashing in a
    large one (passes visit every sample once, which is where a least-recently-used cache never hits).

    A sample over a fiftieth of the budget is not worth its place.
    """

    def __init__(self, budget: int) -> None:
        self.left = budget
        self._largest = budget // 50
        self._decoded: dict[tuple[str, int], Decoded] = {}

    def get(self, key: tuple[str, int]) -> Decoded | None:
        return self._decoded.get(key)

    def clear(self) -> None:
        """Forgets everything."""
        self.left += sum(decoded.frames.nbytes for decoded in self._decoded.values())
        self._decoded.clear()

    def has_room(self, size: int) -> bool:
        return size <= min(self.left, self._largest)

    def put(self, key: tuple[str, int], decoded: Decoded) -> None:
        if self.has_room(decoded.frames.nbytes):
            self._decoded[key] = decoded
            self.left -= decoded.frames.nbytes


class SampleReader:
    """Frames of the samples in a table, as uint8 RGB, brought down to a short side (never enlarged).

    Args:
        short_side: pixels; 0 keeps the stored size.
        cache: of decoded samples, which readers may share.
        name: tells this reader's samples from those of others in the cache.
    """

    channels = 3  # of a frame

    def __init__(
        self, table: SampleTable, short_side: int = 0, cache: FrameCache | None = None, name: str = ""
    ) -> None:
        cv2.setNumThreads(0)  # the loader's processes are the threads; OpenCV's own would fight over the same cores
        self.table = table
        self.short_side = short_side
        self.cache = cache or FrameCache(0)
        self.name = name

    def image(self, row: int) -> Frames:
        """(1, H, W, 3); of a video, its middle frame. `ItemError` where it cannot be read or decoded."""
        if self.table.videos[row]:
            return self.clip(row, lambda frames, fps: np.array([frames // 2]))
        found = self.cache.get((self.name, row))
        if found is None:
            found = Decoded(decode_image(self._bytes(row), self.short_side)[None], 0.0)
            self.cache.put((self.name, row), found)
        return found.frames

    def clip(self, row: int, choose: Choose) -> Frames:
        """(n, H, W, 3), the frames that `choose` names; an image counts as a clip of one frame."""
        if not self.table.videos[row]:
            return self.image(row)[choose(1, 0.0)]
        found = self.cache.get((self.name, row))
        if found is not None:
            return found.frames[choose(len(found.frames), found.fps)]
        source = self._bytes(row) if self.table.lengths[row] >= 0 else self.table.path_of(row)
        with open_video(source) as video:
            first, count = self._window(row, video)
            fps = frame_rate(video.timestamps)
            if not self._worth_keeping(video, count):
                return video.frames(first + choose(count, fps), self.short_side or None)
            frames = video.frames(np.arange(first, first + count), self.short_side or None)
            self.cache.put((self.name, row), Decoded(frames, fps))
            return frames[choose(count, fps)]

    def _bytes(self, row: int) -> bytes:
        """Raises WorldError where an object store does not give the shard: a stand-in would make it another run."""
        place, length = self.table.place_of(row), int(self.table.lengths[row])
        try:
            with self.table.store.holding(place) as path:
                return read_bytes(path, int(self.table.offsets[row]), length if length >= 0 else path.stat().st_size)
        except OSError as error:
            raise ItemError(ErrorClass.STORAGE, f"{place}: {error.strerror}") from error
        except (StoreError, UserError) as error:
            raise WorldError(f"A shard cannot be had ({error}); run the same command again to go on.") from error

    def _window(self, row: int, video: Video) -> tuple[int, int]:
        """First frame and number of frames of the sample in its file."""
        start, end = float(self.table.starts[row]), float(self.table.ends[row])
        times = video.timestamps
        if end <= start:
            return 0, len(times)
        first, after = np.searchsorted(times, [start - 1e-3, end - 1e-3])
        if first >= after:
            raise ItemError(ErrorClass.DECODE, f"no frame between {start:g} and {end:g} s")
        return int(first), int(after - first)

    def _worth_keeping(self, video: Video, count: int) -> bool:
        if not self.cache.has_room(count * 3 * self.short_side**2):  # before the size is asked for, which decodes
            return False
        width, height = video.info.width, video.info.height
        shrink = min(1.0, self.short_side / min(width, height)) if self.short_side else 1.0
        return self.cache.has_room(round(count * 3 * width * height * shrink * shrink))


def frame_rate(times: NDArray[np.float64]) -> float:
    """Frames a second, from when each is shown; 0 where that cannot be said."""
    return float((len(times) - 1) / (times[-1] - times[0])) if len(times) > 1 and times[-1] > times[0] else 0.0


def decode_image(data: bytes, short_side: int = 0) -> NDArray[np.uint8]:
    """A still as RGB (H, W, 3) of at most `short_side` (0: as it is). `ItemError(DECODE)` for what is none."""
    buffer = np.frombuffer(data, dtype=np.uint8)
    try:
        image = cv2.imdecode(buffer, cv2.IMREAD_COLOR) if len(buffer) else None
    except cv2.error as error:
        raise ItemError(ErrorClass.DECODE, str(error)) from error
    if image is None:
        raise ItemError(ErrorClass.DECODE if data else ErrorClass.EMPTY, "not an image that OpenCV reads")
    height, width = image.shape[:2]
    shrink = short_side / min(width, height) if short_side else 1.0
    if shrink < 1.0:
        size = (max(short_side, round(width * shrink)), max(short_side, round(height * shrink)))
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA if shrink <= 0.5 else cv2.INTER_LINEAR)
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), dtype=np.uint8)
