"""One call of a search service that answers in JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from yarl import URL

from omnisrc.errors import ErrorClass, ItemError
from omnisrc.web.client import Answer, Client
from omnisrc.web.download import BodyLimits, read_body

MAX_BYTES = 32 * 2**20
MAX_ERROR_BYTES = 65536


@dataclass(frozen=True)
class Reply:
    """A JSON object, the pause that its headers ask for, and its headers."""

    data: dict[str, Any]
    retry_after: float | None
    headers: Mapping[str, str] = field(default_factory=dict)


async def call_json(
    client: Client, endpoint: str, params: Mapping[str, str | int], headers: Mapping[str, str] | None = None
) -> Reply:
    """GET `endpoint` with `params` (in addition to those that it has) and read the JSON object that it answers.

    robots.txt is not asked: a documented search interface is used by its terms, whatever is said to crawlers of pages.
    Raises ItemError: those of the request and of its status; PROVIDER where the answer is no JSON object.
    """
    url = URL(endpoint).update_query({key: str(value) for key, value in params.items()})
    async with client.get(str(url), headers={"Accept-Encoding": "gzip", **(headers or {})}) as answer:
        return await _read(answer)


async def post_json(client: Client, url: str, form: Mapping[str, str]) -> Reply:
    """POST a form and read the JSON object that is answered. Raises as `call_json` does."""
    async with client.post(url, form, headers={"Accept-Encoding": "gzip"}) as answer:
        return await _read(answer)


async def _read(answer: Answer) -> Reply:
    try:
        answer.raise_for_status()
    except ItemError as error:
        if not (said := await _said(answer)):
            raise
        detail = f"{error.detail}: {said}"
        raise ItemError(error.error, detail, http_status=error.http_status, retry_after=error.retry_after) from None
    body = await read_body(answer, BodyLimits(max_bytes=MAX_BYTES))
    try:
        data = json.loads(body.read())
    except (ValueError, RecursionError) as error:
        raise ItemError(ErrorClass.PROVIDER, f"{answer.target.host} did not answer with JSON") from error
    if not isinstance(data, dict):
        raise ItemError(ErrorClass.PROVIDER, f"{answer.target.host} did not answer with a JSON object")
    return Reply(data, answer.retry_after, answer.headers)


async def _said(answer: Answer) -> str:
    """What a JSON error says of itself; empty where it says nothing, or not in JSON."""
    with suppress(ItemError, ValueError, RecursionError):
        if (answer.response.content_length or MAX_ERROR_BYTES + 1) <= MAX_ERROR_BYTES:
            content = await answer.response.read()
        else:
            content = (await read_body(answer, BodyLimits(max_bytes=MAX_ERROR_BYTES, cut=True))).read()
        data = json.loads(content)
        if isinstance(data, dict):
            return envelope(data)
    return ""


def envelope(data: Mapping[str, Any]) -> str:
    """The words of an error object, whichever way it puts them: `error`, `detail`, `message`, `fields`."""
    words = [data.get(name) for name in ("error", "error_description", "detail", "message", "fields")]
    parts = [word if isinstance(word, str) else json.dumps(word, ensure_ascii=False) for word in words if word]
    return " ".join(": ".join(parts).split())[:300]
