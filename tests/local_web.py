"""A small web on loopback for tests: an aiohttp server in a thread of its own, which notes what it is asked."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from aiohttp import web

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class LocalWeb:
    """Answers `routes` (path -> handler or response maker); anything else is 404.

    `asked` are the paths in order, `busy` the requests now, `most` the most at once, `connections` how many were made.
    """

    address: str = "127.0.0.1"
    routes: dict[str, Answer] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    agents: set[str] = field(default_factory=set)
    headers: list[dict[str, str]] = field(default_factory=list)
    busy: int = 0
    most: int = 0
    connections: int = 0
    port: int = 0

    @property
    def site(self) -> str:
        return f"{self.address}:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.site}"

    def count(self, path: str) -> int:
        return Counter(self.asked)[path]

    def add(self, path: str, body: bytes = b"", *, status: int = 200, headers: dict[str, str] | None = None) -> str:
        """A fixed answer at `path`; its URL."""

        async def answer(request: web.Request) -> web.StreamResponse:
            return web.Response(body=body, status=status, headers=headers)

        self.routes[path] = answer
        return self.url + path

    def redirect(self, path: str, to: str, status: int = 302) -> str:
        return self.add(path, status=status, headers={"Location": to})

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.path)
        self.agents.add(request.headers.get("User-Agent", ""))
        self.headers.append(dict(request.headers))
        self.busy += 1
        self.most = max(self.most, self.busy)
        try:
            route = self.routes.get(request.path)
            return await route(request) if route else web.Response(status=404)
        finally:
            self.busy -= 1

    def __enter__(self) -> LocalWeb:
        started = threading.Event()
        self._loop = asyncio.new_event_loop()

        async def start() -> None:
            server = web.Server(self._answer)
            made = server.__call__

            def connected() -> asyncio.Protocol:
                self.connections += 1
                return made()

            self._server = await self._loop.create_server(connected, self.address, 0)
            self.port = self._server.sockets[0].getsockname()[1]
            self._handlers = server
            started.set()

        def run() -> None:
            asyncio.set_event_loop(self._loop)
            self._loop.create_task(start())
            self._loop.run_forever()

        self._thread = threading.Thread(target=run, daemon=True)
        self._thread.start()
        assert started.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        async def stop() -> None:
            self._server.close()
            await self._handlers.shutdown(0.5)
            self._loop.stop()

        asyncio.run_coroutine_threadsafe(stop(), self._loop)
        self._thread.join(10)
        self._loop.close()
