"""`omnisrc db`: the study's database."""

from __future__ import annotations

import typer

from db import schema
from omnisrc import resources
from omnisrc.cli.options import Json, Sets, Workspace, command

app = typer.Typer(no_args_is_help=True, help="The study's database: upgrade, check.")


@app.command()
def upgrade(workspace: Workspace = None, json: Json = False, sets: Sets = None) -> None:
    """Bring the tables to this program's version; makes them where there are none."""
    with command(workspace, json, sets, database="none") as running:
        running.study.prepare()
        database = running.study.database()
        before = schema.check(database)
        schema.upgrade(database, resources.migrations())
        said = "was current" if before == "current" else f"was {before} and is current now"
        running.console.print(f"The database {said} (version {schema.VERSION}).")
        running.emit(before=before, version=schema.VERSION)


@app.command()
def check(workspace: Workspace = None, json: Json = False, sets: Sets = None) -> None:
    """Say whether the tables fit this program."""
    with command(workspace, json, sets) as running:
        running.console.print(f"The database fits this program (version {schema.VERSION}).")
        running.emit(state="current", version=schema.VERSION)
