"""Extraction: pieces of work to shards of flow, resumable to the clip, and safe beside another of its kind.

A piece is worked on by whoever holds its lock. Its clips are kept one by one in `NAME.work/` until all are there; then
they become `NAME.tar` in one step, so a shard of flow is whole or not there. Where `storage.shards` names an object
store it is put there then, its index first. (Machines do not see each other's locks: two that work on one piece put
the same shard twice.)
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

from omnisrc.data.flow_cache import FIELD, SCHEMA, FlowCache, bytes_by, members_of
from omnisrc.errors import ErrorClass, Interrupted, ItemError, WorldError
from omnisrc.flow.estimators import Estimator
from omnisrc.flow.work import Piece
from omnisrc.media.flow import Format, pack_flow
from omnisrc.media.source import MediaRef, Source
from omnisrc.shards.objects import StoreError
from omnisrc.shards.read import read_index
from omnisrc.shards.store import ShardStore
from omnisrc.shards.write import ShardWriter, index_path, storage_error

CHUNK = 64  # fields that are estimated in one call
POSITIONS = 1 << 30  # bytes of the lock file, of which each piece has its own
POLL_S = 0.2
NOT_ITS_FAULT = (ErrorClass.STORAGE, ErrorClass.WORKER_LOST)


@dataclass
class Extracted:
    """What was done: clips made, with their fields and bytes; clips that were there; those that cannot be read (name ->
    error); and pieces that failed for another reason (place -> what happened)."""

    made: int = 0
    fields: int = 0
    bytes: int = 0
    there: int = 0
    unreadable: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Clip:
    """One clip of a piece. `about` says in its JSON what it is the flow of."""

    key: str
    source: Source
    window: tuple[float, float]
    about: dict[str, Any]


Report = Callable[[int, int, int], None]
"""Told of (clips done, clips in all, unreadable)."""


class Extraction:
    """One run over pieces.

    Args:
        threads: clips that are worked on at once.
        most_frames: a longer clip counts as unreadable.
    """

    def __init__(
        self,
        cache: FlowCache,
        store: ShardStore,
        estimate: Estimator,
        *,
        threads: int,
        most_frames: int,
        report: Report = lambda done, count, unreadable: None,
    ) -> None:
        self.cache, self.store, self.estimate = cache, store, estimate
        self.threads, self.most_frames, self.report = threads, most_frames, report
        self.done = Extracted()
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._count = self._expected = 0

    def run(self, pieces: Sequence[Piece]) -> Extracted:
        """Extracts what is not there. Pieces that another process works on are waited for at the end.

        Raises:
            Interrupted: Ctrl-C; what is finished is kept.
            WorldError: the disk fails.
        """
        self._expected = sum(piece.count for piece in pieces)
        self.cache.folder.mkdir(parents=True, exist_ok=True)
        with open(self.cache.folder / "lock", "a+") as locks, ThreadPoolExecutor(self.threads) as clips:
            busy = self._pass(pieces, locks, clips, wait=False)
            self._pass(busy, locks, clips, wait=True)
        return self.done

    def _pass(self, pieces: Sequence[Piece], locks: IO[str], clips: ThreadPoolExecutor, wait: bool) -> list[Piece]:
        """Gives the pieces that others hold (none where it waits for them)."""
        with ThreadPoolExecutor(self.threads) as workers:
            futures = {workers.submit(self._piece, piece, locks, clips, wait): piece for piece in pieces}
            try:
                return [futures[future] for future in as_completed(futures) if not future.result()]
            except BaseException as error:
                self._stop.set()
                workers.shutdown(wait=True, cancel_futures=True)
                if isinstance(error, KeyboardInterrupt | Stopped):
                    raise Interrupted("Stopped; run the same command again to go on.") from error
                raise

    def _piece(self, piece: Piece, locks: IO[str], clips: ThreadPoolExecutor, wait: bool) -> bool:
        with self._held(piece, locks, wait) as held:
            if not held:
                return False
            try:
                self._extract(piece, clips)
            except ItemError as error:
                with self._lock:
                    self.done.failed[piece.place] = str(error)
                self._advance(piece.count, 0)
        return True

    @contextmanager
    def _held(self, piece: Piece, locks: IO[str], wait: bool) -> Iterator[bool]:
        """Whether this process works on the piece until the end of the context; a process that dies lets go of it."""
        name = str(piece.out.relative_to(self.cache.folder))
        position = int(hashlib.sha256(name.encode()).hexdigest(), 16) % POSITIONS
        while True:
            self._check()
            try:
                fcntl.lockf(locks, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, position)
                break
            except (BlockingIOError, PermissionError):  # somebody holds it; which of the two is the system's choice
                if not wait:
                    yield False
                    return
                time.sleep(POLL_S)
        try:
            yield True
        finally:
            fcntl.lockf(locks, fcntl.LOCK_UN, 1, position)

    def _check(self) -> None:
        if self._stop.is_set():
            raise Stopped

    def _extract(self, piece: Piece, clips: ThreadPoolExecutor) -> None:
        work, place = piece.out.with_suffix(".work"), self.cache.place_of(piece.out)
        if is_whole(self.store, piece, place):
            shutil.rmtree(work, ignore_errors=True)  # of a process that was killed before it could
            self._publish(piece)
            place = self.cache.place_of(piece.out)
            members = [member for member in members_of(self.store, place) if member.ext == FIELD]
            broken = {told(piece, m.key): said_error(self.store, place, m.key) for m in members if not m.length}
            with self._lock:
                self.done.there += len(members) - len(broken)
                self.done.unreadable |= broken
            self._advance(len(members), len(members) - piece.count)
            return
        try:
            work.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise storage_error(work, error) from error
        with self._clips(piece) as found:
            futures = [clips.submit(self._clip, piece, clip, work) for clip in found]
            self._advance(0, len(found) - piece.count)
            self._gather(futures)
            self._assemble(piece, found, work)

    def _gather(self, futures: list[Future[None]]) -> None:
        try:
            for future in futures:
                future.result()
        except BaseException:
            for future in futures:
                future.cancel()
            for future in futures:
                if not future.cancelled():
                    future.exception()  # the shard that they read is held until then
            raise

    @contextmanager
    def _clips(self, piece: Piece) -> Iterator[list[Clip]]:
        if piece.file:
            yield [Clip(piece.out.stem, Path(piece.place), (piece.start, piece.end), origin_of_file(piece))]
            return
        with self.store.holding(piece.place, index=True) as path:
            yield [
                Clip(m.key, MediaRef(str(path), m.offset, m.length), (0.0, 0.0), {"shard": piece.place, "key": m.key})
                for m in read_index(path)
                if m.ext != "json"
            ]

    def _clip(self, piece: Piece, clip: Clip, work: Path) -> None:
        """Leaves the clip's two members in `work`, unless they are there."""
        kept = work / f"{clip.key}.json"
        about: dict[str, Any] = json.loads(kept.read_text()) if kept.exists() else {}
        if about.get("source") == clip.about:
            self._count_clip(piece, clip, about, 0)
            return
        about = {"schema": SCHEMA, "source": clip.about, "flow": asdict(self.estimate.facts)}
        data = b""
        try:
            images, facts = self._fields(clip)
            data = pack_flow(images, {**facts, **about["flow"]}, self._format)
            about |= {**facts, "fields": len(images) // 2, "error": None}
        except ItemError as error:
            if error.error in NOT_ITS_FAULT:
                raise
            about |= {"fields": 0, "error": error.error.value, "detail": error.detail}
        write_whole(work / f"{clip.key}.{FIELD}", data)
        write_whole(kept, json.dumps(about, sort_keys=True).encode())
        self._count_clip(piece, clip, about, len(data))

    def _count_clip(self, piece: Piece, clip: Clip, about: dict[str, Any], size: int) -> None:
        """Books a clip that was made (of `size` bytes), was there (0), or cannot be read."""
        with self._lock:
            if about["error"]:
                self.done.unreadable[told(piece, clip.key)] = f"{about['error']}: {about['detail']}"
            elif size:
                self.done.made += 1
                self.done.fields += about["fields"]
                self.done.bytes += size
            else:
                self.done.there += 1
        self._advance(1, 0)

    @property
    def _format(self) -> Format:
        return "png" if self.estimate.facts.format == "png" else "jpeg"

    def _fields(self, clip: Clip) -> tuple[list[bytes], dict[str, Any]]:
        images: list[bytes] = []
        while True:
            self._check()
            chunk = self.estimate(clip.source, clip.window, len(images) // 2, CHUNK)
            if chunk.frames > self.most_frames:
                said = f"{chunk.frames} frames, and flow.most_frames is {self.most_frames}"
                raise ItemError(ErrorClass.TOO_LARGE, said)
            images += chunk.images
            if len(images) // 2 >= chunk.frames - 1 or not chunk.images:
                return images, {"width": chunk.width, "height": chunk.height, "fps": round(chunk.fps, 6)}

    def _assemble(self, piece: Piece, clips: Sequence[Clip], work: Path) -> None:
        with ShardWriter(piece.out.parent, piece.out.stem) as writer:
            for clip in clips:
                fields = {ext: (work / f"{clip.key}.{ext}").read_bytes() for ext in (FIELD, "json")}
                writer.write(clip.key, fields)
            writer.close()
        shutil.rmtree(work, ignore_errors=True)
        self._publish(piece)

    def _publish(self, piece: Piece) -> None:
        """Puts a shard that was built here where new shards go."""
        if piece.out.exists():
            files = [index_path(piece.out), piece.out]
            self.store.put(files)
            self.store.settle(files)

    def _advance(self, count: int, more: int) -> None:
        """So many clips are done, and so many more are expected than was said."""
        with self._lock:
            self._count += count
            self._expected += more
        self._tell()

    def _tell(self) -> None:
        self.report(self._count, self._expected, len(self.done.unreadable))


class Stopped(Exception):
    """The user asked to stop; for the threads alone."""


def is_whole(store: ShardStore, piece: Piece, place: str) -> bool:
    """Whether the piece's flow is at a place, as long as its index says. That of a file is not where the file has
    changed since."""
    try:
        size = store.size(place)
        if size is None or size != bytes_by(members_of(store, place)):
            return False
        return not piece.file or about_of(store, place, piece.out.stem).get("source") == origin_of_file(piece)
    except StoreError:
        raise
    except (ItemError, ValueError):  # its index is missing or garbage, or its JSON
        return False


def origin_of_file(piece: Piece) -> dict[str, Any]:
    """What tells a file from another of its name. `ItemError(STORAGE)` where there is none."""
    try:
        facts = os.stat(piece.place)
    except OSError as error:
        raise storage_error(Path(piece.place), error) from error
    window = [piece.start, piece.end] if piece.end > piece.start else None
    return {"path": piece.place, "window": window, "bytes": facts.st_size, "mtime_ns": facts.st_mtime_ns}


def about_of(store: ShardStore, place: str, key: str) -> dict[str, Any]:
    """What the JSON of one clip in a shard of flow says."""
    for member in members_of(store, place):
        if (member.key, member.ext) == (key, "json"):
            found: dict[str, Any] = json.loads(store.read(place, member.offset, member.length))
            return found
    return {}


def said_error(store: ShardStore, place: str, key: str) -> str:
    about = about_of(store, place, key)
    return f"{about.get('error')}: {about.get('detail')}"


def told(piece: Piece, key: str) -> str:
    """What a message calls a clip."""
    return piece.place if piece.file else f"{key} of {piece.place}"


def write_whole(path: Path, data: bytes) -> None:
    """Writes a file under another name first. A failing disk is `ItemError(STORAGE)`."""
    part = path.with_name(f"{path.name}.part")
    try:
        part.write_bytes(data)
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise storage_error(path, error) from error


def raise_failures(done: Extracted) -> None:
    """Raises WorldError where pieces failed, with the first of them."""
    if done.failed:
        place, detail = next(iter(done.failed.items()))
        raise WorldError(
            f"The flow of {len(done.failed)} shards or files could not be made, the first {place} ({detail}); mend that"
            " and run the same command again."
        )
