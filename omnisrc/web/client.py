"""The guarded client: a GET whose redirects are followed by hand with every hop checked, or a form that is posted.

Every request waits for its site's gate.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Protocol, Self

import aiohttp
from aiohttp.abc import AbstractResolver
from multidict import CIMultiDictProxy

from omnisrc.errors import ErrorClass, ItemError
from omnisrc.web.addresses import BLOCKED_PORTS, AllowedHosts, is_public
from omnisrc.web.connector import guarded_connector
from omnisrc.web.failures import CAUGHT, body_failure, request_failure, status_failure
from omnisrc.web.hosts import Gate
from omnisrc.web.retry_after import parse_retry_after
from omnisrc.web.urls import WebUrl, parse_url

AGENT = "omnisrc"
"""Our product token, by which owners may address us."""

MAX_REDIRECTS = 5
REDIRECTS = frozenset({301, 302, 303, 307, 308})
SMALL_BODY = 65536
WANDERING = frozenset({"Range", "If-Range"})
LINGER_S, LINGER_AFTER_TIMEOUT_S = 0.1, 1.5


def user_agent(version: str, contact: str) -> str:
    """`omnisrc/1.2 (+contact)`, as robot policies ask for."""
    return f"{AGENT}/{version} ({'+' + contact if contact else 'research crawler; no contact given'})"


class Headers(Protocol):
    def getall(self, key: str, default: list[str]) -> list[str]: ...


class OwnersWishes(Protocol):
    """Raises ItemError (ROBOTS, OPT_OUT) where the owner keeps the URL from us: before the request, and by its head."""

    async def check(self, target: WebUrl) -> None: ...

    def heed(self, target: WebUrl, status: int, headers: Headers) -> None: ...


@dataclass(frozen=True)
class Patience:
    """Limits in time of one GET with all its redirects, the waits for a gate left out."""

    connect_s: float = 10.0
    idle_s: float = 15.0
    deadline_s: float = 60.0


@dataclass
class Answer:
    """The head of a final answer; the body is still to be read."""

    target: WebUrl
    response: aiohttp.ClientResponse
    deadline: asyncio.Timeout

    @property
    def status(self) -> int:
        return self.response.status

    @property
    def headers(self) -> CIMultiDictProxy[str]:
        return self.response.headers

    @property
    def retry_after(self) -> float | None:
        return parse_retry_after(self.headers.get("Retry-After"), server_date=self.headers.get("Date"))

    def wait_longer(self, seconds: float) -> None:
        """So long it was not the server that kept us waiting."""
        when = self.deadline.when()
        if when is not None:
            self.deadline.reschedule(when + seconds)

    def raise_for_status(self) -> None:
        """Raises ItemError for every status but 200."""
        failure = status_failure(self.status, self.retry_after)
        if failure is not None:
            raise failure


class Client:
    """Asks the web for things. Use as an asynchronous context manager; one event loop, many requests at once.

    The environment's proxies, netrc and cookies play no part. Every failure is an ItemError.
    """

    def __init__(
        self,
        agent: str,
        gate: Gate,
        *,
        allow: AllowedHosts | None = None,
        patience: Patience | None = None,
        resolver: AbstractResolver | None = None,
    ) -> None:
        self.agent = agent
        self.gate = gate
        self.allow = allow or AllowedHosts()
        self.patience = patience or Patience()
        self._resolver = resolver
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        patience = self.patience
        self._session = aiohttp.ClientSession(
            connector=guarded_connector(self.allow, self._resolver),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": self.agent, "Accept-Encoding": "identity"},
            timeout=aiohttp.ClientTimeout(total=None, connect=patience.connect_s, sock_read=patience.idle_s),
            auto_decompress=False,
            trust_env=False,
            read_bufsize=2**18,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._session is not None
        await self._session.close()

    def vet(self, target: WebUrl) -> None:
        """Refuses a literal address, or the port of another protocol, before any name is looked up.

        Raises ItemError(REFUSED_ADDRESS).
        """
        if self.allow.permits(target.host, target.port):
            return
        if target.address is not None and not is_public(target.address):
            raise ItemError(ErrorClass.REFUSED_ADDRESS, f"{target.host} is not a public address")
        if target.port in BLOCKED_PORTS:
            raise ItemError(ErrorClass.REFUSED_ADDRESS, f"port {target.port} is another protocol's")

    @asynccontextmanager
    async def get(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        optouts: OwnersWishes | None = None,
        deadline_s: float | None = None,
    ) -> AsyncIterator[Answer]:
        """The final answer to a GET, inside the gate of the site that gave it. `headers` stay with the first origin,
        for a key is for the server that it was meant for; but what says which part is wanted goes with a redirect.

        Raises ItemError: BAD_URL, REFUSED_ADDRESS, ROBOTS and OPT_OUT (of any hop, before a body is read), REDIRECT (a
        loop, too many, or to nowhere), DNS, CONNECT, TLS, TIMEOUT. What the block raises while it reads the body comes
        out as TIMEOUT or TRUNCATED.
        """
        target = parse_url(url)
        seen = {str(target)}
        left = deadline_s or self.patience.deadline_s
        while True:
            self.vet(target)
            if optouts is not None:
                await optouts.check(target)
            async with self.gate.slot(target.site):
                started = time.monotonic()
                async with self._asked(target, headers, left) as answer:
                    response = answer.response
                    if optouts is not None:
                        optouts.heed(target, response.status, response.headers)
                    if response.status not in (200, 206):
                        await _finish(response)
                    onward = self._onward(target, response)
                    if onward is None:
                        yield answer
                        return
                left = max(0.1, left - (time.monotonic() - started))
            if str(onward) in seen or len(seen) > MAX_REDIRECTS:
                reason = "a loop" if str(onward) in seen else f"more than {MAX_REDIRECTS}"
                raise ItemError(ErrorClass.REDIRECT, f"{reason}, at {onward}", http_status=response.status)
            seen.add(str(onward))
            if onward.origin != target.origin:
                headers = {name: value for name, value in (headers or {}).items() if name in WANDERING}
            target = onward

    @asynccontextmanager
    async def post(
        self, url: str, form: Mapping[str, str], *, headers: Mapping[str, str] | None = None
    ) -> AsyncIterator[Answer]:
        """The answer to a form. A redirect is an answer too: what a form holds is for the address that was named.

        Raises ItemError as `get` does.
        """
        target = parse_url(url)
        self.vet(target)
        async with (
            self.gate.slot(target.site),
            self._asked(target, headers, self.patience.deadline_s, form) as answer,
        ):
            yield answer

    def _onward(self, target: WebUrl, response: aiohttp.ClientResponse) -> WebUrl | None:
        """Where a redirect leads, or None for a final answer."""
        if response.status not in REDIRECTS:
            return None
        location = response.headers.get("Location")
        if not location:
            raise ItemError(ErrorClass.REDIRECT, "no Location", http_status=response.status)
        return parse_url(location, target.url)

    @asynccontextmanager
    async def _asked(
        self,
        target: WebUrl,
        headers: Mapping[str, str] | None,
        deadline_s: float,
        form: Mapping[str, str] | None = None,
    ) -> AsyncIterator[Answer]:
        """One request, bounded by the deadline until the block ends; the connection is kept only when it is clean."""
        assert self._session is not None, "the client is used as a context manager"
        response = None
        linger = 0.0
        try:
            async with asyncio.timeout(deadline_s) as deadline:
                try:
                    response = await self._session.request(
                        "GET" if form is None else "POST",
                        target.url,
                        headers=headers,
                        data=form,
                        allow_redirects=False,
                    )
                except CAUGHT as error:
                    raise request_failure(error) from error
                try:
                    yield Answer(target, response, deadline)
                except CAUGHT as error:
                    raise body_failure(error) from error
        except TimeoutError as error:
            linger = LINGER_AFTER_TIMEOUT_S
            raise ItemError(ErrorClass.TIMEOUT, f"not done in {deadline_s:.0f} s") from error
        except ItemError as error:
            linger = LINGER_AFTER_TIMEOUT_S if error.error is ErrorClass.TIMEOUT else LINGER_S
            raise
        finally:
            if response is not None and response.connection is not None:
                response.close()
                # A server learns of a closed connection at its next write: until then it still serves this request.
                await asyncio.sleep(linger or LINGER_S)


async def _finish(response: aiohttp.ClientResponse) -> None:
    """Reads a small body that nobody wants, so that the connection can be used again."""
    if (response.content_length or SMALL_BODY + 1) <= SMALL_BODY:
        with suppress(*CAUGHT):  # the status says more than a broken error page
            await response.read()
