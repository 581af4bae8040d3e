from __future__ import annotations

import asyncio
import socket
import time

import pytest
from aiohttp import web as aioweb

from omnisrc.errors import ErrorClass, ItemError
from omnisrc.web.client import Patience
from tests.local_web import LocalWeb
from tests.web.asking import FixedResolver, client, fetch, fetched, trap


def error_of(result: object) -> ErrorClass:
    assert isinstance(result, ItemError), result
    return result.error


def test_an_allowed_private_host_answers_and_sees_who_asks(web: LocalWeb) -> None:
    body = fetched(web, web.add("/a", b"hello"))
    assert body.read() == b"hello"
    assert web.agents == {"omnisrc/0 (test)"}
    assert web.headers[0]["Accept-Encoding"] == "identity"


@pytest.mark.parametrize("host", ["127.0.0.1", "0x7f.1", "2130706433", "127.1", "[::ffff:127.0.0.1]", "localhost", "0"])
def test_a_private_address_is_refused_in_every_spelling_and_never_connected_to(web: LocalWeb, host: str) -> None:
    async def main() -> ItemError:
        async with client("127.0.0.1:1") as asked:
            with pytest.raises(ItemError) as caught:
                await fetch(asked, f"http://{host}:{web.port}/a")
            return caught.value

    web.add("/a")
    assert asyncio.run(main()).error is ErrorClass.REFUSED_ADDRESS
    assert web.connections == 0


def test_an_allowed_port_allows_no_other_port(web: LocalWeb) -> None:
    with trap() as seen:

        async def main() -> ItemError:
            async with client(f"127.0.0.99:{seen[0] ^ 1}", web.site) as asked:
                with pytest.raises(ItemError) as caught:
                    await fetch(asked, f"http://127.0.0.99:{seen[0]}/")
                return caught.value

        assert asyncio.run(main()).error is ErrorClass.REFUSED_ADDRESS
    assert len(seen) == 1


def test_a_name_that_resolves_inside_is_refused_without_a_connection() -> None:
    with trap() as seen:
        resolver = FixedResolver(inside_example=[["127.0.0.99"]])

        async def main() -> ItemError:
            async with client(resolver=resolver) as asked:
                with pytest.raises(ItemError) as caught:
                    await fetch(asked, f"http://inside.example:{seen[0]}/")
                return caught.value

        error = asyncio.run(main())
        assert error.error is ErrorClass.REFUSED_ADDRESS and "127.0.0.99" in error.detail
    assert len(seen) == 1


def test_of_a_names_addresses_only_the_public_ones_are_tried() -> None:
    with trap() as seen:
        resolver = FixedResolver(mixed_example=[["127.0.0.99", "203.0.114.1"]])

        async def main() -> ItemError:
            async with client(resolver=resolver, patience=Patience(0.3, 0.3, 1.0)) as asked:
                with pytest.raises(ItemError) as caught:
                    await fetch(asked, f"http://mixed.example:{seen[0]}/")
                return caught.value

        assert asyncio.run(main()).error in (ErrorClass.CONNECT, ErrorClass.TIMEOUT)
    assert len(seen) == 1


def test_a_name_that_turns_inside_between_two_requests_is_refused(web: LocalWeb) -> None:
    """DNS rebinding: what was allowed by name stays so; another name that now leads to the same address does not."""
    web.add("/a", b"x")
    resolver = FixedResolver(good_example=[["127.0.0.1"]], evil_example=[["203.0.114.1"], ["127.0.0.1"]])

    async def main() -> list[ErrorClass | bytes]:
        told: list[ErrorClass | bytes] = []
        async with client(f"good.example:{web.port}", resolver=resolver, patience=Patience(0.3, 0.3, 1.0)) as asked:
            asked._session.connector._cached_hosts._ttl = 0
            for host in ("good", "evil", "evil", "good"):
                try:
                    told.append((await fetch(asked, f"http://{host}.example:{web.port}/a")).read())
                except ItemError as error:
                    told.append(error.error)
        return told

    first, second, third, fourth = asyncio.run(main())
    assert (first, fourth) == (b"x", b"x")
    assert second in (ErrorClass.CONNECT, ErrorClass.TIMEOUT)
    assert third is ErrorClass.REFUSED_ADDRESS


