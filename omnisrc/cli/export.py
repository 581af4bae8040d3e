"""`omnisrc export`: rows of the catalogue as JSON lines; the whole study in one file."""

from __future__ import annotations

import json as text
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer
from sqlalchemy import select
from sqlalchemy.orm import Session

from db import catalogue
from db.models import Selection
from omnisrc.carry.contents import parse_without
from omnisrc.cli.carry_view import byte_bar, show_notes
from omnisrc.cli.options import Json, Sets, Workspace, command
from omnisrc.config import near
from omnisrc.data.credits import credits_of
from omnisrc.data.manifest import read_manifest
from omnisrc.errors import UserError
from omnisrc.shards.attribution import json_text, list_text
from omnisrc.study import Study
from omnisrc.train.run_folder import RunFolder

app = typer.Typer(no_args_is_help=True, help="Rows of the catalogue as JSON lines, or the whole study as one file.")

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


@app.command()
def attribution(
    selection: Annotated[
        str | None, typer.Option("--selection", help="A selection.  [default: the newest]", show_default=False)
    ] = None,
    run: Annotated[str | None, typer.Option("--run", help="What a run was trained on.", show_default=False)] = None,
    output: Output = None,
    workspace: Workspace = None,
    json: Json = False,
    sets: Sets = None,
) -> None:
    """Title, author, licence and page of each work that a selection keeps or a run was trained on.

    With an --output that ends in .txt, a list to read.
    """
    if selection is not None and run is not None:
        raise UserError("Give --selection or --run, not both.")
    with command(workspace, json, sets) as running:
        study = running.study
        rows = _credits_of_run(study, run) if run is not None else _credits_of_selection(study, selection)
        as_text = output is not None and output.suffix == ".txt"
        running.answer = _write(iter(rows), output, json, list_text if as_text else json_text)


def _credits_of_selection(study: Study, name: str | None) -> list[dict[str, Any]]:
    def read(session: Session) -> list[dict[str, Any]]:
        found = catalogue.latest_selection(session, name)
        if found is None:
            names = list(session.scalars(select(Selection.name).distinct()))
            hint = near(name, names) if name else " Make one with `omnisrc filter --teacher NAME`."
            raise UserError(f"There is no selection{f' {name!r}' if name else ''}.{hint}")
        return credits_of(session, catalogue.kept_samples(session, found.id))

    return study.database().read(read)


def _credits_of_run(study: Study, name: str) -> list[dict[str, Any]]:
    """As they were when the run began; of a run without the file, as the catalogue knows them now."""
    folder = RunFolder.of(study.runs, name)
    if not folder.recipe.exists():
        there = sorted(file.parent.name for file in study.runs.glob("*/run.yaml"))
        raise UserError(f"There is no run {name!r}.{near(name, there)}")
    written = folder.attribution[0]
    if written.exists():
        return [text.loads(line) for line in written.read_text("utf-8").split("\n") if line]
    samples = read_manifest(folder.manifest).web_samples
    return study.database().read(lambda session: credits_of(session, samples))


def _write(
    rows: Iterator[dict[str, Any]],
    output: Path | None,
    as_json: bool,
    written: Callable[[list[dict[str, Any]]], str] = json_text,
) -> dict[str, Any]:
    """Writes the rows; with --json and no --output they are one object with a list, as --json promises one object."""
    if as_json and output is None:
        return {"rows": list(rows)}
    count = 0
    with _opened(output) as file:
        for row in rows:
            file.write(written([row]))
            count += 1
    return {"rows": count, "file": str(output)}


@app.command()
def workspace(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Its name ends in .tar, .tar.gz or .tar.zst.")],
    without: Annotated[
        str | None,
        typer.Option(
            "--without",
            metavar="WHAT[,WHAT]",
            help="What stays behind: landing, models, runs, reports, flow.",
            show_default="nothing",
        ),
    ] = None,
    workspace: Workspace = None,
    json: Json = False,
    sets: Sets = None,
) -> None:
    """The whole study in one file, for `omnisrc import workspace` on another machine.

    Shards of an object store go with it; keys and logins never do.
    """  # fmt: skip
    from omnisrc.carry.export import export_workspace  # loads all providers, which rows do not need

    left = parse_without(without)
    with command(workspace, json, sets) as running:
        with byte_bar(running.console, "exported") as progress:
            told = export_workspace(running.study, file.expanduser(), left, progress)
        running.emit(file=str(file), **asdict(told))
        running.console.print(f"{told.files:,} files ({told.bytes / 1e6:,.1f} MB) are in {file}.", soft_wrap=True)
        show_notes(running.console, asdict(told))


@contextmanager
def _opened(output: Path | None) -> Iterator[TextIO]:
    """Stdout, or a file that appears under its name only when it is whole."""
    if output is None:
        yield sys.stdout
        sys.stdout.flush()
        return
    if output.is_dir() or not output.parent.is_dir():
        raise UserError(f"A file cannot be written to {output}; name a file in a folder that is there.")
    part = output.with_name(f"{output.name}.{os.getpid()}.part")
    try:
        with part.open("w", encoding="utf-8") as file:
            yield file
        part.replace(output)
    finally:
        part.unlink(missing_ok=True)
