"""Short ways to open a provider on the local web and ask it one thing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from omnisrc.crawl.providers.provider import MediaWish, Page, Question
from omnisrc.crawl.providers.registry import open_provider
from omnisrc.crawl.settings import ProviderSettings
from omnisrc.errors import ItemError
from omnisrc.web.addresses import AllowedHosts
from omnisrc.web.client import Client
from omnisrc.web.hosts import HostGate, Pace

IMAGES = Question("brush hair", "image", "brush hair")
VIDEOS = Question("brush hair", "video", "brush hair")


def with_provider(name: str, settings: ProviderSettings, sites: list[str], use: Callable[[Any], Awaitable[Any]]) -> Any:
    """What `use(provider)` gives; the hosts `sites` may be private."""

    async def main() -> Any:
        async with Client("omnisrc/0", HostGate(Pace(1)), allow=AllowedHosts.parse(sites)) as client:
            return await use(open_provider(name, settings, MediaWish(), client))

    return asyncio.run(main())


def failure_of(ask: Callable[[], object]) -> ItemError:
    """The ItemError that asking raises."""
    with pytest.raises(ItemError) as caught:
        ask()
    return caught.value


def walk(find: Callable[[str, int], Page], limits: list[int]) -> tuple[list[Page], list[str]]:
    """Pages asked one after another with these limits (the last again and again), and their titles."""
    pages, cursor = [], ""
    for at in range(60):
        pages.append(find(cursor, limits[min(at, len(limits) - 1)]))
        cursor = pages[-1].next or ""
        if not cursor:
            return pages, [found.title for page in pages for found in page.candidates]
    raise AssertionError("the pages do not end")
