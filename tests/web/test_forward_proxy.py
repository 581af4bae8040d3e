"""The proxy for other programs: it connects to nothing that the guarded client would not connect to."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from omnisrc.errors import ErrorClass, ItemError
from omnisrc.web.addresses import AllowedHosts
from omnisrc.web.forward_proxy import USER, ForwardProxy, Passage
from omnisrc.web.hosts import HostGate, Pace
from tests.local_web import LocalWeb
from tests.web.asking import FixedResolver, trap

Speak = Callable[[str, str | None], Awaitable[bytes]]


def through(
    use: Callable[[ForwardProxy, Passage, Speak], Awaitable[Any]], *allowed: str, resolver: Any = None,
    max_bytes: int = 10**6, gate: Any = None, sites: tuple[str, ...] = (),
) -> Any:  # fmt: skip
    """What `use(proxy, passage, speak)` gives; `speak(head, token)` sends a request's head and reads to the end."""

    async def main() -> Any:
        proxy = ForwardProxy(
            gate or HostGate(Pace(2)), allow=AllowedHosts.parse(allowed), connect_s=3, resolver=resolver
        )
        async with proxy, proxy.passage(max_bytes, *sites) as passage:

            async def speak(head: str, token: str | None) -> bytes:
                reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
                if token is not None:
                    coded = base64.b64encode(f"{USER}:{token}".encode()).decode()
                    head += f"Proxy-Authorization: Basic {coded}\r\n"
                writer.write(f"{head}\r\n".encode())
                try:
                    async with asyncio.timeout(5):
                        return await reader.read(-1)
                except ConnectionError:
                    return b""
                finally:
                    writer.close()

            return await use(proxy, passage, speak)

    return asyncio.run(main())


async def asked(head: str, passage: Passage, speak: Speak) -> tuple[int, ErrorClass | None]:
    answer = await speak(head, passage.token)
    error = passage.trouble.error if isinstance(passage.trouble, ItemError) else None
    return int(answer.split()[1]), error


def test_an_allowed_host_is_reached_by_both_ways(web: LocalWeb) -> None:
    web.add("/a?b=c", b"")
    web.add("/a", b"the body")

    async def use(proxy: ForwardProxy, passage: Passage, speak: Speak) -> None:
        plain = await speak(f"GET {web.url}/a?b=c HTTP/1.1\r\nHost: other.example\r\nX-Own: 1\r\n", passage.token)
        assert plain.startswith(b"HTTP/1.1 200") and plain.endswith(b"the body")
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        coded = base64.b64encode(f"{USER}:{passage.token}".encode()).decode()
        writer.write(f"CONNECT {web.site} HTTP/1.1\r\nProxy-Authorization: Basic {coded}\r\n\r\n".encode())
        assert b" 200 " in await reader.readuntil(b"\r\n\r\n")
        writer.write(f"GET /a HTTP/1.1\r\nHost: {web.site}\r\nConnection: close\r\n\r\n".encode())
        assert (await reader.read(-1)).endswith(b"the body")
        writer.close()

    through(use, web.site)
    assert web.asked == ["/a", "/a"]
    sent = web.headers[0]
    assert sent["Host"] == web.site and sent["X-Own"] == "1", "the host is that of the URL that was checked"
    assert not any(name.lower().startswith("proxy") for name in sent)


@pytest.mark.parametrize(
    "host", ["127.0.0.99", "[::ffff:127.0.0.99]", "2130706531", "0x7f.99", "10.0.0.1", "169.254.169.254", "[::1]"]
)
def test_private_addresses_are_refused(host: str) -> None:
    with trap() as seen:

        async def use(proxy: ForwardProxy, passage: Passage, speak: Speak) -> list[tuple[int, ErrorClass | None]]:
            place = f"{host}:{seen[0]}"
            return [
                await asked(f"CONNECT {place} HTTP/1.1\r\n", passage, speak),
                await asked(f"GET http://{place}/ HTTP/1.1\r\n", passage, speak),
            ]

        assert through(use) == [(403, ErrorClass.REFUSED_ADDRESS)] * 2
    assert len(seen) == 1


def test_the_port_of_another_protocol_is_refused() -> None:
    resolver = FixedResolver(mail_example=[["192.0.43.8"]])

    async def use(proxy: ForwardProxy, passage: Passage, speak: Speak) -> tuple[int, ErrorClass | None]:
        return await asked("CONNECT mail.example:25 HTTP/1.1\r\n", passage, speak)

    assert through(use, resolver=resolver) == (403, ErrorClass.REFUSED_ADDRESS) and resolver.looked_up == []


