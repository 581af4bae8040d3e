"""Columns of URL tables: the names that known tables give them, and a row as a candidate."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from omnisrc.config import near
from omnisrc.crawl.providers.media_names import kind_of_url
from omnisrc.crawl.providers.provider import Candidate
from omnisrc.errors import UserError

KNOWN: dict[str, tuple[str, ...]] = {
    "url": ("url", "contenturl", "image_url", "video_url", "media_url", "link"),
    "class": ("class", "label", "action", "query", "class_name"),
    "text": ("text", "caption", "name", "alt", "description", "title"),
    "kind": ("kind", "medium", "media_type"),
    "page_url": ("page_url", "landing_url", "foreign_landing_url", "webpage_url", "source_url"),
    "license": ("license", "licence"),
    "license_url": ("license_url", "licence_url"),
    "author": ("author", "creator", "uploader", "owner"),
    "title": ("title", "name"),
    "width": ("width", "original_width"),
    "height": ("height", "original_height"),
    "duration": ("duration", "length"),
    "bytes": ("bytes", "filesize", "size"),
}
"""Our name -> the names it goes by, in lower case: those of LAION and COYO (URL, TEXT, WIDTH, HEIGHT, LICENSE),
DataComp (original_width), WebVid (contentUrl, name, duration) and the obvious ones."""

_ISO_DURATION = re.compile(r"P(?:T|0DT)(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?")


def map_columns(columns: Sequence[str], given: Mapping[str, str], path: Path) -> dict[str, str]:
    """Our name -> the table's column, for those that it has.

    Raises UserError: a mapping to a column that is not there, or a table without URLs, or without class and text.
    """
    for ours, theirs in given.items():
        if ours not in KNOWN:
            raise UserError(f"There is no column {ours!r} to map.{near(ours, list(KNOWN))}")
        if theirs not in columns:
            raise UserError(f"The table {path} has no column {theirs!r} for {ours}.{near(theirs, list(columns))}")
    lower = {column.lower(): column for column in reversed(columns)}
    found = {ours: next((lower[name] for name in names if name in lower), "") for ours, names in KNOWN.items()}
    mapped = {ours: theirs for ours, theirs in {**found, **given}.items() if theirs}
    if "url" not in mapped:
        raise UserError(
            f"The table {path} has no column of URLs; name it with --set providers.table.columns.url=COLUMN. "
            f"Its columns are: {', '.join(columns)}."
        )
    if "class" not in mapped and "text" not in mapped:
        raise UserError(
            f"The table {path} has neither classes nor texts to find rows by; name one with "
            "--set providers.table.columns.class=COLUMN (or columns.text)."
        )
    return mapped


def row_kind(row: Mapping[str, str], mapped: Mapping[str, str], setting: str) -> str:
    """`image` or `video`: by the setting, else by the row's own word, else by its URL's suffix, else an image."""
    said = (row.get(mapped.get("kind", "")) or "").strip().lower()
    return setting or (said if said in ("image", "video") else "") or kind_of_url(row[mapped["url"]]) or "image"


def candidate(row: Mapping[str, str], mapped: Mapping[str, str], kind: str) -> Candidate:
    """A row as a candidate; numbers that cannot be read are left out."""

    def text(ours: str) -> str | None:
        return (row.get(mapped.get(ours, "")) or "").strip() or None

    def whole(ours: str) -> int | None:
        number = _number(text(ours))
        return int(number) if number else None

    return Candidate(
        url=(row[mapped["url"]] or "").strip(),
        kind=kind,
        page_url=text("page_url"),
        license=_licence(text("license")),
        license_url=text("license_url"),
        author=text("author"),
        title=text("title") or text("text"),
        width=whole("width"),
        height=whole("height"),
        duration=_seconds(text("duration")),
        bytes=whole("bytes"),
    )


def _licence(text: str | None) -> str | None:
    return None if text in (None, "?", "unknown") else text  # LAION writes `?` for nearly all


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if 0 < number < 2**53 else None


def _seconds(text: str | None) -> float | None:
    """`32`, `32.5` or ISO 8601 as WebVid has it (`PT00H00M32S`)."""
    match = _ISO_DURATION.fullmatch(text or "")
    if match:
        return sum(float(part or 0) * unit for part, unit in zip(match.groups(), (3600, 60, 1), strict=True)) or None
    return _number(text)
