"""Which network addresses a crawler may connect to, and the exceptions that a user names."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from omnisrc.errors import UserError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# The IANA special-purpose registries, and multicast. 192.88.99.0/24 is the retired 6to4 relay.
_PRIVATE_V4 = tuple(
    ipaddress.IPv4Network(text)
    for text in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
        "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24",
        "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
    )
)  # fmt: skip
_GLOBAL_V6 = ipaddress.IPv6Network("2000::/3")
_PRIVATE_V6 = tuple(ipaddress.IPv6Network(text) for text in ("2001::/23", "2001:db8::/32", "3fff::/20"))
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_COMPATIBLE = ipaddress.IPv6Network("::/96")

BLOCKED_PORTS = frozenset(
    (
        1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104, 109,
        110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513, 514, 515, 526, 530,
        531, 532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993, 995, 1719, 1720, 1723, 2049, 3659, 4045,
        4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080,
    )
)  # fmt: skip
"""Ports of other protocols, whose servers might take an HTTP request for one of theirs (Fetch standard, "bad port")."""

_NUMBER = re.compile(r"(?:0x[0-9a-f]*|[0-9]+)")


def _inner_addresses(address: ipaddress.IPv6Address) -> list[ipaddress.IPv4Address] | None:
    """The IPv4 addresses that an IPv6 address stands for, or None where it stands for itself."""
    if address.ipv4_mapped is not None:
        return [address.ipv4_mapped]
    if address.sixtofour is not None:
        return [address.sixtofour]
    if address.teredo is not None:
        return list(address.teredo)
    if address in _NAT64 or address in _COMPATIBLE:
        return [ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)]
    return None


@lru_cache(maxsize=4096)
def is_public(address: Address) -> bool:
    """True for an address of the public internet; what an IPv6 address carries inside (mapped, NAT64, 6to4, Teredo)
    counts as what it is."""
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in _PRIVATE_V4)
    if address.scope_id:
        return False
    inner = _inner_addresses(address)
    if inner is not None:
        return all(is_public(part) for part in inner)
    return address in _GLOBAL_V6 and not any(address in network for network in _PRIVATE_V6)


@lru_cache(maxsize=4096)
def literal_address(host: str) -> Address | None:
    """The address that a host spells, or None for a name.

    Reads what `inet_aton` reads (`2130706433`, `0x7f.1`, `0177.0.0.1`, `127.1`), since a system resolver does too.
    Raises ValueError where the last label is a number and yet no address comes of it (`1.2.3.4.5`, `256.1`).
    """
    text = host.strip("[]").lower()
    if ":" in text:
        return ipaddress.IPv6Address(text)
    parts = text.removesuffix(".").split(".")
    if not _NUMBER.fullmatch(parts[-1]):
        return None
    if len(parts) > 4:
        raise ValueError(f"{host!r} is neither a name nor an address")
    *firsts, last = [_number(part) for part in parts]
    room = 256 ** (4 - len(firsts))
    if last >= room or any(first > 255 for first in firsts):
        raise ValueError(f"{host!r} is out of the range of addresses")
    return ipaddress.IPv4Address(sum(first << (24 - 8 * place) for place, first in enumerate(firsts)) + last)


def _number(text: str) -> int:
    """One part of an address as C reads it: hexadecimal after 0x, octal after 0, else decimal."""
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"{text!r} is not a number")
    if text.startswith("0x"):
        return int(text[2:] or "0", 16)
    return int(text, 8) if text.startswith("0") else int(text)


@dataclass(frozen=True)
class AllowedHosts:
    """Hosts with their ports that may be private (`crawl.allow_hosts`)."""

    entries: frozenset[tuple[str, int]] = frozenset()

    @classmethod
    def parse(cls, texts: Iterable[str]) -> AllowedHosts:
        """Read `host:port` entries; IPv6 in brackets. Raises UserError."""
        return cls(frozenset(_host_and_port(text) for text in texts))

    def permits(self, host: str, port: int) -> bool:
        return (host, port) in self.entries


def _host_and_port(text: str) -> tuple[str, int]:
    host, _, port = text.strip().rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536 or "/" in host:
        raise UserError(f"The setting crawl.allow_hosts has {text!r}; write HOST:PORT, like 127.0.0.1:8080.")
    try:
        address = literal_address(host)
    except ValueError:
        raise UserError(f"The setting crawl.allow_hosts has {host!r}, which is no host name or address.") from None
    return (host.lower().removesuffix(".") if address is None else str(address)), int(port)
