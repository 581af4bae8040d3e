"""What the fake Pexels and the fake Pixabay have in common: photos and videos by pages, and a budget of calls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

from aiohttp import web

from tests.local_web import LocalWeb


@dataclass
class FakeStock:
    """A service at `BASE` of the local web with the paths `PATHS`; `moods` come before anything else, one a call.

    It has so many `photos` of `width` x `height`, and `videos`; `left` calls may be made; items come without the fields
    in `lost`.
    """

    BASE: ClassVar[str]
    PATHS: ClassVar[tuple[str, ...]]

    served: LocalWeb
    photos: int = 0
    videos: int = 0
    width: int = 4000
    height: int = 3000
    left: int = 100
    lost: tuple[str, ...] = ()
    calls: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    moods: list[Callable[[web.Request], web.StreamResponse | None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        for path in self.PATHS:
            self.served.routes[self.BASE + path] = self._answer

    @property
    def endpoint(self) -> str:
        return self.served.url + self.BASE

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        query = dict(request.query)
        self.calls.append((request.path, query))
        mood = self.moods.pop(0)(request) if self.moods else None
        return mood or self._reply(request, query)

    def items(self, film: bool, start: int, count: int, most: int | None = None) -> list[dict[str, Any]]:
        """Items `start` on of the first `most`, `count` of them at the most."""
        number, make = (self.videos, self._video) if film else (self.photos, self._photo)
        found = [make(n) for n in range(number)[:most][start : start + count]]
        return [{name: value for name, value in item.items() if name not in self.lost} for item in found]

    def _reply(self, request: web.Request, query: dict[str, str]) -> web.StreamResponse:
        raise NotImplementedError

    def _photo(self, n: int) -> dict[str, Any]:
        raise NotImplementedError

    def _video(self, n: int) -> dict[str, Any]:
        raise NotImplementedError
