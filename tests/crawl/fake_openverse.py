"""An Openverse of a few images on the local web: pages, limits, tokens and moods as the real API has them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.local_web import LocalWeb

SEARCH, TOKEN = "/v1/images/", "/v1/auth_tokens/token/"
CLIENT_ID, CLIENT_SECRET = "id-5f2c9e", "secret-b7d1a4"
LICENSE_TYPES = {"all", "all-cc", "commercial", "modification"}


def image(number: int, **said: Any) -> dict[str, Any]:
    """One result with every field of the API; `said` goes over them, None included."""
    uuid = f"00000000-0000-4000-8000-{number:012d}"
    return {
        "id": uuid, "title": f"Brush hair {number}", "indexed_on": "2020-01-01T00:00:00Z",
        "foreign_landing_url": f"https://www.flickr.com/photos/a/{number}",
        "url": f"https://live.staticflickr.example/{number}_b.jpg", "creator": "A & B",
        "creator_url": "https://www.flickr.com/photos/a", "license": "by", "license_version": "2.0",
        "license_url": "https://creativecommons.org/licenses/by/2.0/", "provider": "flickr", "source": "flickr",
        "category": None, "filesize": 123456, "filetype": "jpg", "tags": [{"name": "hair", "accuracy": None}],
        "attribution": "...", "fields_matched": ["title"], "mature": False, "height": 300, "width": 400,
        "thumbnail": f"https://api.openverse.org/v1/images/{uuid}/thumb/",
        "detail_url": f"https://api.openverse.org/v1/images/{uuid}/",
        "related_url": f"https://api.openverse.org/v1/images/{uuid}/related/", "unstable__sensitivity": [],
    } | said  # fmt: skip


@dataclass
class FakeOpenverse:
    """Answers searches over `found` (text -> results).

    `moods` are answers that come before any other to a search, one a call; `tokens` those to a request for a token.
    """

    served: LocalWeb
    found: dict[str, list[Any]] = field(default_factory=dict)
    moods: list[Callable[[web.Request], web.StreamResponse | None]] = field(default_factory=list)
    tokens: list[Callable[[web.Request], web.StreamResponse | None]] = field(default_factory=list)
    calls: list[dict[str, str]] = field(default_factory=list)
    bearers: list[str] = field(default_factory=list)
    issued: int = 0
    valid: set[str] = field(default_factory=set)
    expires_in: Any = 36000
    headers: dict[str, str] = field(default_factory=dict)
    says_pages: bool = True

    def __post_init__(self) -> None:
        self.served.routes[SEARCH] = self._search
        self.served.routes[TOKEN] = self._token

    @property
    def endpoint(self) -> str:
        return f"{self.served.url}/v1/"

    async def _token(self, request: web.Request) -> web.StreamResponse:
        self.issued += 1
        form = await request.post()
        mood = self.tokens.pop(0)(request) if self.tokens else None
        if mood is not None:
            return mood
        given = (form.get("grant_type"), form.get("client_id"), form.get("client_secret"))
        if request.method != "POST" or given != ("client_credentials", CLIENT_ID, CLIENT_SECRET):
            return web.json_response({"error": "invalid_client", "given": dict(form)}, status=401)
        token = f"token-{self.issued}-c0ffee"
        self.valid = {token}
        body = {"access_token": token, "token_type": "Bearer", "scope": "read write groups"}
        return web.json_response(body | ({} if self.expires_in is None else {"expires_in": self.expires_in}))

    async def _search(self, request: web.Request) -> web.StreamResponse:
        query = dict(request.query)
        self.calls.append(query)
        bearer = request.headers.get("Authorization", "").removeprefix("Bearer ")
        self.bearers.append(bearer)
        mood = self.moods.pop(0)(request) if self.moods else None
        if mood is not None:
            return mood
        if bearer and bearer not in self.valid:
            return web.json_response({"detail": f"Invalid token {bearer}."}, status=401)
        page, size = int(query.get("page", 1)), int(query.get("page_size", 20))
        if size > (500 if bearer else 20):
            said = {"detail": f"Ensure this value is less than or equal to {500 if bearer else 20}."}
            return web.json_response(said, status=400 if bearer else 401)
        if not 1 <= page <= 20:
            return input_error("page")
        if set(query.get("license_type", "all").split(",")) - LICENSE_TYPES:
            return input_error("license_type")
        found = self.found.get(query["q"][:200], [])
        body = {
            "result_count": len(found),
            "page_count": min(20, -(-len(found) // size)),
            "page_size": size,
            "page": page,
            "results": found[(page - 1) * size : page * size],
        }
        if not self.says_pages:
            del body["page_count"], body["result_count"]
        return web.json_response(body, headers=self.headers)


def input_error(*fields: str) -> web.StreamResponse:
    body = {"error": "InputError", "detail": "Invalid input given for fields.", "fields": list(fields)}
    return web.json_response(body, status=400)


def said(body: object, status: int = 200, **headers: str) -> Callable[[web.Request], web.StreamResponse]:
    """A JSON answer, whatever was asked."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    text = json.dumps(body)
    return lambda request: web.Response(text=text, status=status, content_type="application/json", headers=named)


def parrot(code: int) -> Callable[[web.Request], web.StreamResponse]:
    """An error that repeats what was sent, as some servers do."""

    def answer(request: web.Request) -> web.StreamResponse:
        words = f"{request.headers.get('Authorization', '')} {CLIENT_ID} {CLIENT_SECRET}"
        return web.json_response({"detail": words, "error": words}, status=code)

    return answer
