"""Reads a body within limits of size, speed and kind, and gives it as bytes or, where it is large, as a file."""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
import zlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from omnisrc.errors import ErrorClass, ItemError
from omnisrc.web.client import Answer

HEAD_BYTES = 4096
"""So many first bytes tell the kind of a file."""


@dataclass(frozen=True)
class BodyLimits:
    """What a body may be.

    `min_speed` (bytes/s, over the whole body) counts after `grace_s`. A body over `memory_bytes` goes to a file in
    `folder` whose name begins with `prefix`. `check_head` sees the first bytes before the rest is read, and raises
    ItemError where it has no use for them. With `cut` a longer body is read up to about `max_bytes` and not refused.
    `count` is told how many bytes came over the network, as they come, whatever becomes of them. `pay` waits until so
    many bytes may have come, and tells for how many seconds it did; they count against no limit of time or speed.
    """

    max_bytes: int
    min_speed: float = 0.0
    grace_s: float = 5.0
    memory_bytes: int = 2**62
    folder: Path | None = None
    prefix: str = "body-"
    check_head: Callable[[bytes], None] | None = None
    cut: bool = False
    count: Callable[[int], None] | None = None
    pay: Callable[[int], Awaitable[float]] | None = None


@dataclass
class Body:
    """Bytes as fetched: `source` is the bytes themselves, or the path of a temporary file.

    A video that plays longer than `longest_s` is not wanted (0: however long).
    """

    source: bytes | Path
    length: int
    sha256: str
    sha1: str | None = None
    longest_s: float = 0.0

    def read(self) -> bytes:
        return self.source if isinstance(self.source, bytes) else self.source.read_bytes()

    def discard(self) -> None:
        if isinstance(self.source, Path):
            self.source.unlink(missing_ok=True)


@dataclass
class _Sink:
    """Collects a body in memory, and in a file from `memory_bytes` on."""

    limits: BodyLimits
    length: int = 0
    chunks: list[bytes] = field(default_factory=list)
    file: BinaryIO | None = None
    path: Path | None = None
    hash: hashlib._Hash = field(default_factory=hashlib.sha256)
    sha1: hashlib._Hash = field(default_factory=lambda: hashlib.sha1(usedforsecurity=False))
    checked: bool = False

    def write(self, chunk: bytes) -> None:
        self.length += len(chunk)
        self.hash.update(chunk)
        self.sha1.update(chunk)
        if self.file is None:
            self.chunks.append(chunk)
            if not self.checked and self.length >= HEAD_BYTES:
                self._check_head()
            if self.length > self.limits.memory_bytes:
                self._spill()
        else:
            self._to_file(chunk)

    def finish(self) -> Body:
        if self.length == 0:
            raise ItemError(ErrorClass.EMPTY, "no bytes")
        if not self.checked:
            self._check_head()
        if self.file is not None and self.path is not None:
            self.file.close()
            return Body(self.path, self.length, self.hash.hexdigest(), self.sha1.hexdigest())
        return Body(b"".join(self.chunks), self.length, self.hash.hexdigest(), self.sha1.hexdigest())

    def abandon(self) -> None:
        if self.file is not None and self.path is not None:
            self.file.close()
            self.path.unlink(missing_ok=True)

    def _check_head(self) -> None:
        self.checked = True
        if self.limits.check_head is not None:
            first = self.chunks[0] if len(self.chunks) == 1 else b"".join(self.chunks)
            self.limits.check_head(first[:HEAD_BYTES])

    def _spill(self) -> None:
        try:
            handle, name = tempfile.mkstemp(prefix=self.limits.prefix, dir=self.limits.folder)
        except OSError as error:
            raise ItemError(ErrorClass.STORAGE, f"no temporary file: {error}") from error
        self.file, self.path = os.fdopen(handle, "wb"), Path(name)
        for chunk in self.chunks:
            self._to_file(chunk)
        self.chunks.clear()

    def _to_file(self, chunk: bytes) -> None:
        assert self.file is not None
        try:
            self.file.write(chunk)
        except OSError as error:
            raise ItemError(ErrorClass.STORAGE, f"temporary file: {error}") from error


