"""The check at the socket by itself: it holds for whatever comes to it past the others."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest

from omnisrc.web.addresses import AllowedHosts
from omnisrc.web.connector import RefusedAddressError, guarded_connector
from tests.local_web import LocalWeb
from tests.web.asking import FixedResolver, trap


def error_of(url: str, *allowed: str, resolver: FixedResolver | None = None) -> BaseException | None:
    async def main() -> BaseException | None:
        connector = guarded_connector(AllowedHosts.parse(allowed), resolver)
        async with aiohttp.ClientSession(connector=connector) as session:
            try:
                async with session.get(url):
                    return None
            except aiohttp.ClientConnectorError as error:
                return error.os_error

    return asyncio.run(main())


@pytest.mark.parametrize("host", ["127.0.0.99", "[::ffff:127.0.0.99]"])
def test_no_socket_is_made_for_a_literal_inside_address(host: str) -> None:
    with trap() as seen:
        assert isinstance(error_of(f"http://{host}:{seen[0]}/"), RefusedAddressError)
    assert len(seen) == 1


def test_no_socket_is_made_for_a_name_that_leads_inside() -> None:
    with trap() as seen:
        resolver = FixedResolver(inside_example=[["127.0.0.99"]])
        assert isinstance(error_of(f"http://inside.example:{seen[0]}/", resolver=resolver), RefusedAddressError)
    assert len(seen) == 1


def test_an_allowed_host_is_connected_to_by_address_and_by_name(web: LocalWeb) -> None:
    web.add("/")
    assert error_of(web.url + "/", web.site) is None
    resolver = FixedResolver(good_example=[["127.0.0.1"]])
    assert error_of(f"http://good.example:{web.port}/", f"good.example:{web.port}", resolver=resolver) is None
