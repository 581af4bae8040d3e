"""A forward proxy on loopback for other programs: what they reach through it is checked where the socket is made.

It serves whoever holds the token of a passage that is open. The name that a request gives is resolved here, its
addresses are checked as the guarded client checks them, and the connection is made to the address that was checked.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
import ipaddress
import secrets
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Self

from aiohttp.abc import AbstractResolver

from omnisrc.errors import ErrorClass, ItemError
from omnisrc.web.addresses import BLOCKED_PORTS, AllowedHosts, is_public, literal_address
from omnisrc.web.connector import GuardedResolver, RefusedAddressError
from omnisrc.web.hosts import Gate
from omnisrc.web.urls import WebUrl, parse_url

USER = "omnisrc"
MAX_HEAD = 65536
HEAD_S = 30.0
CHUNK = 65536
HOP_HEADERS = (b"proxy-authorization", b"proxy-connection", b"connection", b"keep-alive", b"host")
REASONS = {400: "Bad Request", 403: "Forbidden", 407: "Proxy Authentication Required", 502: "Bad Gateway"}
GONE = (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.CancelledError)
"""Whoever connected went away, or is no HTTP client; or the passage closed, and the server has no use for that."""

Pipes = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass
class Passage:
    """One visitor's leave to use the proxy: `max_bytes` in all from the outside, and a slot of each site it goes to.

    The slots are kept until the passage closes, so that a visitor with several connections never waits for itself.
    `trouble` is the first reason for which the proxy kept something back.
    """

    token: str
    max_bytes: int
    received: int = 0
    trouble: Exception | None = None
    sites: set[str] = field(default_factory=set)
    slots: AsyncExitStack = field(default_factory=AsyncExitStack)
    entering: asyncio.Lock = field(default_factory=asyncio.Lock)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def refuse(self, reason: Exception) -> None:
        self.trouble = self.trouble or reason

    def count(self, received: int) -> None:
        """Raises ItemError(TOO_LARGE) where the passage has used up its bytes."""
        self.received += received
        if self.received > self.max_bytes:
            error = ItemError(ErrorClass.TOO_LARGE, f"more than {self.max_bytes} bytes came")
            self.refuse(error)
            raise error


class ForwardProxy:
    """An HTTP proxy (CONNECT, and absolute http: URLs) on 127.0.0.1. An asynchronous context manager.

    The environment's own proxies play no part: it connects by itself.
    """

    def __init__(
        self, gate: Gate, *, allow: AllowedHosts, connect_s: float = 10.0, resolver: AbstractResolver | None = None
    ) -> None:
        self._gate = gate
        self._allow = allow
        self._names = GuardedResolver(allow, resolver)
        self._connect_s = connect_s
        self._passages: dict[str, Passage] = {}
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=MAX_HEAD)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        await self._names.close()

    @property
    def port(self) -> int:
        assert self._server is not None, "the proxy is used as a context manager"
        return int(self._server.sockets[0].getsockname()[1])

    def url(self, passage: Passage) -> str:
        """The proxy's URL with the passage's credentials."""
        return f"http://{USER}:{passage.token}@127.0.0.1:{self.port}"

    @asynccontextmanager
    async def passage(self, max_bytes: int, *sites: str) -> AsyncIterator[Passage]:
        """A passage for as long as the block lasts; the visitor holds slots of `sites` already."""
        passage = Passage(secrets.token_urlsafe(24), max_bytes, sites=set(sites))
        self._passages[passage.token] = passage
        try:
            async with passage.slots:
                try:
                    yield passage
                finally:
                    del self._passages[passage.token]
                    for task in (open_tasks := list(passage.tasks)):
                        task.cancel()
                    await asyncio.gather(*open_tasks, return_exceptions=True)
        finally:
            passage.tasks.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        passage: Passage | None = None
        try:
            with suppress(*GONE):
                async with asyncio.timeout(HEAD_S):
                    head = await reader.readuntil(b"\r\n\r\n")
                line, *fields = head[:-4].split(b"\r\n")
                passage = self._known(fields)
                if passage is None:
                    await _answer(writer, 407, "the token of an open passage is wanted")
                    return
                assert task is not None
                passage.tasks.add(task)
                await self._pass(passage, line, fields, (reader, writer))
        finally:
            if passage is not None and task is not None:
                passage.tasks.discard(task)
            writer.close()

    def _known(self, fields: list[bytes]) -> Passage | None:
        """The passage whose token the request brings."""
        for one in fields:
            name, _, value = one.partition(b":")
            scheme, _, coded = value.strip().partition(b" ")
            if name.strip().lower() == b"proxy-authorization" and scheme.lower() == b"basic":
                with suppress(binascii.Error):
                    user, _, token = base64.b64decode(coded.strip(), validate=True).partition(b":")
                    for passage in self._passages.values():
                        if hmac.compare_digest(token, passage.token.encode()) and user == USER.encode():
                            return passage
        return None

    async def _pass(self, passage: Passage, line: bytes, fields: list[bytes], near: Pipes) -> None:
        """Connects to what the request names and passes bytes to and fro."""
        try:
            method, _, rest = line.decode("ascii").partition(" ")
            text = rest.rpartition(" ")[0]
            target = parse_url(f"https://{text}/" if method == "CONNECT" else text)
            if method != "CONNECT" and target.url.scheme != "http":
                raise ItemError(ErrorClass.BAD_URL, "only http: URLs without CONNECT")
        except (UnicodeDecodeError, ItemError) as error:
            await _answer(near[1], 400, str(error))
            return
        try:
            await self._enter(passage, target.site)
            far = await self._connect(target.host, target.port)
        except RefusedAddressError as error:
            passage.refuse(ItemError(ErrorClass.REFUSED_ADDRESS, str(error)))
            await _answer(near[1], 403, "refused address")
            return
        except (OSError, TimeoutError) as error:
            await _answer(near[1], 502, f"{target.host}: {error or 'no connection'}")
            return
        except Exception as error:  # the gate's: no slot is free
            passage.refuse(error)
            await _answer(near[1], 502, "not now")
            return
        try:
            if method == "CONNECT":
                near[1].write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                far[1].write(_onward(method, target, fields))
            await _both_ways(passage, near, far)
        finally:
            far[1].close()

    async def _enter(self, passage: Passage, site: str) -> None:
        """Takes a slot of a site that the visitor has not been to yet."""
        async with passage.entering:
            if site not in passage.sites:
                await passage.slots.enter_async_context(self._gate.slot(site))
                passage.sites.add(site)

    async def _connect(self, host: str, port: int) -> Pipes:
        """A connection to a checked address. Raises RefusedAddressError, OSError, TimeoutError."""
        failure: Exception = OSError(f"{host} has no address")
        for address in await self._addresses(host, port):
            try:
                async with asyncio.timeout(self._connect_s):
                    return await asyncio.open_connection(address, port, flags=socket.AI_NUMERICHOST, limit=CHUNK)
            except (OSError, TimeoutError) as error:
                failure = error
        raise failure

    async def _addresses(self, host: str, port: int) -> list[str]:
        """What a host may be connected to at: itself where it is a literal address, else what it resolves to."""
        allowed = self._allow.permits(host, port)
        if port in BLOCKED_PORTS and not allowed:
            raise RefusedAddressError(f"port {port} is another protocol's")
        literal = literal_address(host)
        if literal is None:
            async with asyncio.timeout(self._connect_s):
                found = await self._names.resolve(host, port, socket.AF_UNSPEC)
            addresses = [result["host"] for result in found]
        else:
            addresses = [str(literal)]
        for address in addresses:
            if not (allowed or is_public(ipaddress.ip_address(address))):
                raise RefusedAddressError(f"{address} is not a public address")
        return addresses


def _onward(method: str, target: WebUrl, fields: list[bytes]) -> bytes:
    """The head of a request as its server wants it: one request a connection, nothing of the proxy's."""
    kept = [one for one in fields if one.partition(b":")[0].strip().lower() not in HOP_HEADERS]
    host = target.url.host_port_subcomponent or target.host
    head = [f"{method} {target.url.raw_path_qs} HTTP/1.1".encode(), f"Host: {host}".encode(), *kept]
    return b"\r\n".join([*head, b"Connection: close", b"", b""])


async def _both_ways(passage: Passage, near: Pipes, far: Pipes) -> None:
    """Passes bytes on until both sides are through, or the passage has had its bytes."""
    up = asyncio.create_task(_pump(near[0], far[1], None))
    try:
        with suppress(OSError, ItemError):
            await _pump(far[0], near[1], passage)
    finally:
        up.cancel()
        await asyncio.gather(up, return_exceptions=True)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, passage: Passage | None) -> None:
    while data := await reader.read(CHUNK):
        if passage is not None:
            passage.count(len(data))
        writer.write(data)
        await writer.drain()
    with suppress(OSError):
        writer.write_eof()


async def _answer(writer: asyncio.StreamWriter, status: int, words: str) -> None:
    body = f"{words}\n".encode()
    head = [f"HTTP/1.1 {status} {REASONS[status]}", f"Content-Length: {len(body)}", "Connection: close"]
    if status == 407:
        head.append('Proxy-Authenticate: Basic realm="omnisrc"')
    writer.write("\r\n".join([*head, "", ""]).encode() + body)
    with suppress(OSError):
        await writer.drain()
