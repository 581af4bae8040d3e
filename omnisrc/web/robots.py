"""robots.txt by RFC 9309: read once a site and day; 4xx allows everything, 5xx nothing."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from protego import Protego

from omnisrc.errors import ErrorClass, ItemError
from omnisrc.web.client import AGENT, Answer, Client
from omnisrc.web.download import BodyLimits, read_body
from omnisrc.web.refusal import Refusal
from omnisrc.web.urls import WebUrl

FRESH_S = 86400.0
UNREACHABLE_FRESH_S = 60.0
MAX_BYTES = 512 * 1024
LONGEST_DELAY_S = 60.0


@dataclass(frozen=True)
class RobotsFile:
    """What a site's robots.txt said: `body` is empty unless `status` is 200."""

    origin: str
    status: int
    body: str
    read: float
    """When, in seconds since 1970."""

    @property
    def unreachable(self) -> bool:
        return self.status == 429 or self.status >= 500

    def fresh(self, now: float) -> bool:
        return now - self.read < (UNREACHABLE_FRESH_S if self.unreachable else FRESH_S)

    @property
    def evidence(self) -> dict[str, object]:
        digest = hashlib.sha256(self.body.encode()).hexdigest()
        return {"robots": f"{self.origin}/robots.txt", "status": self.status, "sha256": digest, "read": self.read}


class RobotsStore(Protocol):
    """Where files outlive a process."""

    def load(self, origin: str) -> RobotsFile | None: ...

    def save(self, file: RobotsFile) -> None: ...


@dataclass
class MemoryStore:
    """Keeps files as long as the process lives."""

    files: dict[str, RobotsFile] = field(default_factory=dict)

    def load(self, origin: str) -> RobotsFile | None:
        return self.files.get(origin)

    def save(self, file: RobotsFile) -> None:
        self.files[file.origin] = file


class Robots:
    """Answers whether robots.txt lets us fetch a URL; one request a site, however many ask at once.

    `slow_down` is told the Crawl-delay of a site that has one.
    """

    def __init__(
        self,
        client: Client,
        store: RobotsStore | None = None,
        *,
        slow_down: Callable[[str, float], None] | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._client = client
        self._store = store or MemoryStore()
        self._slow_down = slow_down
        self._now = now
        self._rules: dict[str, tuple[RobotsFile, Protego]] = {}
        self._reading: dict[str, asyncio.Task[tuple[RobotsFile, Protego]]] = {}

    async def check(self, target: WebUrl) -> None:
        """Raises Refusal(ROBOTS) where the file forbids the URL or answered 5xx (its status is then the error's),
        and the ItemError of the request where there was no answer at all."""
        file, rules = await self._rules_for(target)
        if file.unreachable:
            detail = f"robots.txt answered {file.status}: nothing is allowed"
            raise Refusal(ErrorClass.ROBOTS, detail, file.evidence, http_status=file.status)
        if file.status == 200 and not rules.can_fetch(str(target), AGENT):
            raise Refusal(ErrorClass.ROBOTS, "robots.txt forbids it", file.evidence)

    async def _rules_for(self, target: WebUrl) -> tuple[RobotsFile, Protego]:
        known = self._rules.get(target.origin)
        if known is not None and known[0].fresh(self._now()):
            return known
        reading = self._reading.get(target.origin)
        if reading is None:
            reading = asyncio.create_task(self._read(target))
            self._reading[target.origin] = reading
            reading.add_done_callback(lambda _: self._reading.pop(target.origin, None))
        return await asyncio.shield(reading)

    async def _read(self, target: WebUrl) -> tuple[RobotsFile, Protego]:
        file = self._store.load(target.origin)
        if file is None or not file.fresh(self._now()):
            file = await self._request(target.origin)
            self._store.save(file)
        rules = Protego.parse(file.body)
        delay = rules.crawl_delay(AGENT)
        if delay and self._slow_down is not None:
            self._slow_down(target.site, min(float(delay), LONGEST_DELAY_S))
        self._rules[target.origin] = (file, rules)
        return file, rules

    async def _request(self, origin: str) -> RobotsFile:
        try:
            async with self._client.get(f"{origin}/robots.txt") as answer:
                body = await _text(answer) if answer.status == 200 else ""
                return RobotsFile(origin, answer.status, body, self._now())
        except ItemError as error:
            if error.error is ErrorClass.REDIRECT:  # section 2.3.1.2: as if there were none
                return RobotsFile(origin, error.http_status or 302, "", self._now())
            raise


async def _text(answer: Answer) -> str:
    try:
        body = await read_body(answer, BodyLimits(max_bytes=MAX_BYTES, cut=True))
    except ItemError as error:
        if error.error is ErrorClass.EMPTY:
            return ""
        raise
    return body.read().decode("utf-8-sig", errors="replace")
