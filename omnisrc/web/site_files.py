"""Files by which a site speaks to all robots at once (robots.txt, tdmrep.json): read once a site and day."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Generic, Protocol, TypeVar

from omnisrc.errors import ErrorClass, ItemError
from omnisrc.web.client import Answer, Client
from omnisrc.web.download import BodyLimits, read_body

T = TypeVar("T")

FRESH_S = 86400.0
TROUBLE_FRESH_S = 60.0
GIVEN_UP_S = 30 * 86400.0
MAX_BYTES = 500 * 1024
_UNREACHED = frozenset({ErrorClass.DNS, ErrorClass.CONNECT, ErrorClass.TLS, ErrorClass.TIMEOUT, ErrorClass.TRUNCATED})


@dataclass(frozen=True)
class SiteFile:
    """What a site answered at `path`: `body` is empty unless `status` is 200, or was when the trouble began."""

    origin: str
    path: str
    status: int
    """0: there was no answer."""

    body: str
    read: float
    """When, in seconds since 1970."""

    trouble_since: float | None = None
    """When it first could not be had (429, 5xx, no answer), and never since."""

    @property
    def in_trouble(self) -> bool:
        return self.status in (0, 429) or self.status >= 500

    @property
    def given_up(self) -> bool:
        """Not to be had for 30 days: what was known before counts, or that there is none (section 2.3.1.4)."""
        return self.in_trouble and self.trouble_since is not None and self.read - self.trouble_since >= GIVEN_UP_S

    def fresh(self, now: float) -> bool:
        if self.in_trouble:
            return abs(now - self.read) < TROUBLE_FRESH_S and (self.status != 0 or self.given_up)
        return now - self.read < FRESH_S

    @property
    def url(self) -> str:
        return self.origin + self.path

    @property
    def evidence(self) -> dict[str, object]:
        digest = hashlib.sha256(self.body.encode()).hexdigest()
        return {"where": self.url, "at": self.read, "status": self.status, "sha256": digest}


class SiteFileStore(Protocol):
    """Where files outlive a process."""

    def load(self, origin: str, path: str) -> SiteFile | None: ...

    def save(self, file: SiteFile) -> None: ...


@dataclass
class MemoryStore:
    """Keeps files as long as the process lives."""

    files: dict[tuple[str, str], SiteFile] = field(default_factory=dict)

    def load(self, origin: str, path: str) -> SiteFile | None:
        return self.files.get((origin, path))

    def save(self, file: SiteFile) -> None:
        self.files[file.origin, file.path] = file


class SiteFiles(Generic[T]):
    """The files at one path, as `parse` reads them; one request a site, however many ask at once."""

    def __init__(
        self,
        client: Client,
        store: SiteFileStore,
        path: str,
        parse: Callable[[str], T],
        now: Callable[[], float] = time.time,
    ) -> None:
        self._client = client
        self._store = store
        self._path = path
        self._parse = parse
        self._now = now
        self._known: dict[str, tuple[SiteFile, T]] = {}
        self._reading: dict[str, asyncio.Task[tuple[SiteFile, T]]] = {}

    async def of(self, origin: str) -> tuple[SiteFile, T]:
        """The site's file, a day old at the most. Raises the ItemError of a request without an answer."""
        known = self._known.get(origin)
        if known is not None and known[0].fresh(self._now()):
            return known
        reading = self._reading.get(origin)
        if reading is None:
            reading = asyncio.create_task(self._read(origin))
            self._reading[origin] = reading
            reading.add_done_callback(lambda _: self._reading.pop(origin, None))
        return await asyncio.shield(reading)

    async def _read(self, origin: str) -> tuple[SiteFile, T]:
        file = self._store.load(origin, self._path)
        if file is None or not file.fresh(self._now()):
            file = await self._request(origin, file)
        known = self._known[origin] = (file, self._parse(file.body))
        return known

    async def _request(self, origin: str, before: SiteFile | None) -> SiteFile:
        file = SiteFile(origin, self._path, 0, "", self._now())
        try:
            async with self._client.get(file.url) as answer:
                file = replace(file, status=answer.status, body=await _text(answer) if answer.status == 200 else "")
        except ItemError as error:
            if error.error is ErrorClass.REDIRECT:  # section 2.3.1.2: as if there were none
                file = replace(file, status=error.http_status or 302)
            elif error.error in _UNREACHED:
                file = _troubled(file, before)
                self._store.save(file)
                if not file.given_up:
                    raise
            else:
                raise
        file = _troubled(file, before) if file.in_trouble else file
        self._store.save(file)
        return file


def _troubled(file: SiteFile, before: SiteFile | None) -> SiteFile:
    """The file in trouble, with what was known before it."""
    since = before.trouble_since if before is not None and before.in_trouble else None
    return replace(file, body=before.body if before else "", trouble_since=since or file.read)


async def _text(answer: Answer) -> str:
    """The first 500 KiB, without a line that is cut in two there."""
    try:
        body = await read_body(answer, BodyLimits(max_bytes=MAX_BYTES, cut=True))
    except ItemError as error:
        if error.error is ErrorClass.EMPTY:
            return ""
        raise
    data = body.read()
    if len(data) > MAX_BYTES:
        data = data[:MAX_BYTES].rpartition(b"\n")[0]
    return data.decode("utf-8-sig", errors="replace").replace("\0", "")
