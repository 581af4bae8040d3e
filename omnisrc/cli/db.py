"""`omnisrc db`: the study's database."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from sqlalchemy.engine import make_url

from db import ledger, schema
from db.copy import CopyError, copy_database, shown
from db.session import Database
from omnisrc import resources
from omnisrc.cli.options import Json, Sets, Workspace, command
from omnisrc.engine.owner import is_dead
from omnisrc.errors import UserError
from omnisrc.study import SETTINGS_FILE

app = typer.Typer(no_args_is_help=True, help="The study's database: upgrade, check, copy.")


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


@app.command()
def copy(
    to_url: Annotated[
        str, typer.Argument(metavar="TO_URL", help="An empty database: postgresql://USER@HOST/NAME or sqlite:///FILE.")
    ],
    from_url: Annotated[
        str | None,
        typer.Option("--from", metavar="URL", help="The database to copy.", show_default="the study's own"),
    ] = None,
    workspace: Workspace = None,
    json: Json = False,
    sets: Sets = None,
) -> None:
    """Copy the whole database to another one, all or nothing: from SQLite to PostgreSQL, or back.

    Rows and checksums of both sides are compared before anything is kept.
    """
    with command(workspace, json, sets, database="existing" if from_url is None else "none") as running:
        source = running.study.database() if from_url is None else _existing(from_url)
        destination = Database(to_url)
        ledger.reap(source, is_dead)
        with Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
            console=running.console, disable=not running.console.is_terminal,
        ) as progress:  # fmt: skip
            bars: dict[str, TaskID] = {}

            def show(name: str, done: int, total: int) -> None:
                if name not in bars:
                    bars[name] = progress.add_task(name, total=total)
                progress.update(bars[name], completed=done)

            try:
                copied = copy_database(source, destination, resources.migrations(), show)
            except CopyError as error:
                raise UserError(str(error)) from error
        rows, place = sum(table.rows for table in copied), shown(destination)
        running.emit(tables={table.name: {"rows": table.rows, "sha256": table.digest} for table in copied}, to=place)
        running.console.print(
            f"{rows:,} rows of {len(copied)} tables were copied to {place}; their checksums agree. Now set "
            f"`database: {{url: {place}}}` (with its password, if it has one) in {running.study.root / SETTINGS_FILE}, "
            "or OMNISRC_DATABASE_URL; the old database stays as it is.",
            soft_wrap=True,
            markup=False,
        )


def _existing(url: str) -> Database:
    """The database of a URL; a SQLite file that is not there is not made."""
    file = make_url(url).database if url.startswith("sqlite:") else None
    if file and not Path(file).exists():
        raise UserError(f"There is no database {url}; name one that is there with --from.")
    return Database(url)
