"""The guard process: decodes what came from the web, so that a crash, a leak or a break-in stays in here.

Started as `python -m omnisrc.media.guard_child PARENT_PID MEMORY_MB`. Reads requests from stdin and answers on stdout
(see `wire`) until stdin closes. It has a limit on memory, may write no file, and dies with its parent.
"""

from __future__ import annotations

import resource
import sys
from pathlib import Path
from typing import Any

import cv2

from omnisrc.media.answers import Answer, answer_requests
from omnisrc.media.guard_tasks import TASKS
from omnisrc.media.heap import Heap
from omnisrc.media.source import MediaRef, Source
from omnisrc.media.wire import Buffer
from omnisrc.media.with_parent import die_with_parent

HEAP = Heap()


def main(parent: int, memory_mb: int) -> None:
    """Answer requests until the parent closes the pipe."""
    die_with_parent(parent)
    limit_resources(memory_mb)
    cv2.setNumThreads(1)
    answer_requests(answer)


def answer(request: dict[str, Any], buffers: list[Buffer]) -> Answer:
    """Run one task; a shortage of memory travels as `memory`."""
    HEAP.tidy()
    try:
        meta, results = TASKS[request["task"]](source_of(request["source"], buffers), request["params"])
    except Exception as error:
        if isinstance(error, MemoryError) or (isinstance(error, cv2.error) and error.code == cv2.Error.StsNoMem):
            return {"memory": True}, []
        raise
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
