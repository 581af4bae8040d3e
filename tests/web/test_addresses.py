from __future__ import annotations

import ipaddress
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omnisrc.errors import UserError
from omnisrc.web.addresses import AllowedHosts, is_public, literal_address

PUBLIC = ["8.8.8.8", "198.35.26.96", "1.1.1.1", "2620:0:863:ed1a::1", "2a00:1450:4001:80b::200e", "223.255.255.254"]
NOT_PUBLIC = [
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "127.0.0.1", "127.255.255.254", "169.254.169.254", "172.16.0.1",
    "172.31.255.255", "192.0.0.8", "192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1", "198.51.100.1",
    "203.0.113.1", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255",
    "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd12:3456::1", "fec0::1", "ff02::1", "2001:db8::1",
    "2001:10::1", "2001:2::1", "3fff::1", "5f00::1", "64:ff9b:1::8.8.8.8", "100::1", "4000::1",
]  # fmt: skip
CARRIERS = {
    "mapped": "::ffff:{}",
    "compatible": "::{}",
    "nat64": "64:ff9b::{}",
}


@pytest.mark.parametrize("text", PUBLIC)
def test_addresses_of_the_internet_are_public(text: str) -> None:
    assert is_public(ipaddress.ip_address(text))


@pytest.mark.parametrize("text", NOT_PUBLIC)
def test_private_special_and_multicast_addresses_are_not(text: str) -> None:
    assert not is_public(ipaddress.ip_address(text))


@pytest.mark.parametrize("carrier", CARRIERS.values(), ids=CARRIERS)
@pytest.mark.parametrize(("inner", "public"), [("8.8.8.8", True), ("127.0.0.1", False), ("169.254.169.254", False)])
def test_an_ipv6_address_counts_as_the_ipv4_address_inside(carrier: str, inner: str, public: bool) -> None:
    assert is_public(ipaddress.ip_address(carrier.format(inner))) == public


def test_6to4_and_teredo_count_as_what_they_carry() -> None:
    assert is_public(ipaddress.ip_address("2002:0808:0808::1"))
    assert not is_public(ipaddress.ip_address("2002:7f00:0001::1"))
    assert not is_public(ipaddress.ip_address("2002:a9fe:a9fe::1"))
    # Teredo: server 65.54.227.120, client 192.0.2.45 (inverted), the example of RFC 4380
    assert not is_public(ipaddress.ip_address("2001:0:4136:e378:8000:63bf:3fff:fdd2"))


@given(st.integers(0, 2**32 - 1).map(ipaddress.IPv4Address))
def test_a_public_ipv4_address_is_global_by_the_standard_library_too(address: ipaddress.IPv4Address) -> None:
    if is_public(address):
        assert address.is_global and not address.is_multicast and not address.is_reserved


@given(st.integers(0, 2**128 - 1).map(ipaddress.IPv6Address))
def test_a_public_ipv6_address_lies_in_global_unicast_or_carries_a_public_one(address: ipaddress.IPv6Address) -> None:
    if is_public(address):
        inner = address.ipv4_mapped or address.sixtofour
        assert inner is not None or int(address) >> 125 == 1 or int(address) >> 32 in (0, 0x64FF9B << 64)


SPELLINGS = {
    "127.0.0.1": "127.0.0.1", "2130706433": "127.0.0.1", "0x7f000001": "127.0.0.1", "017700000001": "127.0.0.1",
    "0x7f.1": "127.0.0.1", "0177.0.0.01": "127.0.0.1", "127.1": "127.0.0.1", "127.0.1": "127.0.0.1",
    "0X7F.0x0.0.0x1": "127.0.0.1", "127.0.0.1.": "127.0.0.1", "0": "0.0.0.0", "0xa9fea9fe": "169.254.169.254",
    "169.254.43518": "169.254.169.254", "[::1]": "::1", "[::ffff:127.0.0.1]": "::ffff:7f00:1",
    "[0:0:0:0:0:0:0:1]": "::1", "8.8.8.8": "8.8.8.8", "134744072": "8.8.8.8",
}  # fmt: skip


@pytest.mark.parametrize(("host", "address"), SPELLINGS.items())
def test_every_spelling_of_an_address_is_read(host: str, address: str) -> None:
    assert literal_address(host) == ipaddress.ip_address(address)


@pytest.mark.parametrize(
    "host", ["example.org", "localhost", "1e100.net", "7f000001.example", "a.b.c.d", "1.2.3.4.example"]
)
def test_names_are_not_addresses(host: str) -> None:
    assert literal_address(host) is None


@pytest.mark.parametrize(
    "host", ["1.2.3.4.5", "256.256.256.256", "4294967296", "1.2.3.256", "0x1g.1", "08.1", "a.1", "[::g]"]
)
def test_what_ends_in_a_number_and_is_no_address_is_refused(host: str) -> None:
    with pytest.raises(ValueError):
        literal_address(host)


number = st.one_of(
    st.integers(0, 2**32).map(str), st.integers(0, 2**32).map(hex), st.integers(0, 2**32).map(lambda n: f"0{n:o}")
)


@given(st.lists(number, min_size=1, max_size=4).map(".".join))
def test_spellings_are_read_as_the_system_reads_them(host: str) -> None:
    try:
        expected = ipaddress.IPv4Address(socket.inet_aton(host))
    except OSError:
        with pytest.raises(ValueError):
            literal_address(host)
    else:
        assert literal_address(host) == expected


def test_allowed_hosts_permit_the_host_with_its_port_alone() -> None:
    allow = AllowedHosts.parse(["127.0.0.1:8080", "[::1]:80", "Media.Internal.:443"])
    assert allow.permits("127.0.0.1", 8080) and allow.permits("::1", 80) and allow.permits("media.internal", 443)
    assert not allow.permits("127.0.0.1", 80) and not allow.permits("127.0.0.2", 8080)


@pytest.mark.parametrize("text", ["127.0.0.1", "host:", ":80", "http://a:80", "a:0", "a:65536", "a:b", "1.2.3.4.5:80"])
def test_a_malformed_allowed_host_is_the_users_mistake(text: str) -> None:
    with pytest.raises(UserError, match=r"crawl\.allow_hosts"):
        AllowedHosts.parse([text])
