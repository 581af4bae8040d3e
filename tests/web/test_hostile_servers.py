"""Servers and URLs that somebody made to do harm, against the client as a crawl uses it."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest
from yarl import URL

from omnisrc.errors import ErrorClass, ItemError
from omnisrc.web.addresses import BLOCKED_PORTS
from omnisrc.web.client import Patience
from omnisrc.web.download import Body, BodyLimits
from tests.local_web import LocalWeb
from tests.web.asking import FixedResolver, answered, client, fetch, fetched, trap

INSIDE = {
    "loopback": "127.0.0.99", "decimal": "2130706531", "hex": "0x7f000063", "hex-parts": "0x7f.0.0.0x63",
    "octal": "0177.0.0.0143", "short": "127.99", "trailing-dot": "127.0.0.99.", "mapped": "[::ffff:127.0.0.99]",
    "mapped-hex": "[::ffff:7f00:63]", "compatible": "[::127.0.0.99]", "nat64": "[64:ff9b::7f00:63]",
    "6to4": "[2002:7f00:63::1]", "teredo": "[2001:0:7f00:63:0:0:80ff:ff9c]", "loopback-v6": "[::1]",
    "link-local": "[fe80::1]", "unspecified": "0.0.0.0", "metadata": "169.254.169.254", "private": "10.0.0.1",
}  # fmt: skip
NO_HOSTS = {
    "full-width-dots": "127。0。0。99", "full-width-digits": "１２７.0.0.99", "circled-digits": "①②⑦.0.0.99",
    "arabic-digits": "١٢٧.0.0.99", "percent": "%31%32%37.0.0.99", "nul": "127.0.0.99%00.example.org",
    "space": "127.0.0.99 .example.org", "five-parts": "127.0.0.0.99", "too-large": "127.0.0.300",
    "credentials": "user:secret@127.0.0.99", "at-sign": "example.org@127.0.0.99",
    "backslash": "127.0.0.99\\@example.org",
}  # fmt: skip


def asked_for(url: str, **settings: object) -> ErrorClass:
    async def main() -> ErrorClass:
        async with client(**settings) as asking:  # type: ignore[arg-type]
            with pytest.raises(ItemError) as caught:
                await fetch(asking, url)
            return caught.value.error

    return asyncio.run(main())


def error_of(result: Body | ItemError) -> ErrorClass:
    assert isinstance(result, ItemError), result
    return result.error


@pytest.mark.parametrize("host", INSIDE.values(), ids=INSIDE)
def test_a_spelling_of_an_inside_address_is_refused_without_a_socket(host: str) -> None:
    resolver = FixedResolver()
    with trap() as seen:
        assert asked_for(f"http://{host}:{seen[0]}/", resolver=resolver) is ErrorClass.REFUSED_ADDRESS
    assert len(seen) == 1 and resolver.looked_up == []


@pytest.mark.parametrize("host", NO_HOSTS.values(), ids=NO_HOSTS)
def test_a_host_in_disguise_is_refused_without_a_socket(host: str) -> None:
    resolver = FixedResolver()
    with trap() as seen:
        said = asked_for(f"http://{host}:{seen[0]}/", resolver=resolver)
        assert said in (ErrorClass.BAD_URL, ErrorClass.REFUSED_ADDRESS)
    assert len(seen) == 1 and resolver.looked_up == []


@pytest.mark.parametrize("place", ["redirect", "first"])
@pytest.mark.parametrize("port", [22, 25, 110, 6667])
def test_a_port_of_another_protocol_is_refused(web: LocalWeb, place: str, port: int) -> None:
    resolver = FixedResolver(mail_example=[["192.0.43.8"]])
    url = f"http://mail.example:{port}/"
    said = fetched(web, web.redirect("/a", url) if place == "redirect" else url, resolver=resolver)
    assert error_of(said) is ErrorClass.REFUSED_ADDRESS and resolver.looked_up == []
    assert port in BLOCKED_PORTS and not {80, 443, 8080, 8443} & BLOCKED_PORTS


@pytest.mark.parametrize(
    "target",
    ["file:///etc/passwd", "data:image/png;base64,AA", "ftp://example.org/a.jpg", "javascript:alert(1)",
     "gopher://127.0.0.1/", "//user:pw@example.org/", "http://[::1", "view-source:http://example.org/"],
)  # fmt: skip
def test_a_redirect_to_what_is_no_web_address_is_refused(web: LocalWeb, target: str) -> None:
    said = fetched(web, web.redirect("/a", target))
    assert error_of(said) is ErrorClass.BAD_URL and web.asked == ["/a"]


@pytest.mark.parametrize("host", ["2130706531", "[::ffff:127.0.0.99]", "inside.example"])
def test_a_redirect_inside_is_refused_however_it_is_spelled(web: LocalWeb, host: str) -> None:
    resolver = FixedResolver(inside_example=[["127.0.0.99"]])
    with trap() as seen:
        said = fetched(web, web.redirect("/a", f"http://{host}:{seen[0]}/"), resolver=resolver)
        assert error_of(said) is ErrorClass.REFUSED_ADDRESS
    assert len(seen) == 1


def test_a_redirect_that_never_repeats_ends_too(web: LocalWeb) -> None:
    for number in range(50):
        web.redirect(f"/{number}", f"/{number + 1}?n={number}")
    assert error_of(fetched(web, web.url + "/0")) is ErrorClass.REDIRECT and len(web.asked) == 6


def test_a_name_is_checked_at_the_socket_and_not_only_when_it_is_looked_up(web: LocalWeb) -> None:
    """Rebinding within one lookup's life: the address that was public in the answer is private at the socket."""
    with trap() as seen:
        resolver = FixedResolver(evil_example=[["192.0.43.8"], ["127.0.0.99"]])

        async def main() -> list[ErrorClass]:
            found = []
            async with client(resolver=resolver, patience=Patience(0.3, 0.3, 1.0)) as asking:
                for _ in range(2):
                    with pytest.raises(ItemError) as caught:
                        await fetch(asking, f"http://evil.example:{seen[0]}/")
                    found.append(caught.value.error)
                    asking._session.connector.clear_dns_cache()  # type: ignore[union-attr]
            return found

        first, second = asyncio.run(main())
        assert first in (ErrorClass.CONNECT, ErrorClass.TIMEOUT) and second is ErrorClass.REFUSED_ADDRESS
    assert len(seen) == 1


