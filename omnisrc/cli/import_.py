"""`omnisrc import`: a study from the file that it was exported to."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from omnisrc.carry.arrive import import_workspace
from omnisrc.cli.carry_view import byte_bar, show_notes
from omnisrc.cli.options import Json, command

app = typer.Typer(no_args_is_help=True, help="A study from the file that it was exported to.")


@app.callback()
def _main() -> None:
    """Keeps `omnisrc import WHAT` a group."""


@app.command()
def workspace(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `omnisrc export workspace` wrote.")],
    into: Annotated[
        Path | None,
        typer.Option(
            "--into",
            metavar="FOLDER",
            help="The new workspace.  \\[default: $OMNISRC_HOME or ./omnisrc-data]",
            show_default=False,
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Make a workspace from an export, and check every file of it; all or nothing."""
    with command(into, json, None, database="none") as running:
        root = running.study.root
        with byte_bar(running.console, "imported") as progress:
            header = import_workspace(file.expanduser(), root, progress)
        running.emit(workspace=str(root), files=header.files, bytes=header.bytes, said=header.said)
        running.console.print(f"{header.files:,} files ({header.bytes / 1e6:,.1f} MB) are in {root}, each as exported.")
        show_notes(running.console, header.said)
        if os.environ.get("OMNISRC_DATABASE_URL"):
            running.console.print(
                "Its catalogue is catalog.db there: unset OMNISRC_DATABASE_URL, or move it with `omnisrc db copy`."
            )
