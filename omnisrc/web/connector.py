"""The place where sockets are made: nothing connects to an address that has not been checked."""

from __future__ import annotations

import ipaddress
import socket
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from omnisrc.web.addresses import AllowedHosts, is_public


class RefusedAddressError(OSError):
    """A connection to an address that is not public and not allowed by name."""


class GuardedResolver(AbstractResolver):
    """Resolves names to the addresses that may be connected to; raises RefusedAddressError where there is none."""

    def __init__(self, allow: AllowedHosts, inner: AbstractResolver | None = None) -> None:
        self._allow = allow
        self._inner = inner or aiohttp.ThreadedResolver()
        self.permitted: set[tuple[str, int]] = set()
        """Private addresses that a host named in `allow` has resolved to."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        if self._allow.permits(host.rstrip("."), port):
            self.permitted |= {(result["host"], port) for result in found}
            return found
        public = [result for result in found if is_public(ipaddress.ip_address(result["host"]))]
        if found and not public:
            raise RefusedAddressError(f"{host} resolves to {found[0]['host']}")
        return public

    async def close(self) -> None:
        await self._inner.close()


def guarded_connector(
    allow: AllowedHosts, resolver: AbstractResolver | None = None, keepalive_s: float = 15.0
) -> aiohttp.TCPConnector:
    """A connector whose every socket is made for a checked address.

    The resolver sees names only; a literal host goes past it, so the address is checked once more, literal or not,
    by the function that makes the socket. How many connections a host bears is the host gate's matter.
    """
    names = GuardedResolver(allow, resolver)

    def checked_socket(info: tuple[Any, ...]) -> socket.socket:
        family, kind, protocol, _, target = info
        host, port = target[0], target[1]
        if not (is_public(ipaddress.ip_address(host)) or allow.permits(host, port) or (host, port) in names.permitted):
            raise RefusedAddressError(f"{host} is not a public address")
        return socket.socket(family=family, type=kind, proto=protocol)

    return aiohttp.TCPConnector(
        resolver=names,
        socket_factory=checked_socket,
        limit=0,
        limit_per_host=0,
        keepalive_timeout=keepalive_s,
        ttl_dns_cache=60,
    )