def test_a_name_is_refused_by_what_it_resolves_to_at_that_very_time() -> None:
    """First a public address, then a private one: the second connection is not made."""
    resolver = FixedResolver(rebind_example=[["192.0.43.8"], ["127.0.0.99"]])
    with trap() as seen:

        async def use(proxy: ForwardProxy, passage: Passage, speak: Speak) -> tuple[int, ErrorClass | None]:
            assert await proxy._addresses("rebind.example", seen[0]) == ["192.0.43.8"]
            return await asked(f"CONNECT rebind.example:{seen[0]} HTTP/1.1\r\n", passage, speak)

        assert through(use, resolver=resolver) == (403, ErrorClass.REFUSED_ADDRESS)
    assert len(seen) == 1 and resolver.looked_up == ["rebind.example"] * 2


def test_of_several_addresses_the_public_ones_are_left() -> None:
    resolver = FixedResolver(mixed_example=[["10.0.0.1", "192.0.43.8", "127.0.0.99"]])

    async def use(proxy: ForwardProxy, passage: Passage, speak: Speak) -> list[str]:
        return await proxy._addresses("mixed.example", 443)

    assert through(use, resolver=resolver) == ["192.0.43.8"]


def test_the_connection_is_made_to_the_address_that_was_checked(web: LocalWeb) -> None:
    """The name is looked up once, and nowhere else: the answer after the first would lead inside."""
    web.add("/a", b"the body")
    host = f"once.example:{web.port}"
    resolver = FixedResolver(once_example=[["127.0.0.1"], ["127.0.0.99"]])

    async def use(proxy: ForwardProxy, passage: Passage, speak: Speak) -> bytes:
        return await speak(f"GET http://{host}/a HTTP/1.1\r\n", passage.token)

    assert through(use, host, resolver=resolver).endswith(b"the body")
    assert resolver.looked_up == ["once.example"]


def test_without_the_token_of_an_open_passage_nothing_passes(web: LocalWeb) -> None:
    async def use(proxy: ForwardProxy, passage: Passage, speak: Speak) -> None:
        async with proxy.passage(1000) as other:
            closed = other.token
        for token in (None, "", "wrong", closed, passage.token + "x"):
            answer = await speak(f"GET {web.url}/a HTTP/1.1\r\n", token)
            assert answer.startswith(b"HTTP/1.1 407 "), token

    through(use, web.site)
    assert web.asked == []


def test_a_passage_ends_with_its_bytes(web: LocalWeb) -> None:
    web.add("/a", bytes(400_000))

    async def use(proxy: ForwardProxy, passage: Passage, speak: Speak) -> tuple[int, ErrorClass, int]:
        got = [await speak(f"GET {web.url}/a HTTP/1.1\r\n", passage.token) for _ in range(3)]
        assert isinstance(passage.trouble, ItemError)
        return len(got[0]) > 400_000, passage.trouble.error, sum(map(len, got))

    whole, error, received = through(use, web.site, max_bytes=500_000)
    assert whole and error is ErrorClass.TOO_LARGE and received <= 500_000


def test_a_passage_takes_one_slot_of_a_site_and_gives_it_back(web: LocalWeb) -> None:
    web.add("/a", b"x")
    gate = HostGate(Pace(1))

    async def use(proxy: ForwardProxy, passage: Passage, speak: Speak) -> None:
        for _ in range(2):
            await speak(f"GET {web.url}/a HTTP/1.1\r\n", passage.token)
        async with proxy.passage(1000) as second:
            waiting = asyncio.create_task(speak(f"GET {web.url}/a HTTP/1.1\r\n", second.token))
            await asyncio.sleep(0.2)
            assert len(web.asked) == 2, "the first passage holds the only slot"
            waiting.cancel()
        async with proxy.passage(1000, web.site) as third:
            assert (await speak(f"GET {web.url}/a HTTP/1.1\r\n", third.token)).startswith(b"HTTP/1.1 200")

    through(use, web.site, gate=gate)

    async def free() -> None:
        async with asyncio.timeout(1), gate.slot(web.site):
            pass

    asyncio.run(free())


@pytest.mark.parametrize(
    "head",
    ["GET ftp://127.0.0.1/a HTTP/1.1\r\n", "GET /a HTTP/1.1\r\n", "CONNECT a b HTTP/1.1\r\n", "nonsense\r\n"],
)
def test_what_is_no_request_of_a_proxy_is_refused(head: str) -> None:
    async def use(proxy: ForwardProxy, passage: Passage, speak: Speak) -> int:
        return (await asked(head, passage, speak))[0]

    assert through(use) == 400
