"""Which landing shards may be freed: what they held is packed, judged, or was never wanted."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from db.models import Blob, Sample, Selection, SelectionMember, Shard


def freeable(session: Session) -> list[Shard]:
    """Landing shards of which the newest selection of every name is packed and judged each sample."""
    newest = select(func.max(Selection.id)).group_by(Selection.name)
    current = list(session.scalars(select(Selection).where(Selection.id.in_(newest))))
    if not current or not all(selection.packed for selection in current):
        return []
    ids = [selection.id for selection in current]
    judged = select(SelectionMember.sample_id).where(SelectionMember.selection_id.in_(ids))
    unjudged = (
        select(Blob.shard_id)
        .join(Sample, Sample.blob_id == Blob.id)
        .where(Sample.error.is_(None), Sample.id.not_in(judged))
    )
    segmented = select(Blob.shard_id).join(Sample, Sample.blob_id == Blob.id)
    rows = session.scalars(
        select(Shard)
        .where(
            Shard.kind == "landing",
            Shard.freed.is_(False),
            Shard.id.in_(segmented),
            Shard.id.not_in(unjudged),
        )
        .order_by(Shard.id)
    )
    return list(rows)


def mark_freed(session: Session, shard_ids: Sequence[int]) -> None:
    """Notes that the files of these shards were removed on purpose."""
    session.execute(update(Shard).where(Shard.id.in_(shard_ids)).values(freed=True))
