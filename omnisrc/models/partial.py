"""A file on its way over the network, kept from one attempt to the next: what came once is not asked for again.

RFC 9110, sections 13.1.5 (If-Range) and 14: the rest is asked for on the condition that the file is the same, told by
a strong ETag or else Last-Modified. A server that knows neither is asked for the whole file each time.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any

from omnisrc.errors import ErrorClass, ItemError
from omnisrc.web.client import Answer

PREFIX = ".fetching-"
WAIT_S = 0.1
GRACE_S = 5.0
RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")


@dataclass
class Partial:
    """The part of one URL's file that has come, beside its note of what the rest must belong to."""

    path: Path
    file: FileIO

    @property
    def note(self) -> Path:
        return self.path.with_name(f"{self.path.name}.json")

    @property
    def size(self) -> int:
        return os.fstat(self.file.fileno()).st_size

    @property
    def kept(self) -> bool:
        """Whether another attempt can go on from here."""
        return self.size > 0 and bool(self._said().get("validator"))

    @property
    def whole(self) -> bool:
        """Whether all has come, as far as the server said how much that is."""
        return self.size > 0 and self._said().get("length") == self.size

    def wish(self) -> dict[str, str]:
        """Headers that ask for the rest; none for the whole file."""
        if not self.kept:
            return {}
        return {"Range": f"bytes={self.size}-", "If-Range": str(self._said()["validator"])}

    def begin(self, answer: Answer) -> int | None:
        """Takes an answer's head: from here on its body is to be added. The length of the whole file, where it is said.

        Raises ItemError(TRUNCATED) for a part that is not the one that was asked for.
        """
        if answer.status == 206:
            part = RANGE.fullmatch(answer.headers.get("Content-Range", "").strip())
            if part is None or int(part[1]) != self.size:
                self.clear()
                raise ItemError(ErrorClass.TRUNCATED, "another part than was asked for", http_status=206)
            return None if part[3] == "*" else int(part[3])
        length = answer.response.content_length
        self.clear()
        self.note.write_text(json.dumps({"validator": _validator(answer), "length": length}), encoding="utf-8")
        return length

    def add(self, chunk: bytes) -> None:
        """Bytes handed to the system at once: the end of this process does not take them back."""
        view = memoryview(chunk)
        while view:
            view = view[self.file.write(view) :]

    def clear(self) -> None:
        self.file.truncate(0)
        self.note.unlink(missing_ok=True)

    def sha256(self) -> str:
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def _said(self) -> dict[str, Any]:
        try:
            said = json.loads(self.note.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return said if isinstance(said, dict) else {}


@contextmanager
def partial_of(url: str, goal: Path) -> Iterator[Partial | None]:
    """The part of `goal` that came from `url`, for this process alone; None if another has finished it meanwhile.

    Waits while another has it. What cannot be gone on from is gone at the end. Raises OSError.
    """
    path = goal.with_name(f"{PREFIX}{hashlib.sha256(url.encode()).hexdigest()[:8]}-{goal.name}")
    while True:
        with path.open("ab", buffering=0) as file:
            if not _locked(file):
                time.sleep(WAIT_S)
                continue
            if not _same(file, path):  # it was given its name, or taken away, while we waited
                continue
            partial = Partial(path, file)
            try:
                yield None if goal.exists() else partial
            finally:
                if _same(file, path) and not partial.kept:
                    path.unlink(missing_ok=True)
                if not path.exists():
                    partial.note.unlink(missing_ok=True)
            return


async def pour(answer: Answer, partial: Partial, max_bytes: int, min_speed: float, count: Callable[[], None]) -> None:
    """Adds an answer's body; `count` is called with each piece.

    Raises ItemError: TOO_LARGE, TIMEOUT (slower than `min_speed` bytes/s), TRUNCATED, NOT_MEDIA (an encoded body),
    STORAGE.
    """
    if answer.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
        raise ItemError(ErrorClass.NOT_MEDIA, "an encoded body, which was not asked for")
    started, received = time.monotonic(), 0
    while chunk := await answer.response.content.readany():
        if partial.size + len(chunk) > max_bytes:
            raise ItemError(ErrorClass.TOO_LARGE, f"more than {max_bytes} bytes", http_status=answer.status)
        try:
            partial.add(chunk)
        except OSError as error:
            raise ItemError(ErrorClass.STORAGE, f"{partial.path}: {error.strerror or error}") from error
        count()
        received += len(chunk)
        elapsed = time.monotonic() - started
        if elapsed > GRACE_S and received < min_speed * elapsed:
            raise ItemError(ErrorClass.TIMEOUT, f"{received / elapsed:.0f} bytes/s", http_status=answer.status)


def _validator(answer: Answer) -> str:
    """A strong ETag, else Last-Modified; empty where there is neither."""
    tag = answer.headers.get("ETag", "").strip()
    return tag if tag.startswith('"') else answer.headers.get("Last-Modified", "").strip()


def _locked(file: FileIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _same(file: FileIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