def test_the_environment_adds_no_proxy_and_no_password(
    web: LocalWeb, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password secret\ndefault login me password secret\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    with trap() as seen:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.99:{seen[0]}")
        monkeypatch.setenv("NO_PROXY", "")
        assert fetched(web, web.add("/a", b"x")).read() == b"x"
    assert len(seen) == 1
    assert not {"authorization", "proxy-authorization", "cookie"} & {name.lower() for name in web.headers[0]}


def test_cookies_are_neither_kept_nor_sent(web: LocalWeb) -> None:
    web.redirect("/a", web.add("/b", b"x", headers={"Set-Cookie": "a=b"}))
    fetched(web, web.url + "/a")
    fetched(web, web.url + "/b")
    assert not any("Cookie" in head for head in web.headers)


OK = b"HTTP/1.1 200 OK\r\n"
NONSENSE = {
    "endless-headers": (OK, b"X-A: b\r\n" * 1000), "endless-header-line": (OK + b"X-A: ", b"a" * 10_000),
    "endless-status-line": (b"HTTP/1.1 200 ", b"a" * 10_000),
    "endless-trailers": (OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n", b"X-A: b\r\n" * 1000),
    "length-negative": (OK + b"Content-Length: -5\r\n\r\nhello", b""),
    "length-with-sign": (OK + b"Content-Length: +5\r\n\r\nhello", b""),
    "length-twice": (OK + b"Content-Length: 5\r\nContent-Length: 3\r\n\r\nhello", b""),
    "length-beyond-64-bits": (OK + b"Content-Length: 99999999999999999999999\r\n\r\nhello", b""),
    "length-and-chunks": (OK + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", b""),
    "chunk-beyond-64-bits": (OK + b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nhello", b""),
    "header-with-cr": (OK + b"X-A: a\rContent-Length: 9\r\nContent-Length: 3\r\n\r\nabc", b""),
    "header-with-nul": (OK + b"X-A: a\0b\r\nContent-Length: 3\r\n\r\nabc", b""),
    "no-http": (b"SSH-2.0-OpenSSH_9.0\r\n\r\n", b""), "http-0.9": (b"hello", b""),
}  # fmt: skip


@pytest.mark.parametrize(("words", "for_ever"), NONSENSE.values(), ids=NONSENSE)
def test_an_answer_that_breaks_http_is_refused_at_once(words: bytes, for_ever: bytes) -> None:
    said = answered(words, for_ever=for_ever, patience=Patience(10, 10, 60))
    assert error_of(said) in (ErrorClass.CONNECT, ErrorClass.TRUNCATED)


def test_a_body_longer_than_its_length_gives_no_second_answer() -> None:
    """What follows the body is not taken for the answer to the next request."""
    smuggled = OK + b"Content-Length: 3\r\n\r\nabc" + OK + b"Content-Length: 4\r\n\r\nevil"

    async def main() -> list[bytes | ErrorClass]:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while await reader.readline():
                while await reader.readline() not in (b"\r\n", b""):
                    continue
                writer.write(smuggled)
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        site = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        got: list[bytes | ErrorClass] = []
        async with server, client(site) as asking:
            for _ in range(3):
                try:
                    got.append((await fetch(asking, f"http://{site}/")).read())
                except ItemError as error:
                    got.append(error.error)
        return got

    got = asyncio.run(main())
    assert b"evil" not in got and set(got) <= {b"abc", ErrorClass.CONNECT}


ENDLESS = {
    "interim-answers": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "chunk-extension": (OK + b"Transfer-Encoding: chunked\r\n\r\n5;", b"a" * 1000),
}


@pytest.mark.parametrize(("words", "for_ever"), ENDLESS.values(), ids=ENDLESS)
def test_bytes_that_are_no_body_end_with_the_deadline(words: bytes, for_ever: bytes) -> None:
    said = answered(words, for_ever=for_ever, patience=Patience(10, 10, 0.4))
    assert error_of(said) is ErrorClass.TIMEOUT


DRIPS = {
    "status-line": (OK[:-3], b"2"), "header": (OK + b"X-A: ", b"2"),
    "chunks": (OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n"),
}  # fmt: skip


@pytest.mark.parametrize(("words", "for_ever"), DRIPS.values(), ids=DRIPS)
def test_a_drip_ends_with_the_deadline_wherever_it_drips(words: bytes, for_ever: bytes) -> None:
    said = answered(words, for_ever=for_ever, pause_s=0.02, patience=Patience(10, 10, 0.5))
    assert error_of(said) is ErrorClass.TIMEOUT


def test_an_endless_body_ends_at_its_limit() -> None:
    limits = BodyLimits(max_bytes=300_000)
    for head in (OK + b"\r\n", OK + b"Transfer-Encoding: chunked\r\n\r\n"):
        chunk = b"1000\r\n" + b"z" * 4096 + b"\r\n" if b"chunked" in head else b"z" * 4096
        assert error_of(answered(head, for_ever=chunk, limits=limits)) is ErrorClass.TOO_LARGE


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "compress", "x-unknown"])
def test_an_encoding_that_is_not_undone_is_no_medium(web: LocalWeb, encoding: str) -> None:
    said = fetched(web, web.add("/a", b"\xff\xd8\xff" * 2000, headers={"Content-Encoding": encoding}))
    assert error_of(said) is ErrorClass.NOT_MEDIA


def test_nothing_else_is_asked_of_the_server_than_plain_bytes(web: LocalWeb) -> None:
    fetched(web, web.add("/a", b"x"))
    assert web.headers[0]["Accept-Encoding"] == "identity"


def test_a_location_with_line_ends_adds_no_header(web: LocalWeb) -> None:
    web.add("/b", b"x")
    web.add("/a", status=302, headers={"Location": "/b%0d%0aX-Evil:%201"})
    web.routes["/b\r\nX-Evil: 1"] = web.routes["/b"]
    assert fetched(web, web.url + "/a").read() == b"x"
    assert not any("X-Evil" in head for head in web.headers)


def test_the_trap_is_one() -> None:
    with trap() as seen, socket.create_connection(("127.0.0.99", seen[0])):
        pass
    assert len(seen) == 2 and URL(f"http://127.0.0.99:{seen[0]}/").port == seen[0]
