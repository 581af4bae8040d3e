"""Files against rows: a file without a row is litter, a row without its file is damage."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.models import Job, PredictionSet, Shard
from omnisrc.shards.attribution import files_of_shard
from omnisrc.shards.verify import verify_shard
from omnisrc.study import Study

KINDS = ("landing", "curated", "target")
JOB_FOLDERS = "fetch-*"  # what a fetch job makes for downloads by other programs


@dataclass
class Inventory:
    """What was found: litter (files, and the folders of dead jobs) may be removed; damage is for a person to judge."""

    shards: int = 0
    bytes: int = 0
    litter: list[Path] = field(default_factory=list)
    damage: list[str] = field(default_factory=list)


def take_inventory(study: Study, *, deep: bool = False) -> Inventory:
    """Compares the shard folders with the catalogue. `deep` reads every shard and checks hash, index and count."""
    files = [path for kind in KINDS for path in _files(study.root / kind)]  # before the rows: no new file is litter
    shards, sets, tokens = study.database().read(_rows)
    found = Inventory()
    known: set[Path] = set()
    for shard in shards:
        path = study.root / shard.path
        known |= set(files_of_shard(path))
        if shard.freed:
            continue
        found.shards += 1
        found.bytes += shard.bytes
        found.damage += [f"{shard.path}: {problem}" for problem in _problems(path, shard, deep)]
    for prediction_set in sets:
        path = study.root / prediction_set.path
        known.add(path)
        if not path.exists():
            found.damage.append(f"{prediction_set.path}: the file of a prediction set is missing")
    left = [path for path in files if path not in known and not _in_work(path, tokens)]
    found.litter = sorted(path for path in left if path.exists())  # a job that has ended since took its own away
    return found


def remove_litter(inventory: Inventory) -> int:
    """Removes files that no row names, and the folders of dead jobs; the bytes that this freed."""
    freed = 0
    for path in sorted(inventory.litter, reverse=True):  # what lies in a folder goes before it
        if path.is_dir():
            with suppress(OSError):  # somebody has put something into it
                path.rmdir()
        else:
            freed += path.stat().st_size if path.exists() else 0
            path.unlink(missing_ok=True)
    return freed


def _rows(session: Session) -> tuple[list[Shard], list[PredictionSet], set[str]]:
    tokens = session.scalars(select(Job.lease_token).where(Job.lease_token.is_not(None)))
    return (
        list(session.scalars(select(Shard).order_by(Shard.id))),
        list(session.scalars(select(PredictionSet))),
        {token for token in tokens if token},
    )


def _files(folder: Path) -> list[Path]:
    """Files, and the folders that bear a job's token: another one that is empty may be about to be used."""
    found = folder.rglob("*") if folder.exists() else []
    return [path for path in found if path.is_file() or (path.is_dir() and path.match(JOB_FOLDERS))]


def _in_work(path: Path, tokens: set[str]) -> bool:
    """Whether a running job is writing it: its name, or that of its folder, holds that job's token."""
    return any(token in part for token in tokens for part in path.parts[-3:])


def _problems(path: Path, shard: Shard, deep: bool) -> list[str]:
    if not path.exists():
        return ["the file of a shard is missing"]
    if deep:
        return verify_shard(path, count=shard.count, bytes=shard.bytes, sha256=shard.sha256)
    size = path.stat().st_size
    return [] if size == shard.bytes else [f"it has {size} bytes, {shard.bytes} were written"]
