"""The end of a drain, or of a part: shards get their names, one transaction records them, blobs, assets, decisions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from db.ledger import now
from db.lookup import rows_among
from db.models import Asset, Blob, Decision, Host, Shard
from omnisrc.crawl import equal_bytes
from omnisrc.crawl.landing import FIELDS, Landed
from omnisrc.crawl.outcome import Outcome, decision_row, error_row, stored_row
from omnisrc.crawl.parts import Part
from omnisrc.crawl.site_store import HostTableStore
from omnisrc.engine.stage import Job
from omnisrc.shards.read import read_bytes
from omnisrc.shards.store import drop_unrecorded, store_of
from omnisrc.shards.write import ShardFile, ShardWriter, index_path

TRIES = 5


class _Stored(Exception):
    """Bytes of this drain are in the catalogue already, or must never be again: by SHA-256."""

    def __init__(self, digests: set[str]) -> None:
        super().__init__(f"{len(digests)} blobs")
        self.digests = digests


def publish(job: Job, part: Part, site_files: HostTableStore, *, last: bool = True) -> None:
    """Closes a part's shards and commits all that the drain found out; the job is done with the `last` part.

    Equal bytes that another worker stored meanwhile are taken out of the shards again, before the shards are known to
    anybody. Raises LeaseLost, ItemError(STORAGE); no file of ours is left behind then.
    """
    files: dict[str, ShardFile] = {}
    landed = dict(part.landed)
    store = store_of(job.study)
    try:
        for medium, writer in part.writers.items():
            if writer.count:
                files[medium] = writer.close()
        for attempt in range(TRIES):
            try:
                store.put(_paths(files.values()))
                _commit(job, replace(part, landed=landed), files, site_files, last)
                site_files.settle()
                store.settle(_paths(files.values()))
                return
            except _Stored as stored:
                files, landed = _without(job, files, landed, stored.digests, f"-{attempt + 1}")
            except IntegrityError:
                if attempt == TRIES - 1:
                    raise
    except BaseException:
        part.abort()
        drop_unrecorded(job.study, _paths(files.values()))
        raise


def _commit(job: Job, part: Part, files: Mapping[str, ShardFile], site_files: HostTableStore, last: bool) -> None:
    def write(session: Session) -> None:
        _record(session, job, files, part.landed, part.outcomes, site_files)

    if last:
        job.commit(write, part.told)
    else:
        job.record(write, part.number, part.told)


def _record(
    session: Session,
    job: Job,
    files: Mapping[str, ShardFile],
    landed: Mapping[str, Landed],
    outcomes: Sequence[Outcome],
    site_files: HostTableStore,
) -> None:
    moment = now(session)
    digests = [outcome.sha256 for outcome in outcomes if outcome.sha256 is not None]
    known = _blob_ids(session, digests)
    clash = known.keys() & landed.keys()
    if clash:
        raise _Stored(clash)
    opted_out = equal_bytes.bury(session, outcomes, moment)
    gone = equal_bytes.buried(session, outcomes)
    if gone.keys() & landed.keys():
        raise _Stored(set(gone))
    ids = {**known, **_add_shards(session, job, files, landed, moment)}
    judged = [equal_bytes.judged(outcome, gone) for outcome in outcomes]
    rows = [_row(outcome, landed, ids, moment) for outcome in judged]
    if rows:
        session.execute(update(Asset), rows)
    decisions = [row for outcome in judged if (row := decision_row(outcome, moment)) is not None]
    if decisions:
        session.execute(insert(Decision), decisions)
    equal_bytes.refuse_known(session, [*opted_out, *gone.values()], moment)
    _forgive_hosts(session, outcomes)
    site_files.write(session)


def _row(outcome: Outcome, landed: Mapping[str, Landed], ids: Mapping[str, int], moment: float) -> dict[str, Any]:
    digest = outcome.sha256
    if digest is None or outcome.error is not None:
        return error_row(outcome, moment)
    ours = digest in landed and landed[digest].key == outcome.key
    return stored_row(outcome, "stored" if ours else "duplicate", ids[digest], moment)


def _blob_ids(session: Session, digests: Sequence[str]) -> dict[str, int]:
    rows = rows_among(session, select(Blob.sha256, Blob.id), Blob.sha256, digests)
    return {digest: blob_id for digest, blob_id in rows}


def _add_shards(
    session: Session, job: Job, files: Mapping[str, ShardFile], landed: Mapping[str, Landed], moment: float
) -> dict[str, int]:
    """Rows of the shards and of their blobs; the blobs' ids by SHA-256."""
    shards = {
        medium: Shard(
            kind="landing",
            medium=medium,
            path=store_of(job.study).place_of(file.path),
            count=file.count,
            bytes=file.bytes,
            sha256=file.sha256,
            freed=False,
            created=moment,
        )
        for medium, file in files.items()
    }
    session.add_all(shards.values())
    session.flush()
    rows = [_blob(item, shards[item.medium].id) for item in landed.values()]
    if not rows:
        return {}
    return {digest: blob_id for digest, blob_id in session.execute(insert(Blob).returning(Blob.sha256, Blob.id), rows)}


def _blob(item: Landed, shard_id: int) -> dict[str, Any]:
    return {
        "sha256": item.sha256,
        "sha1": item.sha1,
        "fetched_bytes": item.fetched_bytes,
        "medium": item.medium,
        "mime": item.mime,
        "shard_id": shard_id,
        "key": item.key,
        "offset": item.offset,
        "length": item.length,
        "stored_sha256": item.stored_sha256,
        "width": item.width,
        "height": item.height,
        "duration": item.duration,
        "fps": item.fps,
        "frames": item.frames,
        "phash": item.phash,
        "phash_quality": item.phash_quality,
    }


def _forgive_hosts(session: Session, outcomes: Sequence[Outcome]) -> None:
    """A host that gave something has ended its streak of 429."""
    sites = {outcome.asset.host for outcome in outcomes if outcome.sha256 is not None}
    if sites:
        session.execute(update(Host).where(Host.name.in_(sites), Host.streak_429 > 0).values(streak_429=0))


def _without(
    job: Job, files: Mapping[str, ShardFile], landed: Mapping[str, Landed], digests: set[str], suffix: str
) -> tuple[dict[str, ShardFile], dict[str, Landed]]:
    """The shards and their contents without some bytes: written anew, the old ones deleted."""
    kept = {digest: item for digest, item in landed.items() if digest not in digests}
    dropped = {item.medium for digest, item in landed.items() if digest in digests}
    made = {medium: file for medium, file in files.items() if medium not in dropped}
    for medium in dropped:
        old = files[medium]
        items = [item for item in kept.values() if item.medium == medium]
        if items:
            with ShardWriter(old.path.parent, old.name + suffix) as writer:
                for item in items:
                    data = read_bytes(old.path, item.offset, item.length)
                    (member,) = writer.write(item.key, {FIELDS[medium]: data})
                    kept[item.sha256] = replace(item, offset=member.offset)
                made[medium] = writer.close()
        store_of(job.study).drop(_paths([old]))
    return made, kept


def _paths(files: Iterable[ShardFile]) -> list[Path]:
    """Shards and their indices."""
    return [path for file in files for path in (file.path, index_path(file.path))]
