"""Caches of optical flow: shards of their own beside the study's, with the same keys.

The flow of the shard `target/NAME.tar` is in `flow/CACHE/target/NAME.tar` in the workspace, on this machine's disk
wherever the shard itself lies: for each of its samples `KEY.zip` (see `omnisrc.media.flow.pack_flow`; empty where the
video cannot be read) and `KEY.json`. A file that is used in place has a shard of one sample in `flow/CACHE/files/`.
`flow/CACHE/flow.json` says how all of it was made.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from omnisrc.errors import UserError, WorldError
from omnisrc.shards.store import name_of
from omnisrc.shards.write import sync_folder

FOLDER, FILES, FACTS = "flow", "files", "flow.json"
SCHEMA = 1
FIELD = "zip"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")


@dataclass(frozen=True)
class FlowFacts:
    """How the fields of one cache were made; `version` is that of the library, `weights_sha256` of a network's file."""

    method: str
    bound: float
    short_side: int
    format: str
    quality: int
    version: str
    weights_sha256: str = ""


@dataclass(frozen=True)
class FlowCache:
    """One cache of the workspace `root`."""

    root: Path
    name: str
    facts: FlowFacts

    @property
    def folder(self) -> Path:
        return self.root / FOLDER / self.name

    def shard_of(self, place: str) -> Path:
        """Where the flow of a shard is, by the shard's place, here or in an object store."""
        return self.folder.joinpath(*name_of(place).split("/")[-2:])

    def shard_of_file(self, path: str, start: float, end: float) -> Path:
        """Where the flow of a file that is used in place is, or of a window of it."""
        return self.folder / FILES / f"{file_key(path, start, end)}.tar"


def file_key(path: str, start: float = 0.0, end: float = 0.0) -> str:
    """A key for a file, or a window of it, by its absolute path."""
    slug = re.sub(r"[^a-z0-9]+", "-", Path(path).stem.lower()).strip("-")[:40] or "video"
    window = f"|{start:.3f}|{end:.3f}" if end > start else ""
    return f"{slug}-{hashlib.sha256(f'{path}{window}'.encode()).hexdigest()[:12]}"


def default_name(method: str, bound: float) -> str:
    """`dis-b20`."""
    return f"{method}-b{bound:g}"


def cache_names(root: Path) -> list[str]:
    """The caches of a workspace."""
    return sorted(path.parent.name for path in (root / FOLDER).glob(f"*/{FACTS}"))


def begin_cache(root: Path, name: str, facts: FlowFacts) -> FlowCache:
    """The cache of this name, made where there is none.

    Raises:
        UserError: it cannot be a folder's name, or what it holds was made in another way.
        WorldError: the disk fails.
    """
    if not NAME.fullmatch(name):
        raise UserError(f"{name!r} cannot name a cache of flow; use letters, digits and . _ - (at most 80).")
    path = root / FOLDER / name / FACTS
    if path.exists():
        there = asdict(read_cache(root, name).facts)
        for key, value in asdict(facts).items():
            if there[key] != value:
                raise UserError(
                    f"The cache {name} was made with another {key} ({there[key]!r}, now {value!r}); extract under"
                    f" another --cache NAME, or remove {path.parent} to make it again."
                )
    else:
        _write_facts(path, facts)
    return FlowCache(root, name, facts)


def _write_facts(path: Path, facts: FlowFacts) -> None:
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("w", encoding="utf-8") as file:
            json.dump({"schema": SCHEMA, **asdict(facts)}, file, indent=2)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise WorldError(f"{path} could not be written: {error.strerror or error}") from error


def read_cache(root: Path, name: str = "") -> FlowCache:
    """The cache of this name; without one, the only cache that there is.

    Raises:
        UserError: there is no such cache, none at all, several without a name, or its facts are damaged.
    """
    names = cache_names(root)
    if not names:
        raise UserError(f"There is no flow in {root}; extract it with `omnisrc flow`.")
    if not name and len(names) > 1:
        raise UserError(
            f"There are several caches of flow ({', '.join(names)}); name one with --set"
            " train.flow=NAME (or eval.flow)."
        )
    name = name or names[0]
    if name not in names:
        raise UserError(
            f"There is no cache of flow {name!r} (there are: {', '.join(names)}); extract it with"
            f" `omnisrc flow --cache {name}`, or name another with --set train.flow=NAME (or eval.flow)."
        )
    path = root / FOLDER / name / FACTS
    try:
        said: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        facts = FlowFacts(**{key: value for key, value in said.items() if key != "schema"})
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise UserError(f"The file {path} is damaged; remove {path.parent} and run `omnisrc flow` again.") from error
    return FlowCache(root, name, facts)


def remove_unclaimed(root: Path, places: Iterable[str]) -> None:
    """Removes from all caches the flow of shards that are none of `places`, finished or not. That of files that are
    used in place stays."""
    known = {"/".join(name_of(place).split("/")[-2:]).removesuffix(".tar") for place in places}
    for name in cache_names(root):
        folder = root / FOLDER / name
        for path in folder.glob("*/*"):
            kind = path.parent.name
            if kind == FILES or f"{kind}/{path.name.partition('.')[0]}" in known:
                continue
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