def test_a_literal_address_never_reaches_a_resolver(web: LocalWeb) -> None:
    resolver = FixedResolver()
    body = fetched(web, web.add("/a", b"x"), resolver=resolver)
    assert body.read() == b"x" and resolver.looked_up == []


def test_proxies_in_the_environment_play_no_part(web: LocalWeb, monkeypatch: pytest.MonkeyPatch) -> None:
    with LocalWeb() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        assert fetched(web, web.add("/a", b"x")).read() == b"x"
        assert proxy.connections == 0


def test_redirects_are_followed_to_where_they_lead(web: LocalWeb) -> None:
    web.add("/c", b"end")
    web.redirect("/b", "c", 307)
    url = web.redirect("/a", "/b", 301)
    assert fetched(web, url).read() == b"end"
    assert web.asked == ["/a", "/b", "/c"]


def test_a_redirect_inside_is_refused_without_a_connection(web: LocalWeb) -> None:
    with trap() as seen:
        url = web.redirect("/a", f"http://127.0.0.99:{seen[0]}/latest/meta-data/")
        assert error_of(fetched(web, url)) is ErrorClass.REFUSED_ADDRESS
    assert len(seen) == 1


@pytest.mark.parametrize(
    "target", ["file:///etc/passwd", "data:text/plain,x", "http://user:pw@127.0.0.1/", "gopher://x/"]
)
def test_a_redirect_to_another_scheme_or_with_credentials_is_refused(web: LocalWeb, target: str) -> None:
    assert error_of(fetched(web, web.redirect("/a", target))) is ErrorClass.BAD_URL


def test_a_redirect_loop_ends_at_its_first_repetition(web: LocalWeb) -> None:
    web.redirect("/b", "/a")
    assert error_of(fetched(web, web.redirect("/a", "/b"))) is ErrorClass.REDIRECT
    assert web.asked == ["/a", "/b"]


def test_five_redirects_are_followed_and_a_sixth_is_not(web: LocalWeb) -> None:
    for number in range(6):
        web.redirect(f"/{number}", f"/{number + 1}")
    web.add("/6", b"x")
    assert fetched(web, web.url + "/1").read() == b"x"
    assert error_of(fetched(web, web.url + "/0")) is ErrorClass.REDIRECT


def test_a_redirect_to_nowhere_is_an_error(web: LocalWeb) -> None:
    assert error_of(fetched(web, web.add("/a", status=302))) is ErrorClass.REDIRECT


@pytest.mark.parametrize(
    ("status", "error"),
    [(404, "http-4xx"), (410, "http-4xx"), (403, "http-4xx"), (429, "http-429"), (500, "http-5xx"), (503, "http-5xx"),
     (304, "redirect"), (204, "empty")],
)  # fmt: skip
def test_statuses_have_their_classes(web: LocalWeb, status: int, error: str) -> None:
    result = fetched(web, web.add("/a", status=status, headers={"Retry-After": "7"}))
    assert error_of(result) == error and result.http_status == status
    assert result.retry_after == (7.0 if status in (429, 500, 503) else None)


def test_a_connection_serves_again_after_small_answers_of_any_status(web: LocalWeb) -> None:
    async def gone(request: aioweb.Request) -> aioweb.StreamResponse:
        response = aioweb.StreamResponse(status=404, headers={"Content-Length": "40"})
        await response.prepare(request)
        await asyncio.sleep(0.05)
        await response.write(b"gone" * 10)
        return response

    web.redirect("/r", "/gone")
    web.routes["/gone"] = gone
    web.add("/a", b"x")

    async def main() -> None:
        async with client(web.site) as asked:
            for path in ("/a", "/r", "/gone", "/a"):
                try:
                    await fetch(asked, web.url + path)
                except ItemError as error:
                    assert error.http_status == 404

    asyncio.run(main())
    assert web.connections == 1


def test_a_broken_error_page_is_told_by_its_status() -> None:
    async def main() -> ItemError:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 500\r\n\r\nshort")
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server, client(f"127.0.0.1:{port}") as asked:
            with pytest.raises(ItemError) as caught:
                await fetch(asked, f"http://127.0.0.1:{port}/")
            return caught.value

    assert asyncio.run(main()).error is ErrorClass.HTTP_4XX


