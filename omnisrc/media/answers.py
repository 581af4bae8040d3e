"""How a child process answers what it is asked: its loop, and how its parent reads what became of the item."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Mapping
from typing import Any

from omnisrc.errors import ErrorClass, ItemError
from omnisrc.media.wire import Buffer, WireError, receive, send

Answer = tuple[dict[str, Any], list[Buffer]]


def answer_requests(run: Callable[[dict[str, Any], list[Buffer]], Answer]) -> None:
    """Say that the child is ready, then answer on stdout what comes on stdin, until that closes.

    What `run` raises travels too: an ItemError as `error`, anything else as a `bug` with its traceback.
    """
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
        send(answers, *_answer(run, request, buffers))


def _answer(
    run: Callable[[dict[str, Any], list[Buffer]], Answer], request: dict[str, Any], buffers: list[Buffer]
) -> Answer:
    try:
        return run(request, buffers)
    except ItemError as error:
        told = {"error": error.error.value, "detail": error.detail}
        return {**told, "http_status": error.http_status, "retry_after": error.retry_after}, []
    except Exception:
        return {"bug": traceback.format_exc()}, []


def meta_of(answer: Mapping[str, Any]) -> dict[str, Any]:
    """What a child answered. Raises the ItemError that it told; RuntimeError for a bug of its own."""
    if "bug" in answer:
        raise RuntimeError(f"in a child process:\n{answer['bug']}")
    if "error" in answer:
        raise ItemError(
            ErrorClass(answer["error"]),
            str(answer.get("detail") or ""),
            http_status=answer.get("http_status"),
            retry_after=answer.get("retry_after"),
        )
    meta = answer.get("meta")
    return meta if isinstance(meta, dict) else {}
