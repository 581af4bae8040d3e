"""What of a study travels: what rows of the catalogue name, and the folders of models, runs and reports."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.models import PredictionSet, Shard
from db.session import Database
from omnisrc.errors import UserError, WorldError
from omnisrc.shards.attribution import files_of_shard
from omnisrc.study import Study

FOLDERS = ("models", "runs", "reports")
MAY_STAY = ("landing", *FOLDERS)
"""What a study can be carried without: it trains on curated and target shards."""


@dataclass(frozen=True)
class CarriedFile:
    """One file: its name in the workspace, its size in bytes."""

    name: str
    bytes: int


def parse_without(text: str | None) -> frozenset[str]:
    """`landing,runs` -> its words. Raises UserError."""
    words = frozenset(word.strip() for word in (text or "").split(",") if word.strip())
    if wrong := sorted(words - set(MAY_STAY)):
        raise UserError(f"--without {wrong[0]} cannot be; what may stay behind: {', '.join(MAY_STAY)}.")
    return words


def carried_files(study: Study, catalogue: Database, without: Collection[str]) -> list[CarriedFile]:
    """The files that the rows of `catalogue` name, and what lies in the folders. Raises WorldError: one is missing."""
    needed, beside = catalogue.read(_named)
    names = {name for name in needed if _size(study, name) is None}
    if names:
        raise WorldError(
            f"{len(names):,} files of the study are missing, such as {min(names)}; see `omnisrc doctor`, and export "
            "when they are back."
        )
    there = [name for name in beside if _size(study, name) is not None]
    folders = [name for folder in FOLDERS if folder not in without for name in _files(study.root, folder)]
    every = sorted({*needed, *there, *folders})
    return [CarriedFile(name, _size(study, name) or 0) for name in every]


def open_file(study: Study, name: str) -> IO[bytes]:
    """A file of the study by the name that its row has."""
    return (study.root / name).open("rb")


def _size(study: Study, name: str) -> int | None:
    """In bytes; None where it is not there."""
    path = study.root / name
    return path.stat().st_size if path.is_file() else None


def _named(session: Session) -> tuple[list[str], list[str]]:
    """Files that must be there, and those that may be: attributions of shards."""
    needed, beside = list(session.scalars(select(PredictionSet.path))), []
    for path in session.scalars(select(Shard.path).where(Shard.freed.is_(False))):
        tar, index, *others = (file.as_posix() for file in files_of_shard(Path(path)))
        needed += [tar, index]
        beside += others
    return needed, beside


def _files(root: Path, folder: str) -> Iterator[str]:
    for path in sorted((root / folder).rglob("*")):
        if path.is_file() and not path.name.endswith((".part", ".lock")):
            yield path.relative_to(root).as_posix()
