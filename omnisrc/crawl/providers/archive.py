"""The Internet Archive: videos and images of its items, by the cursor search, the metadata and the download interface.

https://archive.org/help/aboutsearch.htm, https://archive.org/developers/md-read.html. A search names items; what
files an item has takes a call for each.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from omnisrc.crawl.providers.about import About, CallLimits
from omnisrc.crawl.providers.archive_files import choose_file, quoted
from omnisrc.crawl.providers.call import call_json, envelope
from omnisrc.crawl.providers.numbers import seconds
from omnisrc.crawl.providers.provider import Candidate, MediaWish, Page, Question
from omnisrc.crawl.settings import ProviderSettings
from omnisrc.crawl.windows import Window, iso
from omnisrc.errors import ErrorClass, ItemError, UserError
from omnisrc.licences import is_open, licence_of_url
from omnisrc.web.client import Client
from omnisrc.web.urls import parse_url

log = logging.getLogger(__name__)

COUNT = 100
"""Items of one listing: the service gives no fewer."""

MEDIA_TYPES = {"image": "image", "video": "movies"}
FIELDS = "identifier,title,creator,licenseurl,mediatype"
OWN_FAULTS = frozenset({ErrorClass.HTTP_4XX, ErrorClass.PROVIDER, ErrorClass.EMPTY, ErrorClass.TOO_LARGE})
"""What is wrong with one item, and says nothing of the next."""

PASSING_FAULTS = frozenset({ErrorClass.HTTP_5XX, ErrorClass.TIMEOUT, ErrorClass.TRUNCATED})
MOST_PASSING_FAULTS = 2
"""So many items of a page may fail for what may be a fault of the service; they are left out."""

DEFAULT_PAUSE_S = 60.0
_IDENTIFIER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}")
_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class Place:
    """Where a page begins: the cursor of a listing (empty: the first), and how many of its items come before."""

    cursor: str = ""
    skip: int = 0

    @classmethod
    def read(cls, text: str) -> Place:
        return cls(**json.loads(text)) if text else cls()

    def __str__(self) -> str:
        return json.dumps({"cursor": self.cursor, "skip": self.skip})


class Archive:
    """The provider `archive`. `page_size` bounds the metadata calls of a page, of which there is one for each item."""

    page_size = 25
    limits = CallLimits(calls_per_find={"image": 1, "video": 1})
    about = About(
        "mixed rights, by default only what carries an open licence; no published limit: few calls at a time",
        windows=True,
    )
    kinds = ("image", "video")

    def __init__(self, settings: ProviderSettings, wish: MediaWish, client: Client) -> None:
        given = settings.archive
        self._base = given.endpoint.rstrip("/")
        self._open_only = given.licenses == "open"
        self._sort = given.sort
        self._client = client
        self._short_sides = {"image": wish.image_short_side, "video": wish.clip_short_side}
        try:
            self._site = parse_url(self._base).site
        except ItemError as error:
            raise UserError(
                f"The setting providers.archive.endpoint is {given.endpoint!r}, which is no http or https URL."
            ) from error

    @property
    def site(self) -> str | None:
        return self._site

    async def find(self, question: Question, cursor: str, limit: int) -> Page:
        """The items from `cursor` on, until `limit` are found, `page_size` are looked at, or the listing ends.

        An item that cannot be read is left out. Where the service itself fails in the middle, what was found so far
        is the page, and the next one begins at the item that failed.
        """
        if not _WORD.search(question.text):
            return Page([], None, calls=0)
        place = Place.read(cursor)
        items, onward = await self._listing(question, place.cursor)
        found: list[Candidate] = []
        looked = passing = 0
        for at in range(place.skip, len(items)):
            here = str(Place(place.cursor, at))
            if len(found) >= max(1, limit) or looked >= self.page_size:
                return Page(found, here, 1 + looked)
            if not self._may_fit(items[at]):
                continue
            looked += 1
            try:
                candidate = await self._candidate(question.kind, items[at])
            except ItemError as error:
                passing += error.error in PASSING_FAULTS
                if self._is_skipped(error, passing):
                    log.info("%s: item %s is left out: %s", self._site, items[at]["identifier"], error)
                    continue
                if looked == 1:
                    raise
                return Page(found, here, 1 + looked, _pause_s(error))
            if candidate is not None:
                found.append(candidate)
        if not onward or onward == place.cursor:
            return Page(found, None, 1 + looked)
        return Page(found, str(Place(onward)), 1 + looked)

    async def _listing(self, question: Question, cursor: str) -> tuple[list[Any], str]:
        """The items of one listing, and the cursor of the next one (empty after the last)."""
        params: dict[str, str | int] = {"q": self._query(question), "fields": FIELDS, "count": COUNT}
        if self._sort:
            params["sorts"] = self._sort
        if cursor:
            params["cursor"] = cursor
        reply = await call_json(self._client, f"{self._base}/services/search/v1/scrape", params)
        items = reply.data.get("items")
        if not isinstance(items, list):
            detail = envelope(reply.data) or "the answer holds no items"
            raise ItemError(ErrorClass.PROVIDER, detail, http_status=200)
        onward = reply.data.get("cursor")
        return items, str(onward) if items and onward else ""

    def _query(self, question: Question) -> str:
        """In Lucene's language, of which nothing but words is let through from the question."""
        words = " ".join(_WORD.findall(question.text.lower()))
        query = f"({words}) AND mediatype:({MEDIA_TYPES[question.kind]})"
        if self._open_only:
            query += " AND licenseurl:*creativecommons*"
        window = Window.read(question.time_window)
        if window:
            query += f" AND publicdate:[{iso(window.since) or '*'} TO {iso(window.until) or '*'}]"
        return query

    def _may_fit(self, item: object) -> bool:
        """Whether an item of a listing is worth a call."""
        if not isinstance(item, dict) or not _IDENTIFIER.fullmatch(str(item.get("identifier") or "")):
            return False
        return not self._open_only or is_open(_text(item.get("licenseurl")))

    def _is_skipped(self, error: ItemError, passing: int) -> bool:
        if error.error in OWN_FAULTS:
            return True
        return error.error in PASSING_FAULTS and error.retry_after is None and passing <= MOST_PASSING_FAULTS

    async def _candidate(self, kind: str, item: Mapping[str, Any]) -> Candidate | None:
        """The best file of an item; None where it is unknown or withheld, has no file or no licence that will do."""
        identifier = str(item["identifier"])
        data = (await call_json(self._client, f"{self._base}/metadata/{identifier}", {})).data
        said, files = data.get("metadata"), data.get("files")
        if not isinstance(said, dict) or not isinstance(files, list) or _is_withheld(data, said):
            return None
        license_url = _text(said.get("licenseurl")) or _text(item.get("licenseurl"))
        if self._open_only and not is_open(license_url):
            return None
        file = choose_file(files, kind, self._short_sides[kind])
        if file is None:
            return None
        duration = file.duration or seconds(_text(said.get("runtime"))) if kind == "video" else None
        return Candidate(
            url=f"{self._base}/download/{identifier}/{quoted(file.name)}",
            kind=kind,
            page_url=f"{self._base}/details/{identifier}",
            license=licence_of_url(license_url),
            license_url=license_url,
            author=_text(said.get("creator")) or _text(item.get("creator")),
            title=_text(said.get("title")) or _text(item.get("title")) or identifier,
            width=file.width,
            height=file.height,
            duration=duration,
            bytes=file.bytes,
            sha1=file.sha1,
        )


def _is_withheld(data: Mapping[str, Any], said: Mapping[str, Any]) -> bool:
    """Whether the item's files are not for everyone."""
    flags = (data.get("is_dark"), data.get("nodownload"), said.get("access-restricted-item"))
    return any(flag in (True, "true") for flag in flags)


def _pause_s(error: ItemError) -> float | None:
    """How long a service that failed in the middle of a page should be left alone."""
    asked = error.error in (ErrorClass.HTTP_429, ErrorClass.QUOTA)
    return error.retry_after or (DEFAULT_PAUSE_S if asked else None)


def _text(value: object) -> str | None:
    """A text that says something; of several values (the archive gives lists then) those that do."""
    values = value if isinstance(value, list) else [value]
    texts = [" ".join(text.split()) for text in values if isinstance(text, str)]
    return "; ".join(text for text in texts if text) or None
