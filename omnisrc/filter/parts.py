"""Which kept samples fill which curated shard: settled once, when the selection is made."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from db import ledger
from db.models import Blob, Sample, Selection, SelectionMember
from omnisrc.data.target import SPREAD, even_parts
from omnisrc.filter.settings import FilterSettings

STAGE = "pack"


def enqueue_packing(
    session: Session, selection: Selection, settings: FilterSettings, overrides: Sequence[str] = ()
) -> int:
    """Adds one job for each curated shard of a selection; how many. Nothing kept: the selection is packed."""
    jobs = 0
    for kind, most in (("image", settings.images_per_shard), ("clip", settings.clips_per_shard)):
        for number, part in enumerate(_parts(session, selection.id, kind, most, settings.shard_mb << 20)):
            params = {"selection": selection.id, "kind": kind, "part": number, "members": part}
            ledger.enqueue(session, STAGE, f"selection {selection.id} {kind}s {number}", params, overrides=overrides)
            jobs += 1
    if not jobs:
        selection.packed = True
    return jobs


def _parts(session: Session, selection_id: int, kind: str, most: int, most_bytes: int) -> list[list[int]]:
    """Ids of the kept members of each shard; the shards are about equally full."""
    rows = session.execute(
        select(SelectionMember.id, Blob.length, Blob.duration, Sample.start, Sample.end)
        .join(Sample, Sample.id == SelectionMember.sample_id)
        .join(Blob, Blob.id == Sample.blob_id)
        .where(SelectionMember.selection_id == selection_id, SelectionMember.reason.is_(None), Sample.kind == kind)
        .order_by(SelectionMember.id)
    ).all()
    if not rows:
        return []
    ids = np.array([row.id for row in rows], np.int64)
    share = [min(1.0, (row.end - row.start) / row.duration) if row.duration and row.end else 1.0 for row in rows]
    size = sum(row.length * part for row, part in zip(rows, share, strict=True))
    mixed = ids[np.argsort(np.arange(len(ids), dtype=np.uint64) * SPREAD % (1 << 32), kind="stable")]
    fitting = min(most, max(1, math.floor(len(ids) * most_bytes / max(1, size))))
    return [sorted(part) for part in even_parts(mixed.tolist(), fitting)]
