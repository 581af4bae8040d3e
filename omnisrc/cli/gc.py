"""`omnisrc gc`: free landing shards after packing, and flow that nobody needs."""

from __future__ import annotations

from typing import Annotated

import typer

from omnisrc.cli.options import Json, Sets, Workspace, command
from omnisrc.data.flow_inventory import free_flow
from omnisrc.shards.freeing import free_landing

app = typer.Typer()


@app.command()
def gc(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be freed.")] = False,
    workspace: Workspace = None,
    json: Json = False,
    sets: Sets = None,
) -> None:
    """Remove landing shards whose samples are all judged and whose kept samples are packed, and flow of clips that are
    gone.

    Rows, predictions and curated shards stay. Another selection can then still be made from the predictions, but what
    it keeps anew cannot be packed without fetching it again. Refused while a filter is at work, or was left unfinished.
    """
    with command(workspace, json, sets) as running:
        shards = free_landing(running.study, dry_run=dry_run)
        total = sum(shard.bytes for shard in shards)
        verb = "would be freed" if dry_run else "freed"
        running.console.print(f"{len(shards)} landing shards {verb} ({total / 1e6:.1f} MB).")
        flow = free_flow(running.study, dry_run=dry_run)
        if flow:
            size = sum(flow.values()) / 1e6
            running.console.print(f"{len(flow)} files of flow, whose clips are gone, {verb} ({size:.1f} MB).")
        running.emit(
            shards=[shard.path for shard in shards], bytes=total, flow=sorted(flow), flow_bytes=sum(flow.values()),
            dry_run=dry_run,
        )  # fmt: skip
