from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from omnisrc.errors import ErrorClass, ItemError
from omnisrc.web.urls import SCHEMES, parse_url

BAD = [
    "", "   ", "example.org/a", "//example.org/a", "ftp://example.org/", "file:///etc/passwd",
    "data:image/png;base64,AA",
    "javascript:alert(1)", "http://", "http:///path", "http://user@example.org/", "http://user:pass@example.org/",
    "http://:secret@example.org/", "http://127.0.0.1\\@example.org/", "http:\\\\example.org/", "http://exa mple.org/",
    "http://example.org:0/", "http://example.org:99999/", "http://example.org:80:80/", "http://exam\tple.org/",
    "http://example.org/\r\nHost: x", "http://%31%32%37.0.0.1/", "http://127.0.0.1%00.example.org/", "http://a..b/",
    "http://[::1/", "http://[::1]x/", "http://1.2.3.4.5/", "http://-a.org/", "http://example.org/\x00",
    "http://" + "a" * 64 + ".org/", "http://example.org/" + "a" * 5000,
]  # fmt: skip


@pytest.mark.parametrize("text", BAD)
def test_odd_urls_are_refused(text: str) -> None:
    with pytest.raises(ItemError) as caught:
        parse_url(text)
    assert caught.value.error is ErrorClass.BAD_URL


@pytest.mark.parametrize(
    ("text", "url", "host", "port"),
    [
        ("http://Example.ORG/a", "http://example.org/a", "example.org", 80),
        (" https://example.org./a#part ", "https://example.org/a", "example.org", 443),
        ("http://2130706433:8080/", "http://127.0.0.1:8080/", "127.0.0.1", 8080),
        ("http://①②⑦.⓪.⓪.①/", "http://127.0.0.1/", "127.0.0.1", 80),
        ("http://[::FFFF:127.0.0.1]/", "http://[::ffff:7f00:1]/", "::ffff:7f00:1", 80),
        ("http://bücher.example/ä b", "http://xn--bcher-kva.example/%C3%A4%20b", "xn--bcher-kva.example", 80),
    ],
)
def test_hosts_come_out_in_one_spelling(text: str, url: str, host: str, port: int) -> None:
    parsed = parse_url(text)
    assert (str(parsed), parsed.host, parsed.port) == (url, host, port)


def test_a_signed_url_goes_out_as_it_came() -> None:
    signed = "https://example.org/a%2Fb;c=(1)/x%41?sig=a%2Fb+c%3D&t=~!*'"
    assert str(parse_url(signed)) == signed


def test_a_relative_redirect_is_read_against_its_base() -> None:
    assert str(parse_url("../b?x=1", URL("http://example.org/a/c"))) == "http://example.org/b?x=1"
    assert str(parse_url("//other.example/b", URL("https://example.org/a"))) == "https://other.example/b"


def test_the_site_is_the_registrable_domain_or_host_and_port() -> None:
    assert parse_url("https://img1.example.co.uk:8443/").site == "example.co.uk"
    assert parse_url("http://[2a00::1]:8080/").site == "[2a00::1]:8080"


parts = st.text(st.sampled_from("ab.:/@%[]\\?#0x7f1 ٣①é\t-_~"), max_size=25)


@given(st.builds("{}{}{}".format, st.sampled_from(["http://", "https:", "http:///", "//", ""]), parts, parts))
def test_whatever_is_accepted_is_canonical_and_the_connection_reads_it_alike(text: str) -> None:
    try:
        parsed = parse_url(text)
    except ItemError as error:
        assert error.error is ErrorClass.BAD_URL
        return
    assert parse_url(str(parsed)) == parsed
    assert parsed.url.scheme in SCHEMES and parsed.url.raw_user is None
    assert parsed.url.raw_host == parsed.host and parsed.url.port == parsed.port
    if parsed.address is None:  # then no system resolver takes it for an address either
        with pytest.raises(ValueError):
            ipaddress.ip_address(parsed.host)
