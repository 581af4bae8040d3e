"""The protocol between the project and its guard processes: one JSON header and raw buffers a message.

A message is 4 bytes of header length (big-endian), the header, and the buffers one after another; the header's
`buffers` lists each one's length and, for an array, its dtype and shape. There is no pickle: a decoder that hostile
media has taken over can send wrong data, and no more.
"""

from __future__ import annotations

import json
import os
import select
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Buffer = bytes | npt.NDArray[Any]

MAX_HEADER = 16 << 20
AHEAD_BYTES = 1 << 16
DTYPES = frozenset({"uint8", "int32", "int64", "float32", "float64"})


class WireError(Exception):
    """The other end closed the pipe or sent what the protocol does not allow."""


class WireTimeout(Exception):
    """The deadline passed before the message was through."""


def send(handle: int, header: Mapping[str, Any], buffers: Sequence[Buffer] = (), deadline: float | None = None) -> None:
    """Write one message. With a `deadline` (of `time.monotonic`) the handle must be non-blocking."""
    text = json.dumps({**header, "buffers": [_describe(buffer) for buffer in buffers]}).encode()
    _write(handle, [len(text).to_bytes(4, "big") + text, *map(_raw, buffers)], deadline)


def receive(
    handle: int, deadline: float | None = None, max_bytes: int | None = None
) -> tuple[dict[str, Any], list[Buffer]]:
    """Read one message. `WireError` when the other end is gone or breaks the protocol (more than `max_bytes`)."""
    incoming = _Incoming(handle, deadline)
    length = int.from_bytes(incoming.take(4), "big")
    if length > MAX_HEADER:
        raise WireError(f"header of {length} bytes")
    try:
        header = json.loads(incoming.take(length))
        descriptions = header.pop("buffers")
        total = sum(int(d["length"]) for d in descriptions)
        if max_bytes is not None and total > max_bytes:
            raise WireError(f"{total} bytes of buffers")
        return header, [_rebuild(d, incoming.take(int(d["length"]))) for d in descriptions]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise WireError(f"not a message: {error}") from error


def _describe(buffer: Buffer) -> dict[str, Any]:
    if isinstance(buffer, bytes):
        return {"length": len(buffer)}
    return {"length": buffer.nbytes, "dtype": buffer.dtype.name, "shape": buffer.shape}


def _rebuild(description: Mapping[str, Any], data: bytearray) -> Buffer:
    if "dtype" not in description:
        return bytes(data)
    if description["dtype"] not in DTYPES:
        raise WireError(f"array of {description['dtype']}")
    return np.frombuffer(data, description["dtype"]).reshape(description["shape"])


def _raw(buffer: Buffer) -> bytes | memoryview:
    return buffer if isinstance(buffer, bytes) else np.ascontiguousarray(buffer).reshape(-1).view(np.uint8).data


class _Incoming:
    """Reads parts of one message. A read takes more than it was asked for where more is there: a message has many
    parts, and each system call lets another thread have the interpreter. No other message can be behind this one."""

    def __init__(self, handle: int, deadline: float | None) -> None:
        self._handle, self._deadline = handle, deadline
        self._ahead = bytearray(AHEAD_BYTES)
        self._start = self._stop = 0

    def take(self, length: int) -> bytearray:
        data = bytearray(length)
        view = memoryview(data)
        at = min(length, self._stop - self._start)
        view[:at] = memoryview(self._ahead)[self._start : self._start + at]
        self._start += at
        while at < length:
            if self._deadline is not None:
                _wait(self._handle, select.POLLIN, self._deadline)
            got = os.readv(self._handle, [view[at:], self._ahead])
            if got == 0:
                raise WireError("the other end is gone")
            self._start, self._stop = 0, max(0, at + got - length)
            at = min(length, at + got)
        return data


def _write(handle: int, parts: list[bytes | memoryview], deadline: float | None) -> None:
    left = [memoryview(part) for part in parts if len(part)]
    while left:
        try:
            done = os.writev(handle, left)
        except BlockingIOError:
            _wait(handle, select.POLLOUT, deadline)
            continue
        except BrokenPipeError as error:
            raise WireError("the other end is gone") from error
        while left and done >= len(left[0]):
            done -= len(left.pop(0))
        if done:
            left[0] = left[0][done:]


def _wait(handle: int, event: int, deadline: float | None) -> None:
    poll = select.poll()
    poll.register(handle, event)
    left = None if deadline is None else max(0.0, deadline - time.monotonic()) * 1000
    if not poll.poll(left):
        raise WireTimeout
