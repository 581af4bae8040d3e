"""`omnisrc worker`: work off open jobs."""

from __future__ import annotations

from typing import Annotated

import typer

from omnisrc.cli.options import Json, Sets, Workspace, command
from omnisrc.config import near
from omnisrc.engine.registry import QUEUES, stages_of
from omnisrc.engine.run import run_stages
from omnisrc.errors import UserError

app = typer.Typer()


@app.command()
def worker(
    queues: Annotated[str, typer.Option("--queues", metavar="NAME[,NAME]", help="Of io, cpu, gpu.")] = "io,cpu,gpu",
    once: Annotated[bool, typer.Option("--once", help="End when there is no open job.")] = False,
    workspace: Workspace = None,
    json: Json = False,
    sets: Sets = None,
) -> None:
    """Work off open jobs of the study's ledger until stopped.

    A second machine that sees the same database and the same workspace helps by running this.
    """
    names = [name.strip() for name in queues.split(",") if name.strip()]
    for name in names:
        if name not in QUEUES:
            raise UserError(f"There is no queue {name!r}.{near(name, QUEUES)}")
    with command(workspace, json, sets) as running:
        running.console.print(f"Working on {', '.join(names)}; Ctrl-C stops.")
        summary = run_stages(running.study, stages_of(names), forever=not once)
        running.emit(seconds=round(summary.seconds, 1), failed=[vars(job) for job in summary.failed])
