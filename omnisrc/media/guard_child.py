"""The guard process: decodes what came from the web, so that a crash, a leak or a break-in stays in here.

Started as `python -m omnisrc.media.guard_child PARENT_PID MEMORY_MB`. Reads requests from stdin and answers on stdout
(see `wire`) until stdin closes. It has a limit on memory, may write no file, and dies with its parent.
"""

from __future__ import annotations

import os
import resource
import sys
import traceback
from pathlib import Path
from typing import Any

import cv2

from omnisrc.errors import ItemError
from omnisrc.media.guard_tasks import TASKS
from omnisrc.media.source import MediaRef, Source
from omnisrc.media.wire import Buffer, WireError, receive, send
from omnisrc.media.with_parent import die_with_parent


def main(parent: int, memory_mb: int) -> None:
    """Answer requests until the parent closes the pipe."""
    die_with_parent(parent)
    limit_resources(memory_mb)
    cv2.setNumThreads(1)
    requests, answers = os.dup(0), os.dup(1)
    quiet = os.open(os.devnull, os.O_RDWR)
    send(answers, {"ready": True})
    for standard in (0, 1, 2):  # what libraries print must neither mix with answers nor fill a pipe that nobody reads
        os.dup2(quiet, standard)
    while True:
        try:
            request, buffers = receive(requests)
        except WireError:
            return
        send(answers, *answer(request, buffers))


def answer(request: dict[str, Any], buffers: list[Buffer]) -> tuple[dict[str, Any], list[Buffer]]:
    """Run one task; what becomes of the item travels as `error`, a shortage of memory as `memory`, a bug as `bug`."""
    try:
        meta, results = TASKS[request["task"]](source_of(request["source"], buffers), request["params"])
    except ItemError as error:
        return {"error": error.error.value, "detail": error.detail}, []
    except Exception as error:
        if isinstance(error, MemoryError) or (isinstance(error, cv2.error) and error.code == cv2.Error.StsNoMem):
            return {"memory": True}, []
        return {"bug": traceback.format_exc()}, []
    return {"meta": meta}, results


def source_of(place: list[Any] | None, buffers: list[Buffer]) -> Source:
    """The source of a request: a buffer, a path, or a path with offset and length."""
    if place is None:
        return bytes(buffers[0])
    return Path(place[0]) if len(place) == 1 else MediaRef(*place)


def limit_resources(memory_mb: int) -> None:
    """Memory in all, no files written, no core dumps."""
    for limit, value in (
        (resource.RLIMIT_AS, memory_mb << 20),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (value, value))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
