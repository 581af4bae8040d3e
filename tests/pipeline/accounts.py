"""The books of a crawl: every asset accounted for exactly once, every shard verified, nothing held or left about."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.models import Asset, Blob, HostSlot, Job, Shard
from omnisrc.errors import ErrorClass
from omnisrc.shards.inventory import take_inventory
from omnisrc.shards.read import read_bytes, read_index
from omnisrc.study import Study

JOB_ERRORS = {*ErrorClass, "user", "world", "bug"}
STORED = ("stored", "duplicate")


def balance(workspace: Path, expected: Mapping[str, str], sets: Sequence[str] = ()) -> dict[str, int]:
    """Checks the books of a crawl that is over; how many strikes, losses and lost jobs it took.

    Args:
        expected: URL -> SHA-256 of the bytes served there, or the error class that it ends in.
        sets: settings that name the study's database, where it is not in the workspace.
    """
    study = Study.open(workspace, sets)
    try:
        assets, blobs, shards, jobs, slots = study.database().read(_rows)
        _every_url_has_its_end(assets, expected)
        _equal_bytes_are_stored_once(assets, blobs, {end for end in expected.values() if end not in set(ErrorClass)})
        _every_blob_is_one_member(study, blobs, shards)
        held = [asset.url for asset in assets if asset.lease_token] + [slot.host for slot in slots if slot.token]
        assert held + [job.subject for job in jobs if job.lease_token] == [], "something is held by nobody"
        assert {job.state for job in jobs} <= {"done", "failed"}
        assert all(job.error in JOB_ERRORS for job in jobs if job.state == "failed")
        found = take_inventory(study, deep=True)
        assert (found.litter, found.damage) == ({}, []), found
    finally:
        study.database().dispose()
    return {
        "strikes": sum(asset.strikes for asset in assets),
        "losses": sum(asset.losses for asset in assets),
        "jobs lost": sum(job.losses for job in jobs),
    }


def _rows(session: Session) -> tuple[list[Any], ...]:
    return tuple(list(session.scalars(select(table))) for table in (Asset, Blob, Shard, Job, HostSlot))


def _every_url_has_its_end(assets: Sequence[Asset], expected: Mapping[str, str]) -> None:
    ends = Counter({asset.url: 0 for asset in assets})
    ends.update(asset.url for asset in assets)
    assert ends == Counter(expected.keys()), "a URL is missing, or there twice"
    kinds = {ErrorClass(end): "refused or failed" for end in expected.values() if end in set(ErrorClass)}
    wrong = []
    for asset in assets:
        end = expected[asset.url]
        right = asset.state in ("refused", "failed") and asset.error == end if end in kinds else asset.state in STORED
        if not right:
            wrong.append((asset.url, asset.state, asset.error, asset.error_detail, asset.attempts, end))
    assert wrong == [], wrong[:10]


def _equal_bytes_are_stored_once(assets: Sequence[Asset], blobs: Sequence[Blob], served: set[str]) -> None:
    stored = Counter(asset.blob_id for asset in assets if asset.state == "stored")
    assert set(stored) == {blob.id for blob in blobs}, "a stored asset without its blob, or a blob of nobody"
    assert set(stored.values()) <= {1}
    assert {asset.blob_id for asset in assets if asset.state == "duplicate"} <= set(stored)
    assert all(asset.blob_id is None for asset in assets if asset.state not in STORED)
    assert Counter(blob.sha256 for blob in blobs) == Counter(served), "not the bytes that were served, each once"


def _every_blob_is_one_member(study: Study, blobs: Sequence[Blob], shards: Sequence[Shard]) -> None:
    path_of = {shard.id: study.root / shard.path for shard in shards if shard.kind == "landing"}
    members = Counter(
        (shard_id, m.key, m.offset, m.length) for shard_id in path_of for m in read_index(path_of[shard_id])
    )
    assert members == Counter((blob.shard_id, blob.key, blob.offset, blob.length) for blob in blobs)
    for blob in blobs:
        data = read_bytes(path_of[blob.shard_id], blob.offset, blob.length)
        assert hashlib.sha256(data).hexdigest() == blob.stored_sha256
