"""One call of a search service that wants a key: any status is an answer, and the key is in none of it."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from yarl import URL

from omnisrc.crawl.providers.keys import Secret
from omnisrc.errors import ErrorClass, ItemError
from omnisrc.web.client import Answer, Client
from omnisrc.web.download import BodyLimits, read_body
from omnisrc.web.failures import status_failure
from omnisrc.web.retry_after import LONGEST_S

MAX_BYTES, MAX_ERROR_BYTES = 32 * 2**20, 64 * 1024
SOME_TIME_S = 1e9
"""A larger number in a header is a time since 1970, a smaller one a number of seconds."""


@dataclass(frozen=True)
class Heard:
    """What a service answered, whatever its status."""

    host: str
    status: int
    text: str
    headers: Mapping[str, str]
    """By names in lower case."""
    retry_after: float | None = None

    def json(self) -> dict[str, Any]:
        """The JSON object. Raises ItemError(PROVIDER) where it is none."""
        try:
            data = json.loads(self.text)
        except ValueError:
            raise self.failure(ErrorClass.PROVIDER, f"{self.host} did not answer with JSON") from None
        if not isinstance(data, dict):
            raise self.failure(ErrorClass.PROVIDER, f"{self.host} did not answer with a JSON object")
        return data

    def failure(self, error: ErrorClass, detail: str, retry_after: float | None = None) -> ItemError:
        return ItemError(error, detail[:300], http_status=self.status, retry_after=retry_after)

    def raise_for_status(self, words: str = "", *, pause_s: float = 60.0) -> None:
        """Raises ItemError for every status but 200; a 429 asks for `pause_s` where no header says more."""
        retry_after = self.pause_s(pause_s) if self.status == 429 else self.retry_after
        failure = status_failure(self.status, retry_after)
        if failure is not None:
            detail = f"{failure.detail}: {' '.join(words.split())}"[:300] if words else failure.detail
            raise self.failure(failure.error, detail, failure.retry_after)

    def pause_s(self, otherwise: float) -> float:
        """The pause that Retry-After or X-RateLimit-Reset asks for, at most a day; `otherwise` without them."""
        if self.retry_after is not None:
            return self.retry_after
        try:
            reset = float(self.headers.get("x-ratelimit-reset", ""))
        except ValueError:
            return otherwise
        seconds = reset - time.time() if reset > SOME_TIME_S else reset
        return min(seconds, LONGEST_S) if seconds > 0 else otherwise

    @property
    def quota_left(self) -> str | None:
        """`197 of 200 calls left`, by the X-RateLimit headers."""
        left, most = self.headers.get("x-ratelimit-remaining"), self.headers.get("x-ratelimit-limit")
        return f"{left} of {most or '?'} calls left" if left else None


async def ask(
    client: Client,
    endpoint: str,
    params: Mapping[str, str | int],
    key: Secret,
    *,
    in_query: str = "",
    in_header: str = "",
) -> Heard:
    """GET `endpoint` with the key as the parameter `in_query` or as the header `in_header`.

    robots.txt is not asked: a documented search interface is used by its terms, whatever is said to crawlers of pages.
    Raises ItemError: those of the request, none of a status.
    """
    secret = {in_query: key.reveal()} if in_query else {}
    url = URL(endpoint).update_query({**{name: str(value) for name, value in params.items()}, **secret})
    headers = {in_header: key.reveal()} if in_header else None
    try:
        async with client.get(str(url), headers=headers) as answer:
            text = key.scrub((await _body(answer)).decode("utf-8", errors="replace"))
            said = {name.lower(): key.scrub(value) for name, value in answer.headers.items()}
            return Heard(answer.target.host, answer.status, text, said, answer.retry_after)
    except ItemError as error:  # its words, and those of what caused it, may hold the URL
        failure = ItemError(
            error.error, key.scrub(error.detail), http_status=error.http_status, retry_after=error.retry_after
        )
    raise failure


async def _body(answer: Answer) -> bytes:
    good = answer.status == 200
    try:
        body = await read_body(answer, BodyLimits(max_bytes=MAX_BYTES if good else MAX_ERROR_BYTES, cut=not good))
    except ItemError as error:
        if error.error is not ErrorClass.EMPTY:
            raise
        return await answer.response.read()  # the client reads the small body of an error, and keeps it there
    return body.read()