class _Inflater:
    """Undoes a content encoding, never giving more than it is asked for at a time."""

    def __init__(self, encoding: str) -> None:
        if encoding not in ("gzip", "x-gzip", "deflate"):
            raise ItemError(ErrorClass.NOT_MEDIA, f"content encoding {encoding!r} was not asked for")
        self._stream = zlib.decompressobj(zlib.MAX_WBITS | 32 if encoding != "deflate" else zlib.MAX_WBITS)

    def feed(self, chunk: bytes, sink: _Sink) -> None:
        try:
            while chunk:
                room = sink.limits.max_bytes - sink.length + 1
                sink.write(self._stream.decompress(chunk, min(room, 2**20)))
                if sink.length > sink.limits.max_bytes:
                    raise ItemError(ErrorClass.BOMB, f"inflates to more than {sink.limits.max_bytes} bytes")
                chunk = self._stream.unconsumed_tail
        except zlib.error as error:
            raise ItemError(ErrorClass.DECODE, f"content encoding: {error}") from error

    def finish(self) -> None:
        if not self._stream.eof:
            raise ItemError(ErrorClass.TRUNCATED, "the encoded body ends early")


async def read_body(answer: Answer, limits: BodyLimits) -> Body:
    """The body of an answer, whatever its status.

    Raises ItemError: TOO_LARGE, TIMEOUT (too slow), TRUNCATED, EMPTY, BOMB (of the content encoding), NOT_MEDIA or
    DECODE (of the content encoding), STORAGE (of the temporary file), and what `check_head` raises.
    """
    length = answer.response.content_length
    if length is not None and length > limits.max_bytes and not limits.cut:
        raise ItemError(ErrorClass.TOO_LARGE, f"{length} bytes, the limit is {limits.max_bytes}", http_status=200)
    encoding = answer.headers.get("Content-Encoding", "").strip().lower()
    inflater = _Inflater(encoding) if encoding not in ("", "identity") else None
    sink = _Sink(limits)
    try:
        await _pour(answer, limits, sink, inflater)
        if inflater is not None and sink.length:
            inflater.finish()
        return sink.finish()
    except BaseException:
        sink.abandon()
        raise


def read_file(path: Path, limits: BodyLimits) -> Body:
    """A file that another program downloaded, as a body within the same limits. Raises ItemError as `read_body`."""
    sink = _Sink(limits)
    try:
        with path.open("rb") as file:
            while chunk := file.read(2**20):
                if limits.count is not None:
                    limits.count(len(chunk))
                sink.write(chunk)
                if sink.length > limits.max_bytes:
                    raise ItemError(ErrorClass.TOO_LARGE, f"more than {limits.max_bytes} bytes")
        return sink.finish()
    except OSError as error:
        sink.abandon()
        raise ItemError(ErrorClass.STORAGE, f"{path.name}: {error.strerror}") from error
    except BaseException:
        sink.abandon()
        raise


async def _pour(answer: Answer, limits: BodyLimits, sink: _Sink, inflater: _Inflater | None) -> None:
    content, started, received, waited = answer.response.content, time.monotonic(), 0, 0.0
    while chunk := await content.readany():
        received += len(chunk)
        if limits.count is not None:
            limits.count(len(chunk))
        if limits.pay is not None and (pause := await limits.pay(len(chunk))):
            answer.wait_longer(pause)
            waited += pause
        if inflater is not None:
            inflater.feed(chunk, sink)
        else:
            sink.write(chunk)
        if sink.length > limits.max_bytes:
            if limits.cut:
                return
            raise ItemError(ErrorClass.TOO_LARGE, f"more than {limits.max_bytes} bytes", http_status=answer.status)
        elapsed = time.monotonic() - started - waited
        if elapsed > limits.grace_s and received < limits.min_speed * elapsed:
            raise ItemError(ErrorClass.TIMEOUT, f"{received / elapsed:.0f} bytes/s", http_status=answer.status)
