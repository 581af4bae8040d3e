"""Calls made ahead of whoever needs their results."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def ahead(threads: ThreadPoolExecutor, calls: Iterable[Callable[[], T]], depth: int) -> Iterator[T]:
    """The results of the calls in their order, at most `depth` of them begun before they are asked for."""
    begun: deque[Future[T]] = deque()
    left = iter(calls)
    try:
        while True:
            while len(begun) < max(1, depth) and (call := next(left, None)) is not None:
                begun.append(threads.submit(call))
            if not begun:
                return
            yield begun.popleft().result()
    finally:
        for future in begun:
            future.cancel()
