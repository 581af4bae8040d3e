"""`omnisrc shards`: where the shards lie, and to move them."""

from __future__ import annotations

from collections import defaultdict
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from sqlalchemy import select

from db.models import Shard
from omnisrc.cli.options import Json, Sets, Workspace, command
from omnisrc.config import near
from omnisrc.errors import UserError, WorldError
from omnisrc.shards.inventory import KINDS
from omnisrc.shards.moving import HERE, move_shards
from omnisrc.shards.settings import StorageSettings
from omnisrc.shards.store import is_remote

app = typer.Typer(no_args_is_help=True, help="Where the shards lie: list them, move them to or from an object store.")

Kind = Annotated[
    list[str] | None,
    typer.Option("--kind", metavar="KIND", help=f"{', '.join(KINDS)}; repeatable.", show_default="all of them"),
]


@app.command("list")
def list_(kind: Kind = None, workspace: Workspace = None, json: Json = False, sets: Sets = None) -> None:
    """Shards by kind and place; with --json each of them."""
    kinds = _kinds(kind)
    with command(workspace, json, sets) as running:
        query = select(Shard).where(Shard.kind.in_(kinds), Shard.freed.is_(False)).order_by(Shard.id)
        rows = running.study.database().read(lambda session: list(session.scalars(query)))
        running.emit(
            shards=[{"kind": row.kind, "medium": row.medium, "path": row.path, "samples": row.count,
                     "bytes": row.bytes, "sha256": row.sha256} for row in rows]
        )  # fmt: skip
        sums: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0, 0])
        for row in rows:
            folder = row.path.rpartition("/")[0] if is_remote(row.path) else HERE
            total = sums[row.kind, folder]
            sums[row.kind, folder] = [total[0] + 1, total[1] + row.count, total[2] + row.bytes]
        table = Table("kind", "place", "shards", "samples", "MB", box=None, pad_edge=False)
        for (name, folder), (shards, samples, size) in sorted(sums.items()):
            table.add_row(name, folder, f"{shards:,}", f"{samples:,}", f"{size / 1e6:,.1f}")
        running.console.print(table)


@app.command()
def move(
    destination: Annotated[
        str, typer.Argument(metavar="DESTINATION", help=f"s3://BUCKET/FOLDER, or `{HERE}`: the workspace.")
    ],
    kind: Kind = None,
    workspace: Workspace = None,
    json: Json = False,
    sets: Sets = None,
) -> None:
    """Move shards to an object store, from one to another, or back.

    Each is compared by SHA-256 before its old file goes. Can be stopped at any time: the same command goes on where it
    was. New shards go where storage.shards says.
    """
    kinds = _kinds(kind)
    with command(workspace, json, sets) as running:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=running.console, transient=True) as progress:
            task = progress.add_task("moving", total=None)
            moved = move_shards(
                running.study,
                destination,
                kinds,
                lambda done, count: progress.update(task, completed=done, total=count),
            )
        running.emit(moved=moved.files, bytes=moved.bytes, there=moved.there, damaged=moved.damaged)
        running.console.print(
            f"{moved.files} shards and prediction sets moved ({moved.bytes / 1e6:.1f} MB), {moved.there} were there."
        )
        where = running.study.section(StorageSettings).shards or HERE
        if where != destination.rstrip("/"):
            running.console.print(f"New shards go to {where}: that is what storage.shards says.", soft_wrap=True)
        for line in moved.damaged:
            running.console.print(f"[red]damaged, left where it is[/] {line}", soft_wrap=True)
    if moved.damaged:
        raise WorldError(f"{len(moved.damaged)} damaged shards were not moved; see `omnisrc doctor --deep`.")


def _kinds(given: list[str] | None) -> list[str]:
    for kind in given or []:
        if kind not in KINDS:
            raise UserError(f"--kind {kind} names no shards.{near(kind, KINDS)}")
    return given or list(KINDS)
