"""A Wikimedia Commons of a few files on the local web, with the shapes and the moods of the real API."""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.local_web import LocalWeb

API = "/w/api.php"
CREATED = re.compile(r"creationdate:(>=|<=|<|>)(\d{4}-\d{2}-\d{2})")
"""CirrusSearch's filter by the day on which a page was made (its DateRangeFeature)."""


@dataclass
class File:
    """One file of the wiki; `said` goes over what its imageinfo object says. `uploaded` is when its present version
    came, `created` its page."""

    title: str
    url: str
    width: int = 400
    height: int = 300
    mime: str = "image/jpeg"
    size: int = 50_000
    duration: float | None = None
    said: dict[str, Any] = field(default_factory=dict)
    derivatives: list[dict[str, Any]] = field(default_factory=list)
    uploaded: str = "2019-05-06T00:00:00Z"
    created: str = ""


@dataclass
class FakeCommons:
    """Answers searches over `files` by the class words that `found` maps to them.

    `moods` are answers that come before anything else, one a call: a function of the request, or None for none.
    """

    served: LocalWeb
    found: dict[str, list[File]] = field(default_factory=dict)
    moods: list[Callable[[web.Request], web.StreamResponse | None]] = field(default_factory=list)
    calls: list[dict[str, str]] = field(default_factory=list)
    bare: set[str] = field(default_factory=set)  # titles that come without imageinfo
    parts: bool = False  # the properties of a page of results come in two parts
    version_1: bool = False

    def __post_init__(self) -> None:
        self.served.routes[API] = self._answer

    @property
    def endpoint(self) -> str:
        return self.served.url + API

    def _ids(self) -> dict[str, int]:
        titles = [file.title for files in self.found.values() for file in files]
        return {title: 1000 + at for at, title in enumerate(dict.fromkeys(titles))}

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        query = dict(request.query)
        self.calls.append(query)
        mood = self.moods.pop(0)(request) if self.moods else None
        if mood is not None:
            return mood
        body = self._info(query) if "pageids" in query else self._search(query)
        return web.json_response(body)

    def _search(self, query: dict[str, str]) -> dict[str, Any]:
        assert query["action"] == "query" and query["format"] == "json" and query["maxlag"] == "5"
        assert query["generator"] == "search" and query["gsrnamespace"] == "6" and query["prop"] == "imageinfo"
        filter_, *words = query["gsrsearch"].split(" ")
        kind = {"filetype:bitmap": "image/", "filetype:video": "video/"}[filter_]
        days = [found for word in words if (found := CREATED.fullmatch(word))]
        text = " ".join(words[len(days) :])
        files = [
            file
            for file in self.found.get(text, [])
            if file.mime.startswith(kind) and all(_made_then(file, *day.groups()) for day in days)
        ]
        start, limit = int(query.get("gsroffset", 0)), int(query["gsrlimit"])
        second = "iicontinue" in query
        pages = []
        for rank, file in enumerate(files[start : start + limit], start + 1):
            page: dict[str, Any] = {"pageid": self._ids()[file.title], "ns": 6, "title": file.title, "index": rank}
            if file.title not in self.bare and second == (self.parts and rank % 2 == 0):
                page["imageinfo"] = [self._imageinfo(file, query)]
            pages.append(page)
        body: dict[str, Any] = {"query": {"pages": pages[::-1]}} if pages else {}
        if self.parts and not second and len(pages) > 1:
            offset = {"gsroffset": str(start)} if start else {}
            return {**body, "continue": {"iicontinue": "x", "continue": "gsroffset||", **offset}}
        if start + limit < len(files):
            body["continue"] = {"gsroffset": start + limit, "continue": "gsroffset||"}
        if self.version_1 and pages:
            body["query"]["pages"] = {str(page["pageid"]): page for page in pages}
        return {**body, "batchcomplete": "" if self.version_1 else True}

    def _imageinfo(self, file: File, query: dict[str, str]) -> dict[str, Any]:
        info: dict[str, Any] = {
            "timestamp": file.uploaded, "user": "Uploader", "url": file.url, "mime": file.mime,
            "descriptionurl": f"{self.served.url}/wiki/{file.title.replace(' ', '_')}", "size": file.size,
            "width": file.width, "height": file.height, "sha1": "a" * 40, "mediatype": "BITMAP",
            "extmetadata": {
                "LicenseShortName": {"value": "CC BY-SA 4.0", "source": "commons-desc-page"},
                "LicenseUrl": {"value": "https://creativecommons.org/licenses/by-sa/4.0"},
                "Artist": {"value": "<a href=\"//x\" title=\"User:A\">A &amp; B</a>"},
            },
        }  # fmt: skip
        if file.duration is not None:
            info["duration"] = file.duration
        if "iiurlwidth" in query:
            width = min(int(query["iiurlwidth"]), file.width)
            name = file.url.rpartition("/")[2]
            info |= {"thumbwidth": width, "thumbheight": width * file.height // file.width}
            info["thumburl"] = file.url if width == file.width else f"{file.url}/thumb/{width}px-{name}"
        return {**info, **file.said}

    def _info(self, query: dict[str, str]) -> dict[str, Any]:
        assert query["prop"] == "videoinfo" and "imageinfo" not in query["prop"]
        ids = self._ids()
        asked = {int(page_id) for page_id in query["pageids"].split("|")}
        files = {ids[file.title]: file for files in self.found.values() for file in files}
        pages = [
            {
                "pageid": page_id,
                "title": files[page_id].title,
                "videoinfo": [{"derivatives": files[page_id].derivatives}],
            }
            for page_id in sorted(asked)
        ]
        return {"batchcomplete": True, "query": {"pages": pages}}


def _made_then(file: File, sign: str, day: str) -> bool:
    compare = {">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt}[sign]
    return bool(compare((file.created or file.uploaded)[:10], day))


def error(code: str, info: str = "because", **headers: str) -> Callable[[web.Request], web.StreamResponse]:
    """An error as MediaWiki sends it: status 200 and an `error` object."""
    body = json.dumps({"error": {"code": code, "info": info}, "servedby": "mw1"})
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda request: web.Response(text=body, content_type="application/json", headers=named)


def status(number: int, text: str = "no", **headers: str) -> Callable[[web.Request], web.StreamResponse]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda request: web.Response(status=number, text=text, headers=named)
