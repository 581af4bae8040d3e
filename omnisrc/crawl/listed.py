"""URLs that a user lists, fetched through the guarded client: no catalogue, no shards, and every check of a crawl."""

from __future__ import annotations

import asyncio
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from omnisrc.crawl.identity import open_client
from omnisrc.crawl.settings import CrawlSettings
from omnisrc.errors import ErrorClass, ItemError
from omnisrc.media.sniff import SNIFF_BYTES, sniff
from omnisrc.media.source import Source
from omnisrc.web.client import AGENT, Client
from omnisrc.web.download import Body, BodyLimits, read_body
from omnisrc.web.hosts import HostGate, Pace
from omnisrc.web.optout import OptOuts

AHEAD = 4
"""Downloads begun before they are asked for."""
PACE = Pace(2, 0.2)
"""Requests at once to one site, and seconds from one to the next."""
MEMORY_BYTES = 2 * 2**20

Fetched = tuple[str, Source | ItemError, Callable[[], None]]
"""A URL, its bytes or why it has none, and what frees them."""


def fetch_listed(urls: Sequence[str], settings: CrawlSettings) -> Iterator[Fetched]:
    """What the URLs give, in their order; large bodies lie in a temporary folder until they are freed.

    robots.txt, opt-outs, private addresses and the crawl's limits of size, time and speed count as in a crawl.
    """
    with tempfile.TemporaryDirectory(prefix="omnisrc-") as folder, asyncio.Runner() as runner:
        gate = HostGate(PACE)
        client = open_client(settings, gate)
        runner.run(client.__aenter__())
        try:
            optouts = OptOuts(
                client,
                agents=(AGENT, *settings.optout_agents),
                slow_down=lambda site, delay_s: gate.set_pace(site, Pace(1, delay_s)),
                longest_delay_s=settings.longest_crawl_delay_s,
            )
            yield from _in_order(runner, urls, lambda url: _fetch(client, optouts, url, settings, Path(folder)))
        finally:
            runner.run(client.__aexit__(None, None, None))


def _in_order(
    runner: asyncio.Runner, urls: Sequence[str], fetch: Callable[[str], asyncio._CoroutineLike[Body | ItemError]]
) -> Iterator[Fetched]:
    begun: deque[tuple[str, asyncio.Task[Body | ItemError]]] = deque()
    left = iter(urls)
    try:
        while True:
            while len(begun) < AHEAD and (url := next(left, None)) is not None:
                begun.append((url, runner.get_loop().create_task(fetch(url))))
            if not begun:
                return
            url, task = begun.popleft()
            got = runner.run(_result(task))
            yield (url, got, lambda: None) if isinstance(got, ItemError) else (url, got.source, got.discard)
    finally:
        for _, task in begun:
            task.cancel()


async def _result(task: asyncio.Task[Body | ItemError]) -> Body | ItemError:
    return await task


async def _fetch(client: Client, optouts: OptOuts, url: str, settings: CrawlSettings, folder: Path) -> Body | ItemError:
    limits = BodyLimits(
        max_bytes=settings.max_video_bytes,
        min_speed=settings.min_speed,
        memory_bytes=MEMORY_BYTES,
        folder=folder,
        check_head=check_medium,
    )
    try:
        async with client.get(url, optouts=optouts, deadline_s=settings.video_deadline_s) as answer:
            answer.raise_for_status()
            return await read_body(answer, limits)
    except ItemError as error:
        return error


def check_medium(head: bytes) -> None:
    """Refuses first bytes of what is neither an image nor a video. Raises ItemError(NOT_MEDIA)."""
    if sniff(head[:SNIFF_BYTES]) is None:
        raise ItemError(ErrorClass.NOT_MEDIA, "no known type instead of a video or an image")
