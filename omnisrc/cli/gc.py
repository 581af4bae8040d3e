"""`omnisrc gc`: free landing shards after packing."""

from __future__ import annotations

from typing import Annotated

import typer

from db import storage
from omnisrc.cli.options import Json, Sets, Workspace, command

app = typer.Typer()


@app.command()
def gc(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be freed.")] = False,
    workspace: Workspace = None,
    json: Json = False,
    sets: Sets = None,
) -> None:
    """Remove landing shards whose samples are all judged and whose kept samples are packed.

    Rows, predictions and curated shards stay. Another selection can then still be made from the predictions, but what
    it keeps anew cannot be packed without fetching it again.
    """
    with command(workspace, json, sets) as running:
        study = running.study
        shards = study.database().read(storage.freeable)
        total = sum(shard.bytes for shard in shards)
        if not dry_run:
            study.database().write(lambda session: storage.mark_freed(session, [shard.id for shard in shards]))
            for shard in shards:
                path = study.root / shard.path
                path.unlink(missing_ok=True)
                path.with_suffix(".idx").unlink(missing_ok=True)
        verb = "would be freed" if dry_run else "freed"
        running.console.print(f"{len(shards)} landing shards {verb} ({total / 1e6:.1f} MB).")
        running.emit(shards=[shard.path for shard in shards], bytes=total, dry_run=dry_run)
