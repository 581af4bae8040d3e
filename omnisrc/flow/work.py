"""What there is to extract: each piece of work becomes one shard of flow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.models import Shard, TargetItem
from omnisrc.data.flow_cache import FlowCache
from omnisrc.data.importers.places import VIDEO_SUFFIXES, media_files
from omnisrc.data.manifest import SPLITS
from omnisrc.errors import UserError
from omnisrc.study import Study


@dataclass(frozen=True)
class Piece:
    """A shard at `place`, or (where `file` is true) a file there, used in place, or its part from `start` to `end` in
    seconds. `out` is the shard of flow; `count` how many clips it is expected to hold."""

    place: str
    out: Path
    count: int = 1
    file: bool = False
    start: float = 0.0
    end: float = 0.0


def target_pieces(study: Study, cache: FlowCache, splits: Sequence[str]) -> list[Piece]:
    """The clips of the target's splits.

    Raises:
        UserError: there are none.
    """

    def read(session: Session) -> list[Piece]:
        rows = session.execute(
            select(TargetItem.path, TargetItem.start, TargetItem.end, Shard.path, Shard.count)
            .outerjoin(Shard, Shard.id == TargetItem.shard_id)
            .where(TargetItem.state == "stored", TargetItem.medium == "video", TargetItem.split.in_(splits))
            .order_by(TargetItem.id)
        )
        pieces: dict[Path, Piece] = {}
        for path, start, end, shard, count in rows:
            piece = shard_piece(cache, shard, count) if shard else file_piece(cache, path, start, end)
            pieces.setdefault(piece.out, piece)
        return list(pieces.values())

    pieces = study.database().read(read)
    if not pieces:
        there = study.database().read(
            lambda session: set(session.scalars(select(TargetItem.split).where(TargetItem.state == "stored")))
        )
        named = ", ".join(split for split in SPLITS if split in there) or "none"
        raise UserError(
            f"The target has no clips in {' or '.join(splits)} (its splits: {named}); add some with"
            " `omnisrc target add`, or name another with --split."
        )
    return pieces


def web_pieces(study: Study, cache: FlowCache) -> list[Piece]:
    """The clips in the study's curated shards.

    Raises:
        UserError: there are none.
    """
    query = (
        select(Shard).where(Shard.kind == "curated", Shard.medium == "video", Shard.freed.is_(False)).order_by(Shard.id)
    )
    shards = study.database().read(lambda session: list(session.scalars(query)))
    if not shards:
        raise UserError("There are no curated clips in the study; make some with `omnisrc filter --teacher NAME`.")
    return [shard_piece(cache, shard.path, shard.count) for shard in shards]


def file_pieces(cache: FlowCache, path: Path) -> list[Piece]:
    """A file, or all videos in a folder, by their suffixes.

    Raises:
        UserError: there is no such file, or no video in the folder.
    """
    if not path.exists():
        raise UserError(f"There is no file or folder {path}; name a video, or leave it out to take the target.")
    path = path.resolve()
    files = [path] if path.is_file() else [file for file in media_files(path) if file.suffix.lower() in VIDEO_SUFFIXES]
    if not files:
        raise UserError(f"There is no video in {path}; they end in one of {', '.join(sorted(VIDEO_SUFFIXES))}.")
    return [file_piece(cache, str(file)) for file in files]


def shard_piece(cache: FlowCache, place: str, count: int) -> Piece:
    return Piece(place, cache.shard_of(place), count)


def file_piece(cache: FlowCache, path: str, start: float = 0.0, end: float = 0.0) -> Piece:
    return Piece(path, cache.shard_of_file(path, start, end), 1, True, start, end)
