"""TDM reservations (W3C community group, TDMRep): `/.well-known/tdmrep.json`, and headers of the same names."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from omnisrc.web.path_patterns import canonical_path, canonical_pattern, matches

PATH = "/.well-known/tdmrep.json"
MAX_LOCATIONS = 10_000


@dataclass(frozen=True)
class Location:
    """One object of the file: a canonical pattern, whether it is reserved, and the object as it was written."""

    pattern: str
    reserved: bool
    written: str


def parse_tdmrep(text: str) -> list[Location]:
    """Reads the file; what is no list of objects with a location reserves nothing."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return []
    objects = data if isinstance(data, list) else [data]
    return [
        Location(canonical_pattern(item["location"].strip()), is_reserved(item.get("tdm-reservation")), _written(item))
        for item in objects[:MAX_LOCATIONS]
        if isinstance(item, dict) and isinstance(item.get("location"), str)
    ]


def reserving(locations: list[Location], url: str) -> Location | None:
    """What reserves the path and query `url`: the longest pattern that matches decides, a reservation among equals."""
    path = canonical_path(url)
    found = [location for location in locations if matches(location.pattern, path)]
    best = max(found, key=lambda location: (len(location.pattern), location.reserved), default=None)
    return best if best is not None and best.reserved else None


def is_reserved(value: Any) -> bool:
    """Whether a `tdm-reservation` is 1, as a number, a text or a JSON true."""
    return value is True or str(value).strip() in ("1", "1.0")


def _written(item: dict[str, Any]) -> str:
    return json.dumps(item)[:500]
