"""Whom a request burdens: the unit of pacing that a host belongs to, by the public suffix list that publicsuffixlist
ships. Nothing is downloaded.
"""

from __future__ import annotations

import functools

from publicsuffixlist import PublicSuffixList

from omnisrc.web.addresses import literal_address


@functools.cache
def _suffixes() -> PublicSuffixList:
    # Of the registries alone: the list's private section tells tenants of one platform apart (github.io, blogspot.com),
    # but what they burden are the platform's machines.
    return PublicSuffixList(only_icann=True)


@functools.lru_cache(maxsize=65536)
def registrable(host: str) -> str | None:
    """The registrable domain of a host name in canonical form (`img1.example.co.uk` -> `example.co.uk`).

    A public suffix stands for itself; an address or a name of one label has none (None).
    """
    name = host.strip("[]")
    if "." not in name or literal_address(name) is not None:
        return None
    return _suffixes().privatesuffix(name) or name


def pacing_unit(host: str, port: int) -> str:
    """The unit by which requests to `host` are paced and counted: its registrable domain on any port, or `host:port`
    where it has none (an address, `localhost`)."""
    domain = registrable(host)
    if domain is not None:
        return domain
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def unit_of_name(text: str) -> str:
    """The unit that a person means by `HOST` or `HOST:PORT`; an address or a single label stays as it is written."""
    name, colon, port = text.rpartition(":")
    host = name if colon and port.isdigit() and name else text
    return registrable(host) or text
