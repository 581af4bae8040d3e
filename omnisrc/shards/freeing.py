"""Landing shards that no selection needs any more are freed: their rows say so first, then the files go."""

from __future__ import annotations

from sqlalchemy.orm import Session

from db import storage
from db.ledger import OPEN
from db.models import Shard
from omnisrc.errors import UserError
from omnisrc.shards.store import sidecars, store_of
from omnisrc.shards.turns import busy_stages, changing_shards
from omnisrc.study import Study


def free_landing(study: Study, *, dry_run: bool = False) -> list[Shard]:
    """Frees the landing shards of which the newest selection of every name judged all and packed what it keeps.

    Killed between the two, the files without use are litter to `omnisrc doctor`.

    Raises:
        UserError: a filter is at work on the study, here or by workers elsewhere, or was stopped before its end.
    """
    if dry_run:
        return study.database().read(storage.freeable)
    with changing_shards(study):
        freed = study.database().write(_mark)
        store = store_of(study)
        store.delete(file for shard in freed for file in sidecars(shard.path, shard.kind))
    return freed


def _mark(session: Session) -> list[Shard]:
    if busy := busy_stages(session, OPEN):
        raise UserError(
            f"Jobs that read landing shards are waiting or at work ({', '.join(busy)}); let `omnisrc filter` finish"
            " them first."
        )
    freed = storage.freeable(session)
    storage.mark_freed(session, [shard.id for shard in freed])
    return freed
