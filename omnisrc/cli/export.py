"""`omnisrc export`: rows of the catalogue as JSON lines."""

from __future__ import annotations

import json as text
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer

from db import catalogue
from omnisrc.cli.options import Json, Sets, Workspace, command
from omnisrc.errors import UserError

app = typer.Typer(no_args_is_help=True, help="Rows of the catalogue as JSON lines, one object a line.")

Output = Annotated[
    Path | None, typer.Option("--output", "-o", metavar="FILE", help="A file instead of stdout.", show_default=False)
]


@app.command()
def assets(output: Output = None, workspace: Workspace = None, json: Json = False, sets: Sets = None) -> None:
    """Every media URL that was found, and what became of it."""
    with command(workspace, json, sets) as running:
        running.answer = _write(catalogue.assets(running.study.database()), output, json)


@app.command()
def samples(output: Output = None, workspace: Workspace = None, json: Json = False, sets: Sets = None) -> None:
    """Every image and clip that can be trained on."""
    with command(workspace, json, sets) as running:
        running.answer = _write(catalogue.samples(running.study.database()), output, json)


@app.command()
def predictions(output: Output = None, workspace: Workspace = None, json: Json = False, sets: Sets = None) -> None:
    """What each teacher said of each sample."""
    with command(workspace, json, sets) as running:
        running.answer = _write(catalogue.predictions(running.study.database()), output, json)


@app.command()
def selection(
    name: Annotated[
        str | None, typer.Option("--name", help="A selection.  [default: the newest]", show_default=False)
    ] = None,
    output: Output = None,
    workspace: Workspace = None,
    json: Json = False,
    sets: Sets = None,
) -> None:
    """Every sample that a selection kept or dropped, with the reason."""
    with command(workspace, json, sets) as running:
        database = running.study.database()
        found = database.read(lambda session: catalogue.latest_selection(session, name))
        if found is None:
            raise UserError("There is no such selection; make one with `omnisrc filter --teacher NAME`.")
        running.answer = _write(catalogue.selection(database, found.id), output, json)


def _write(rows: Iterator[dict[str, Any]], output: Path | None, as_json: bool) -> dict[str, Any]:
    """Writes the rows; with --json and no --output they are one object with a list, as --json promises one object."""
    if as_json and output is None:
        return {"rows": list(rows)}
    count = 0
    with _opened(output) as file:
        for row in rows:
            file.write(text.dumps(row, ensure_ascii=False) + "\n")
            count += 1
    return {"rows": count, "file": str(output)}


@contextmanager
def _opened(output: Path | None) -> Iterator[TextIO]:
    """Stdout, or a file that appears under its name only when it is whole."""
    if output is None:
        yield sys.stdout
        sys.stdout.flush()
        return
    part = output.with_name(f"{output.name}.{os.getpid()}.part")
    try:
        with part.open("w", encoding="utf-8") as file:
            yield file
        part.replace(output)
    finally:
        part.unlink(missing_ok=True)
