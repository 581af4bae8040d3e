from __future__ import annotations

import asyncio
import gzip
import hashlib
import zlib
from pathlib import Path

import pytest
from aiohttp import web as aioweb

from omnisrc.errors import ErrorClass, ItemError
from omnisrc.web.download import Body, BodyLimits
from tests.local_web import LocalWeb
from tests.web.asking import fetched

DATA = bytes(range(256)) * 400


def stream(
    web: LocalWeb, path: str, *, chunks: int, size: int = 4096, pause_s: float = 0.0, **headers: str
) -> list[int]:
    """A body without a length, chunk by chunk; the list gets the number of chunks that went out."""
    sent = [0]

    async def answer(request: aioweb.Request) -> aioweb.StreamResponse:
        response = aioweb.StreamResponse(headers={name.replace("_", "-"): value for name, value in headers.items()})
        await response.prepare(request)
        for _ in range(chunks):
            await response.write(b"z" * size)
            sent[0] += 1
            await asyncio.sleep(pause_s)
        return response

    web.routes[path] = answer
    return sent


def error_of(result: Body | ItemError) -> ErrorClass:
    assert isinstance(result, ItemError), result
    return result.error


def test_a_body_comes_with_its_length_and_hash(web: LocalWeb) -> None:
    body = fetched(web, web.add("/a", DATA))
    assert (body.read(), body.length, body.sha256) == (DATA, len(DATA), hashlib.sha256(DATA).hexdigest())


def test_no_bytes_are_empty(web: LocalWeb) -> None:
    assert error_of(fetched(web, web.add("/a", b""))) is ErrorClass.EMPTY


def test_a_length_over_the_limit_is_refused_before_the_body_is_read(web: LocalWeb) -> None:
    sent = stream(web, "/a", chunks=5000, Content_Length=str(5000 * 4096))
    assert error_of(fetched(web, web.url + "/a", BodyLimits(max_bytes=100_000))) is ErrorClass.TOO_LARGE
    assert sent[0] < 5000


def test_a_body_without_a_length_is_cut_off_at_the_limit(web: LocalWeb) -> None:
    sent = stream(web, "/a", chunks=5000)
    assert error_of(fetched(web, web.url + "/a", BodyLimits(max_bytes=100_000))) is ErrorClass.TOO_LARGE
    assert sent[0] < 5000


def test_fewer_bytes_than_promised_are_truncated() -> None:
    async def main(head: bytes) -> ItemError:
        from tests.web.asking import client, fetch

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(head)
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server, client(f"127.0.0.1:{port}") as asked:
            with pytest.raises(ItemError) as caught:
                await fetch(asked, f"http://127.0.0.1:{port}/")
            return caught.value

    short = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + b"x" * 400
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n400\r\n" + b"x" * 400
    assert asyncio.run(main(short)).error is ErrorClass.TRUNCATED
    assert asyncio.run(main(chunked)).error is ErrorClass.TRUNCATED


def test_a_drip_is_given_up_by_its_speed(web: LocalWeb) -> None:
    stream(web, "/a", chunks=200, size=10, pause_s=0.02)
    result = fetched(web, web.url + "/a", BodyLimits(2**20, min_speed=50_000, grace_s=0.1))
    assert error_of(result) is ErrorClass.TIMEOUT and "bytes/s" in result.detail


def test_a_body_faster_than_the_minimum_is_left_alone(web: LocalWeb) -> None:
    stream(web, "/a", chunks=10, size=5000, pause_s=0.02)
    assert fetched(web, web.url + "/a", BodyLimits(2**20, min_speed=1000, grace_s=0.05)).length == 50_000


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [("gzip", gzip.compress(DATA)), ("x-gzip", gzip.compress(DATA)), ("deflate", zlib.compress(DATA))],
)
def test_an_encoding_that_nobody_asked_for_is_undone(web: LocalWeb, encoding: str, packed: bytes) -> None:
    body = fetched(web, web.add("/a", packed, headers={"Content-Encoding": encoding}))
    assert body.read() == DATA


def test_a_bomb_in_the_encoding_goes_no_further_than_the_limit(web: LocalWeb) -> None:
    packed = gzip.compress(bytes(200_000_000))
    assert len(packed) < 300_000
    result = fetched(web, web.add("/a", packed, headers={"Content-Encoding": "gzip"}), BodyLimits(1_000_000))
    assert error_of(result) is ErrorClass.BOMB


@pytest.mark.parametrize(
    ("encoding", "data", "error"),
    [("br", DATA, "not-media"), ("gzip", DATA, "decode"), ("gzip", gzip.compress(DATA)[:-20], "truncated")],
)
def test_broken_and_unknown_encodings(web: LocalWeb, encoding: str, data: bytes, error: str) -> None:
    assert error_of(fetched(web, web.add("/a", data, headers={"Content-Encoding": encoding}))) == error


def test_a_large_body_goes_through_a_file_and_leaves_none_behind(web: LocalWeb, tmp_path: Path) -> None:
    limits = BodyLimits(2**24, memory_bytes=50_000, folder=tmp_path)
    body = fetched(web, web.add("/a", DATA), limits)
    assert isinstance(body.source, Path) and body.source.parent == tmp_path and body.read() == DATA
    assert body.sha256 == hashlib.sha256(DATA).hexdigest()
    body.discard()
    too_large = BodyLimits(60_000, memory_bytes=50_000, folder=tmp_path)
    stream(web, "/b", chunks=100)
    assert error_of(fetched(web, web.url + "/b", too_large)) is ErrorClass.TOO_LARGE
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_takes_no_file_is_a_storage_error(web: LocalWeb, tmp_path: Path) -> None:
    limits = BodyLimits(2**24, memory_bytes=50_000, folder=tmp_path / "missing")
    assert error_of(fetched(web, web.add("/a", DATA), limits)) is ErrorClass.STORAGE


def test_the_first_bytes_are_looked_at_before_the_rest_is_read(web: LocalWeb) -> None:
    seen: list[bytes] = []

    def refuse(head: bytes) -> None:
        seen.append(head)
        raise ItemError(ErrorClass.NOT_MEDIA, "not wanted")

    sent = stream(web, "/a", chunks=5000)
    result = fetched(web, web.url + "/a", BodyLimits(2**28, check_head=refuse))
    assert error_of(result) is ErrorClass.NOT_MEDIA and seen == [b"z" * 4096]
    assert sent[0] < 5000


def test_a_short_body_is_looked_at_too(web: LocalWeb) -> None:
    seen: list[bytes] = []
    fetched(web, web.add("/a", b"short"), BodyLimits(2**20, check_head=seen.append))
    assert seen == [b"short"]
