"""Short ways to ask the local web with the guarded client."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult

from omnisrc.errors import ItemError
from omnisrc.web.addresses import AllowedHosts
from omnisrc.web.client import Client, Patience
from omnisrc.web.download import Body, BodyLimits, read_body
from omnisrc.web.hosts import HostGate, Pace
from tests.local_web import LocalWeb

ROOMY = BodyLimits(max_bytes=2**24)


class FixedResolver(AbstractResolver):
    """Resolves names from a table; each lookup takes the next of the name's answers, the last one for ever."""

    def __init__(self, **names: list[list[str]]) -> None:
        self.names = {name.replace("_", "."): answers for name, answers in names.items()}
        self.looked_up: list[str] = []

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.looked_up.append(host)
        if host not in self.names:
            raise OSError(socket.EAI_NONAME, "no such host")
        answers = self.names[host]
        addresses = answers.pop(0) if len(answers) > 1 else answers[0]
        return [
            ResolveResult(hostname=host, host=a, port=port, family=socket.AF_INET, proto=0, flags=0) for a in addresses
        ]

    async def close(self) -> None:
        pass


def client(*allowed: str, patience: Patience | None = None, resolver: Any = None, concurrency: int = 4) -> Client:
    return Client(
        "omnisrc/0 (test)",
        HostGate(Pace(concurrency)),
        allow=AllowedHosts.parse(allowed),
        patience=patience or Patience(connect_s=3, idle_s=3, deadline_s=5),
        resolver=resolver,
    )


async def fetch(asked: Client, url: str, limits: BodyLimits = ROOMY, **options: Any) -> Body:
    async with asked.get(url, **options) as answer:
        answer.raise_for_status()
        return await read_body(answer, limits)


def fetched(web: LocalWeb, url: str, limits: BodyLimits = ROOMY, **settings: Any) -> Body | ItemError:
    """The body at `url`, or the ItemError, with the local web allowed."""

    async def main() -> Body | ItemError:
        async with client(web.site, **settings) as asked:
            try:
                return await fetch(asked, url, limits)
            except ItemError as error:
                return error

    return asyncio.run(main())


def answered(
    words: bytes, *, for_ever: bytes = b"", pause_s: float = 0.0, limits: BodyLimits = ROOMY, **settings: Any
) -> Body | ItemError:
    """The body, or the ItemError, from a server that says these words to any request, then `for_ever` again and again
    until the client leaves."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(words)
            while for_ever:
                writer.write(for_ever)
                await writer.drain()
                await asyncio.sleep(pause_s)
        writer.close()

    async def main() -> Body | ItemError:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        site = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with server, client(site, **settings) as asked:
            try:
                return await fetch(asked, f"http://{site}/", limits)
            except ItemError as error:
                return error

    return asyncio.run(main())


@contextmanager
def trap() -> Iterator[list[Any]]:
    """A listening port at an inside address; the list fills with whoever connects. Yields [port, *connections]."""
    listener = socket.socket()
    listener.bind(("127.0.0.99", 0))
    listener.listen()
    listener.setblocking(False)
    seen: list[Any] = [listener.getsockname()[1]]
    try:
        yield seen
        with suppress(BlockingIOError):  # nobody else has connected
            while True:
                seen.append(listener.accept()[1])
    finally:
        listener.close()
