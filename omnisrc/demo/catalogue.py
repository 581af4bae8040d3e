"""What a web item is: as the search service knows it, and as it truly is."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class WebItem:
    """One file of the web, as its search service describes it."""

    id: str
    medium: str  # image or video
    file: str  # the bytes, relative to the web's folder; several items may share them
    title: str
    author: str
    license: str  # empty: the service says nothing
    license_url: str
    queries: dict[str, int]  # the classes whose search finds it, and at which rank
    behaviour: str = "ok"
    width: int = 0
    height: int = 0
    duration: float = 0.0  # seconds; 0 for an image


@dataclass
class Truth:
    """What an item really shows. Only scoring and the arm with true labels may read it."""

    id: str
    label: str | None  # the class that it shows somewhere; None: none of them
    shows: str  # action, other, tool, person or place
    segments: list[tuple[float, float, str | None]] = field(default_factory=list)  # of a video: start, end, class
    leak_of: str | None = None  # the target clip that it was taken from
    of: str | None = None  # the item that it is a copy of
    copy: str | None = None  # bytes or picture


def write_rows(path: Path, rows: Iterable[WebItem | Truth]) -> None:
    path.write_text("".join(json.dumps(asdict(row)) + "\n" for row in rows))


def read_items(path: Path) -> list[WebItem]:
    return [WebItem(**row) for row in _rows(path)]


def read_truth(path: Path) -> list[Truth]:
    return [Truth(**{**row, "segments": [tuple(part) for part in row["segments"]]}) for row in _rows(path)]


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]