def test_nobody_listening_and_no_such_name_are_told_apart(web: LocalWeb) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    async def main(url: str, allow: str) -> ErrorClass:
        async with client(allow, resolver=FixedResolver()) as asked:
            with pytest.raises(ItemError) as caught:
                await fetch(asked, url)
            return caught.value.error

    assert asyncio.run(main(f"http://127.0.0.1:{port}/", f"127.0.0.1:{port}")) is ErrorClass.CONNECT
    assert asyncio.run(main("http://nowhere.example/", "a:1")) is ErrorClass.DNS


def test_a_server_without_tls_is_a_tls_error(web: LocalWeb) -> None:
    assert error_of(fetched(web, f"https://{web.site}/a")) is ErrorClass.TLS


def test_a_server_that_hangs_up_or_talks_nonsense_is_a_connect_error() -> None:
    async def main(words: bytes) -> ErrorClass:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(words)
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server, client(f"127.0.0.1:{port}") as asked:
            with pytest.raises(ItemError) as caught:
                await fetch(asked, f"http://127.0.0.1:{port}/")
            return caught.value.error

    assert asyncio.run(main(b"")) is ErrorClass.CONNECT
    assert asyncio.run(main(b"SSH-2.0-OpenSSH_9.0\r\n\r\n")) is ErrorClass.CONNECT


def test_the_deadline_covers_a_server_that_never_answers(web: LocalWeb) -> None:
    async def never(request: aioweb.Request) -> aioweb.StreamResponse:
        await asyncio.sleep(60)
        return aioweb.Response()

    web.routes["/a"] = never
    started = time.monotonic()
    assert error_of(fetched(web, web.url + "/a", patience=Patience(3, 30, 0.3))) is ErrorClass.TIMEOUT
    assert time.monotonic() - started < 30


def test_the_gate_bounds_requests_to_a_site_whatever_becomes_of_them(web: LocalWeb) -> None:
    async def slow(request: aioweb.Request) -> aioweb.StreamResponse:
        await asyncio.sleep(0.02)
        return aioweb.Response(body=b"x" * 100, status=200 if "ok" in request.path else 500)

    web.routes.update({f"/{kind}{n}": slow for n in range(15) for kind in ("ok", "bad")})
    for n in range(10):
        web.redirect(f"/r{n}", f"/ok{n}")

    async def main() -> None:
        async with client(web.site, concurrency=3) as asked:
            urls = [web.url + path for path in web.routes]
            await asyncio.gather(*(fetch(asked, url) for url in urls), return_exceptions=True)

    asyncio.run(main())
    assert len(web.asked) == 50 and web.most == 3


def test_a_form_is_posted_and_its_redirect_is_not_followed(web: LocalWeb) -> None:
    forms = []

    async def take(request: aioweb.Request) -> aioweb.Response:
        forms.append((request.method, dict(await request.post())))
        return aioweb.Response(status=int(request.query["status"]), headers={"Location": f"{web.url}/elsewhere"})

    web.routes["/form"] = take

    async def main() -> list[int]:
        async with client(web.site) as asked:
            statuses = []
            for status in (200, 307):
                async with asked.post(f"{web.url}/form?status={status}", {"secret": "a b"}) as answer:
                    statuses.append(answer.status)
            return statuses

    assert asyncio.run(main()) == [200, 307]
    assert forms == [("POST", {"secret": "a b"})] * 2 and web.asked == ["/form", "/form"]


def test_a_form_goes_to_no_private_address(web: LocalWeb) -> None:
    async def main() -> None:
        async with client() as asked, asked.post(f"{web.url}/form", {}):
            pass

    with pytest.raises(ItemError) as caught:
        asyncio.run(main())
    assert caught.value.error is ErrorClass.REFUSED_ADDRESS and web.connections == 0


def test_headers_stay_with_their_origin_through_redirects(web: LocalWeb) -> None:
    with LocalWeb("127.0.0.2") as other:
        web.redirect("/a", "/b")
        web.redirect("/b", other.redirect("/c", web.add("/d")))

        async def main() -> None:
            headers = {"authorization": "Bearer x", "X-Mine": "1"}
            async with client(web.site, other.site) as asked, asked.get(f"{web.url}/a", headers=headers):
                pass

        asyncio.run(main())
        seen = [{name.lower(): text for name, text in head.items()} for head in web.headers + other.headers]
        for name in ("authorization", "x-mine"):
            assert [(name in head) for head in seen] == [True, True, False, False]
