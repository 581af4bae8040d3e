"""Bytes as fetched become members of landing shards: images resized and hashed, videos probed and kept as they came."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from omnisrc.errors import ErrorClass, ItemError
from omnisrc.media.guard import GuardPool, cores
from omnisrc.media.sniff import SNIFF_BYTES, sniff
from omnisrc.shards.write import ShardWriter
from omnisrc.web.download import Body

T = TypeVar("T")

FIELDS = {"image": "jpg", "video": "video"}
"""The field of a landing sample by medium. Videos keep their container, and samples of a shard have the same fields."""


@dataclass(frozen=True)
class LandingRules:
    """What may land, and how."""

    min_side: int
    short_side: int
    quality: int


@dataclass
class Landed:
    """A member of a landing shard, with what the catalogue tells of its blob. Sizes are of the media as fetched."""

    medium: str
    key: str
    sha256: str
    sha1: str | None
    fetched_bytes: int
    mime: str
    stored_sha256: str
    width: int
    height: int
    duration: float | None = None
    fps: float | None = None
    frames: int | None = None
    phash: bytes | None = None
    phash_quality: int | None = None
    offset: int = 0
    length: int = 0


def head_check(kind: str) -> Callable[[bytes], None]:
    """Refuses first bytes that are no medium of `kind`, whatever their server calls them."""

    def check(head: bytes) -> None:
        found = sniff(head[:SNIFF_BYTES])
        if found is None or not found.startswith(f"{kind}/"):
            raise ItemError(ErrorClass.NOT_MEDIA, f"{found or 'no known type'} instead of {kind}")

    return check


class Landing:
    """The landing shards of one drain, one a medium at a time. For one event loop; decoding is left to the guard's
    processes."""

    def __init__(self, folder: Path, name: str, pool: GuardPool, rules: LandingRules) -> None:
        self._folder = folder
        self._name = name
        self._pool = pool
        self._rules = rules
        # A video is described in the time that it takes to hand it over: more threads only hinder each other at it.
        sizes = {"image": pool.size, "video": min(pool.size, cores())}
        self._threads = {medium: ThreadPoolExecutor(size, f"landing-{medium}") for medium, size in sizes.items()}
        self._begun: dict[str, asyncio.Future[Landed]] = {}
        self._taken = 0
        self.writers: dict[str, ShardWriter] = {}
        self.landed: dict[str, Landed] = {}

    @property
    def stored_bytes(self) -> int:
        return sum(writer.bytes for writer in list(self.writers.values()))  # another thread may ask

    async def land(self, key: str, kind: str, body: Body) -> tuple[Landed, bool]:
        """Stores a body under `key`; False beside it where equal bytes were stored under another.

        Raises ItemError of the medium (DECODE, BOMB, TOO_SMALL, ...), equally for equal bytes, and STORAGE.
        """
        begun = self._begun.get(body.sha256)
        if begun is not None:
            return await asyncio.shield(begun), False
        begun = self._begun[body.sha256] = asyncio.get_running_loop().create_future()
        begun.add_done_callback(lambda future: future.cancelled() or future.exception())
        try:
            landed = await (self._image(key, body) if kind == "image" else self._video(key, body))
        except BaseException as error:
            if isinstance(error, Exception):
                begun.set_exception(error)
            else:
                begun.cancel()
            raise
        begun.set_result(landed)
        return landed, True

    async def _image(self, key: str, body: Body) -> Landed:
        rules = self._rules
        image = await self._guarded(
            "image",
            lambda: self._pool.land_image(
                body.source, short_side=rules.short_side, min_side=rules.min_side, quality=rules.quality
            ),
        )
        return self._store(
            Landed(
                medium="image",
                key=key,
                sha256=body.sha256,
                sha1=body.sha1,
                fetched_bytes=body.length,
                mime="image/jpeg",
                stored_sha256=hashlib.sha256(image.data).hexdigest(),
                width=image.source_width,
                height=image.source_height,
                phash=image.phash,
                phash_quality=image.phash_quality,
            ),
            image.data,
        )

    async def _video(self, key: str, body: Body) -> Landed:
        info = await self._guarded("video", lambda: self._pool.probe_video(body.source))
        if min(info.width, info.height) < self._rules.min_side:
            raise ItemError(ErrorClass.TOO_SMALL, f"{info.width}x{info.height}")
        if 0 < body.longest_s < (info.duration or 0.0):
            raise ItemError(ErrorClass.TOO_LARGE, f"plays {info.duration:.0f} s, the limit is {body.longest_s:.0f}")
        data = body.read()
        return self._store(
            Landed(
                medium="video",
                key=key,
                sha256=body.sha256,
                sha1=body.sha1,
                fetched_bytes=body.length,
                mime=sniff(data[:SNIFF_BYTES]) or "",
                stored_sha256=body.sha256,
                width=info.width,
                height=info.height,
                duration=info.duration,
                fps=info.fps,
                frames=info.frames,
            ),
            data,
        )

    async def _guarded(self, medium: str, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads[medium], work)

    def _store(self, landed: Landed, data: bytes) -> Landed:
        writer = self.writers.get(landed.medium)
        if writer is None:
            name = f"{self._name}-{self._taken + 1}-{landed.medium}"
            writer = self.writers[landed.medium] = ShardWriter(self._folder, name)
        (member,) = writer.write(landed.key, {FIELDS[landed.medium]: data})
        landed.offset, landed.length = member.offset, member.length
        self.landed[landed.sha256] = landed
        return landed

    def take(self) -> tuple[dict[str, ShardWriter], dict[str, Landed]]:
        """The shards as they are, open, and what they hold by SHA-256: the caller's now. What comes goes into new ones;
        bytes that were stored once are known until the landing is closed."""
        taken = self.writers, self.landed
        self.writers, self.landed = {}, {}
        self._taken += 1
        return taken

    def close(self) -> None:
        """Ends the threads; whatever shard was not closed is dropped."""
        for threads in self._threads.values():
            threads.shutdown(wait=True, cancel_futures=True)
        for writer in self.writers.values():
            writer.abort()
