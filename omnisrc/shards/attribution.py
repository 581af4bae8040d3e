"""Who made what: one line for each asset, as JSON lines and as text, beside a curated shard and in a run's folder."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from omnisrc.shards.read import read_bytes, read_index
from omnisrc.shards.write import index_path, storage_error, sync_folder

FIELDS = ("title", "author", "license", "license_url", "page_url", "url")
JSON_LINES, TEXT = "attribution.jsonl", "attribution.txt"

Row = dict[str, Any]


def attribution_paths(tar: Path) -> tuple[Path, Path]:
    """`NAME.attribution.jsonl` and `NAME.attribution.txt` beside `NAME.tar`."""
    return tar.with_name(f"{tar.stem}.{JSON_LINES}"), tar.with_name(f"{tar.stem}.{TEXT}")


def files_of_shard(tar: Path) -> list[Path]:
    """A shard, its index and its attributions, whether they are there or not."""
    return [tar, index_path(tar), *attribution_paths(tar)]


def attributions(assets: Iterable[Mapping[str, Any]]) -> list[Row]:
    """The rows of assets: each URL once, in the order given."""
    rows: dict[str, Row] = {}
    for asset in assets:
        rows.setdefault(asset["url"], {name: asset.get(name) for name in FIELDS})
    return list(rows.values())


def claims_of(about: bytes) -> list[Row]:
    """The assets that the JSON of a curated sample names."""
    found: list[Row] = json.loads(about).get("provenance", {}).get("assets", [])
    return found


def attributions_of_shard(tar: Path) -> list[Row]:
    """The rows of a curated shard, from its own samples."""
    texts = [read_bytes(tar, member.offset, member.length) for member in read_index(tar) if member.ext == "json"]
    return attributions(asset for about in texts for asset in claims_of(about))


def sentence(row: Mapping[str, Any]) -> str:
    """`"Title" by Author, CC BY 4.0 (https://...), https://page`: one line, whatever the texts hold."""
    title, author, licence = _line(row.get("title")), _line(row.get("author")), _line(row.get("license"))
    said = f'"{title}"' if title else "Untitled"
    said += f" by {author}" if author else ", author not known"
    terms = licence or ("licence" if row.get("license_url") else "no known licence")
    terms += f" ({_line(row['license_url'])})" if row.get("license_url") else ""
    return f"{said}, {terms}, {_line(row.get('page_url') or row.get('url'))}"


def _line(text: Any) -> str:
    """A text without line breaks or other control characters."""
    return " ".join("".join(c if c.isprintable() else " " for c in str(text or "")).split())


def json_text(rows: Iterable[Mapping[str, Any]]) -> str:
    return "".join(json.dumps(dict(row), ensure_ascii=False) + "\n" for row in rows)


def list_text(rows: Iterable[Mapping[str, Any]]) -> str:
    return "".join(sentence(row) + "\n" for row in rows)


def write_attributions(paths: tuple[Path, Path], rows: list[Row]) -> None:
    """Writes both files, each whole or not at all. A failing disk is `ItemError(STORAGE)`."""
    for path, text in zip(paths, (json_text(rows), list_text(rows)), strict=True):
        part = path.with_name(f"{path.name}.part")
        try:
            with part.open("w", encoding="utf-8", errors="replace") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
            sync_folder(path.parent)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise storage_error(path, error) from error
