"""The settings that travel with a study: without secrets, and with what they name elsewhere told."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omnisrc.crawl.providers.about import about_of
from omnisrc.crawl.providers.keys import key_variable
from omnisrc.crawl.providers.registry import PROVIDERS, provider_class

SECRET = re.compile(
    r"(^|\.)(key_file|credentials)$|^database\.|^engine\.broker$|^storage\.(shards|endpoint_url|region)$"
)
"""Settings that name a key or a login, or a server of the old place."""

LOGIN = re.compile(r"://[^/@\s]*:[^/@\s]*@")


@dataclass
class Carried:
    """`settings` as they travel; `dropped` are settings that do not, `elsewhere` paths outside the workspace."""

    settings: dict[str, Any]
    dropped: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)


def carried(settings: Mapping[str, Any], root: Path) -> Carried:
    """The settings of the workspace `root` without what must not or cannot travel."""
    found = Carried({})
    found.settings = _without(settings, "", found)
    for place, value in _texts(found.settings):
        path = Path(value).expanduser() if value.startswith(("/", "~")) else None
        if path is not None and path.is_absolute():
            inside = path.resolve().is_relative_to(root)
            found.elsewhere.append(f"{place}: {value}" + (" (in the old workspace)" if inside else ""))
    return found


def is_secret(override: str) -> bool:
    """Whether a `--set` holds what must not travel."""
    key, _, value = override.partition("=")
    return bool(SECRET.search(key.strip()) or LOGIN.search(value)) or any(
        word in value for word in ("key_file", "credentials", "s3://")
    )


def keys_to_set(providers: Sequence[str]) -> list[str]:
    """The environment variables that a crawl with these providers needs where the study arrives."""
    found = []
    for name in providers:
        if name in PROVIDERS and about_of(provider_class(name)).needs_key:
            found.append(key_variable(name))
    return found


def _without(value: Mapping[str, Any], place: str, found: Carried) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for name, inner in value.items():
        here = f"{place}.{name}" if place else str(name)
        if isinstance(inner, Mapping):
            if below := _without(inner, here, found):
                kept[name] = below
        elif inner not in ("", None) and (SECRET.search(here) or LOGIN.search(str(inner))):
            found.dropped.append(here)
        else:
            kept[name] = inner
    return kept


def _texts(value: Any, place: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _texts(inner, f"{place}.{name}" if place else str(name))
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner, place)
