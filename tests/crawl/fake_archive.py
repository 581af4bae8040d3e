"""An Internet Archive of a few items on the local web: cursor search, metadata and downloads, with their moods."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.local_web import LocalWeb

SCRAPE = "/services/search/v1/scrape"
BY = "https://creativecommons.org/licenses/by/4.0/"


@dataclass
class Item:
    """One item; `licenseurl` None is none, `metadata` goes over what its metadata object says, `answer` over all."""

    identifier: str
    mediatype: str = "movies"
    licenseurl: str | None = BY
    files: list[Any] = field(default_factory=list)
    metadata: dict[str, Any] = field(default_factory=dict)
    answer: dict[str, Any] | None = None
    listed: dict[str, Any] = field(default_factory=dict)

    @property
    def doc(self) -> dict[str, Any]:
        """What a search tells of it."""
        doc = {"identifier": self.identifier, "title": f"Title of {self.identifier}", "creator": "A"}
        return doc | {"mediatype": self.mediatype} | ({"licenseurl": self.licenseurl} if self.licenseurl else {})


def file(name: str, source: str = "original", **said: Any) -> dict[str, Any]:
    """A file entry; the archive's numbers are texts."""
    return {"name": name, "source": source, "format": "h.264", "md5": "b" * 32, "sha1": "a" * 40, "crc32": "c"} | said


@dataclass
class FakeArchive:
    """Answers searches over `items` (words -> items), 100 and more at a time.

    `moods` are answers that come before a listing, `item_moods` (identifier -> answers) before an item's metadata.
    """

    served: LocalWeb
    items: dict[str, list[Item]] = field(default_factory=dict)
    moods: list[Callable[[web.Request], web.StreamResponse | None]] = field(default_factory=list)
    item_moods: dict[str, list[Callable[[web.Request], web.StreamResponse | None]]] = field(default_factory=dict)
    calls: list[dict[str, str]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.served.routes[SCRAPE] = self._scrape
        self.publish()

    def publish(self) -> None:
        """Makes the metadata of all items answer."""
        for items in self.items.values():
            for item in items:
                self.served.routes[f"/metadata/{item.identifier}"] = self._metadata

    @property
    def endpoint(self) -> str:
        return self.served.url

    async def _scrape(self, request: web.Request) -> web.StreamResponse:
        query = dict(request.query)
        self.calls.append(query)
        mood = self.moods.pop(0)(request) if self.moods else None
        if mood is not None:
            return mood
        asked = re.fullmatch(
            r"\((?P<words>[\w ]*)\) AND mediatype:\((?P<type>movies|image)\)"
            r"(?P<open> AND licenseurl:\*creativecommons\*)?( AND publicdate:\[[\dTZ:*-]+ TO [\dTZ:*-]+\])?",
            query["q"],
        )
        assert asked, query["q"]
        count = int(query.get("count", 100))
        if not 100 <= count <= 10000:
            said = {"error": "count must be between 100 and 10000", "errorType": "RangeException"}
            return web.json_response(said, status=400)
        found = [item for item in self.items.get(asked["words"], []) if item.mediatype == asked["type"]]
        if asked["open"]:
            found = [item for item in found if "creativecommons" in (item.licenseurl or "")]
        start = int(base64.urlsafe_b64decode(query["cursor"]).decode().removeprefix("W:")) if "cursor" in query else 0
        part = found[start : start + count]
        body: dict[str, Any] = {
            "items": [item.doc | item.listed for item in part], "count": len(part), "total": len(found),
        }  # fmt: skip
        if start + count < len(found):
            body["cursor"] = base64.urlsafe_b64encode(f"W:{start + count}".encode()).decode()
        return web.json_response(body)

    async def _metadata(self, request: web.Request) -> web.StreamResponse:
        identifier = request.path.removeprefix("/metadata/")
        self.asked.append(identifier)
        queue = self.item_moods.get(identifier, [])
        mood = queue.pop(0)(request) if queue else None
        if mood is not None:
            return mood
        item = next(item for items in self.items.values() for item in items if item.identifier == identifier)
        if item.answer is not None:
            return web.json_response(item.answer)
        return web.json_response(
            {
                "created": 1700000000, "d1": "ia800001.us.archive.org", "dir": f"/1/items/{identifier}",
                "files": item.files, "files_count": len(item.files), "item_size": 1, "server": "ia800001",
                "metadata": item.doc | item.metadata, "uniq": 1,
            }
        )  # fmt: skip
