"""Openverse: images under open licences, from many sources. https://api.openverse.org/v1/

Anonymous requests get 20 results a page, registered applications up to 500; nobody gets more than 20 pages. How many
requests are left is said in X-RateLimit-Available-<scope>, beside X-RateLimit-Limit-<scope> such as `20/min`.

The search has no filter by date. Each result tells when Openverse came to know it (`indexed_on`): within a time window
the others are dropped here.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from typing import Any

from omnisrc.crawl.providers.about import About, CallLimits
from omnisrc.crawl.providers.call import Reply, call_json, envelope
from omnisrc.crawl.providers.numbers import whole
from omnisrc.crawl.providers.oauth import Access, read_credentials
from omnisrc.crawl.providers.provider import Candidate, MediaWish, Page, Question
from omnisrc.crawl.providers.renditions import NEAR
from omnisrc.crawl.settings import ProviderSettings
from omnisrc.crawl.windows import Window, moment_of
from omnisrc.errors import ErrorClass, ItemError, UserError
from omnisrc.licences import licence_name, licence_of_url
from omnisrc.web.client import Client
from omnisrc.web.urls import WebUrl, parse_url

ANONYMOUS_SIZES = (20,)
SIZES = (20, 100, 500)
"""Results of a page that are asked for: as many as are needed, in steps, so that pages can be told apart."""

DEPTH = 20
TEXT_LENGTH = 200
"""A longer query is cut by the service."""

THUMBNAIL_WIDTH = 600
LARGE = 1.5
WINDOW_S = {"s": 1.0, "sec": 1.0, "second": 1.0, "m": 60.0, "min": 60.0, "minute": 60.0}
LONGEST_PAUSE_S = 3600.0
"""Where nothing is left of a longer window, asking once an hour tells (by Retry-After) how long it still takes."""

DEFAULT_PAUSE_S = 60.0
_AVAILABLE = "x-ratelimit-available-"


class Openverse:
    """The provider `openverse`. A page's cursor is the number of results before it."""

    kinds = ("image",)
    limits = CallLimits(per_day=100, results=400)
    """Of anonymous requests. In the hour it is the service's headers that tell."""

    about = About(
        "open licences only; the catalogue must not be scraped whole, nor limits dodged with many machines", dated=True
    )

    def __init__(
        self,
        settings: ProviderSettings,
        wish: MediaWish,
        client: Client,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        given = settings.openverse
        self._settings = given
        self._wish = wish
        self._client = client
        self._clock = clock
        self._endpoint = given.endpoint.rstrip("/")
        try:
            target = parse_url(self._endpoint)
        except ItemError as error:
            raise UserError(
                f"The setting providers.openverse.endpoint is {given.endpoint!r}, which is no http or https URL."
            ) from error
        self._site, self._origin = target.site, target.origin
        self._access = self._open_access(target)
        self._sizes = ANONYMOUS_SIZES if self._access is None else SIZES
        self.page_size = self._sizes[-1]
        if self._access is not None:
            self.limits = CallLimits(per_minute=100, per_day=10_000, results=DEPTH * self.page_size)
        self._rested = 0.0

    @property
    def site(self) -> str | None:
        return self._site

    def _open_access(self, target: WebUrl) -> Access | None:
        credentials = read_credentials("openverse", self._settings.credentials)
        if credentials is None:
            return None
        if target.url.scheme != "https" and not self._client.allow.permits(target.host, target.port):
            raise UserError(
                f"providers.openverse.endpoint is {self._settings.endpoint}, and credentials do not go over http; "
                "use https, or name the host in crawl.allow_hosts."
            )
        return Access(self._client, f"{self._endpoint}/auth_tokens/token/", credentials, self._clock)

    async def find(self, question: Question, cursor: str, limit: int) -> Page:
        """One page of a search among images; fewer than `limit` where a page of the service ends, or some lie outside
        the time window."""
        wait_s = self._rested - self._clock()
        if wait_s > 0:
            raise ItemError(ErrorClass.QUOTA, f"{self._site} has no requests left", retry_after=wait_s)
        offset = int(cursor or 0)
        size = self._size(offset, limit)
        page, skip = offset // size + 1, offset % size
        if page > DEPTH:
            return Page([], None, calls=0)
        calls = self._access.calls if self._access else 0
        try:
            reply, asked = await self._search(question, page, size)
        except ItemError as error:
            if page > 1 and _past_the_end(error):
                return Page([], None)
            raise
        calls = asked + (self._access.calls - calls if self._access else 0)
        results = reply.data["results"][skip:]
        taken = results[: max(1, limit)]
        window = Window.read(question.time_window)
        found = [
            self._candidate(item)
            for item in taken
            if isinstance(item, dict) and _text(item.get("url")) and window.holds(moment_of(item.get("indexed_on")))
        ]
        after = offset + len(taken) if len(taken) < len(results) else self._after(reply.data, page, size)
        pause_s = _pause_s(reply.headers)
        self._rested = self._clock() + (pause_s or 0.0)
        return Page(found, None if after is None else str(after), calls, pause_s)

    def _size(self, offset: int, limit: int) -> int:
        """The smallest size of page that holds what is wanted and reaches so deep."""
        fitting = (size for size in self._sizes if offset % size + limit <= size and offset // size < DEPTH)
        return next(fitting, self._sizes[-1])

    def _after(self, data: Mapping[str, Any], page: int, size: int) -> int | None:
        """Where the next page begins, None where there is none, or none may be asked for."""
        pages = whole(data.get("page_count"))
        deeper = page == DEPTH and size < self._sizes[-1]
        if page * size >= DEPTH * self._sizes[-1]:
            return None
        if not data["results"] if pages is None else page >= pages and not deeper:
            return None
        return page * size

    async def _search(self, question: Question, page: int, size: int) -> tuple[Reply, int]:
        """The answer and the calls that it took. A token that is refused is replaced, once."""
        params = self._params(question, page, size)
        if self._access is None:
            return await self._call(params, {}), 1
        headers = await self._access.headers()
        try:
            return await self._call(params, headers), 1
        except ItemError as error:
            if error.http_status != 401 or error.error is not ErrorClass.HTTP_4XX:
                raise
        self._access.forget()
        return await self._call(params, await self._access.headers()), 2

    def _params(self, question: Question, page: int, size: int) -> dict[str, str | int]:
        params: dict[str, str | int] = {
            "q": question.text[:TEXT_LENGTH],
            "page": page,
            "page_size": size,
            "mature": "true" if self._settings.mature else "false",
        }
        if self._settings.license_type:
            params["license_type"] = ",".join(self._settings.license_type)
        if self._settings.sources:
            params["source"] = ",".join(self._settings.sources)
        return params

    async def _call(self, params: Mapping[str, str | int], headers: Mapping[str, str]) -> Reply:
        try:
            reply = await call_json(self._client, f"{self._endpoint}/images/", params, headers)
        except ItemError as error:
            raise self._hidden(error) from None
        if isinstance(reply.data.get("results"), list):
            return reply
        said = envelope(reply.data) or "the answer holds no results"
        if "throttled" in said.lower():
            pause_s = reply.retry_after or _pause_s(reply.headers) or DEFAULT_PAUSE_S
            raise self._hidden(ItemError(ErrorClass.QUOTA, said, http_status=200, retry_after=pause_s))
        raise self._hidden(ItemError(ErrorClass.PROVIDER, said, http_status=200))

    def _hidden(self, error: ItemError) -> ItemError:
        """The error without what must stay secret."""
        if self._access is None:
            return error
        detail = self._access.hide(error.detail)
        return ItemError(error.error, detail, http_status=error.http_status, retry_after=error.retry_after)

    def _candidate(self, item: Mapping[str, Any]) -> Candidate:
        url, width, height = str(item["url"]), whole(item.get("width")), whole(item.get("height"))
        thumbnail = self._thumbnail(item, width, height)
        license_url = _text(item.get("license_url"))
        name = licence_name(_text(item.get("license")) or "", _text(item.get("license_version")))
        return Candidate(
            url=thumbnail or url,
            kind="image",
            page_url=_text(item.get("foreign_landing_url")),
            license=name or licence_of_url(license_url),
            license_url=license_url,
            author=_text(item.get("creator")),
            title=_text(item.get("title")),
            width=width,
            height=height,
            bytes=None if thumbnail else whole(item.get("filesize")),
        )

    def _thumbnail(self, item: Mapping[str, Any], width: int | None, height: int | None) -> str | None:
        """The thumbnail, where it has about the wanted size and the original is much larger.

        Not where the service itself renders it: its robots.txt keeps crawlers from all that is under /v1/images/.
        """
        url, short_side = _text(item.get("thumbnail")), self._wish.image_short_side
        if url is None or width is None or height is None or min(width, height) <= LARGE * short_side:
            return None
        if min(THUMBNAIL_WIDTH, width) * min(1.0, height / width) < NEAR * short_side:
            return None
        try:
            return None if parse_url(url).origin == self._origin else url
        except ItemError:
            return None


def _past_the_end(error: ItemError) -> bool:
    """Whether the service says that there is no such page."""
    return error.http_status == 404 or (error.http_status == 400 and '"page"' in error.detail)


def _pause_s(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait where a scope has nothing left: one window of its limit, as far as that is sensible."""
    pauses = []
    for name, value in headers.items():
        scope = name.lower().removeprefix(_AVAILABLE)
        if scope != name.lower() and re.fullmatch(r"-?\d+", value.strip()) and int(value) <= 0:
            limit = next((text for key, text in headers.items() if key.lower() == f"x-ratelimit-limit-{scope}"), "")
            unit = limit.partition("/")[2].strip().lower()
            pauses.append(WINDOW_S.get(unit, LONGEST_PAUSE_S) if unit else DEFAULT_PAUSE_S)
    return max(pauses, default=None)


def _text(value: object) -> str | None:
    """A text that says something."""
    return value.strip() or None if isinstance(value, str) else None
