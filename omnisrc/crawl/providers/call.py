"""One call of a search service that answers in JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from yarl import URL

from omnisrc.errors import ErrorClass, ItemError
from omnisrc.web.client import Client
from omnisrc.web.download import BodyLimits, read_body

MAX_BYTES = 32 * 2**20


@dataclass(frozen=True)
class Reply:
    """A JSON object, and the pause that its headers ask for."""

    data: dict[str, Any]
    retry_after: float | None


async def call_json(client: Client, endpoint: str, params: Mapping[str, str | int]) -> Reply:
    """GET `endpoint` with `params` (in addition to those that it has) and read the JSON object that it answers.

    robots.txt is not asked: a documented search interface is used by its terms, whatever is said to crawlers of pages.
    Raises ItemError: those of the request and of its status; PROVIDER where the answer is no JSON object.
    """
    url = URL(endpoint).update_query({key: str(value) for key, value in params.items()})
    async with client.get(str(url), headers={"Accept-Encoding": "gzip"}) as answer:
        answer.raise_for_status()
        retry_after = answer.retry_after
        body = await read_body(answer, BodyLimits(max_bytes=MAX_BYTES))
    try:
        data = json.loads(body.read())
    except ValueError as error:
        raise ItemError(ErrorClass.PROVIDER, f"{answer.target.host} did not answer with JSON") from error
    if not isinstance(data, dict):
        raise ItemError(ErrorClass.PROVIDER, f"{answer.target.host} did not answer with a JSON object")
    return Reply(data, retry_after)
