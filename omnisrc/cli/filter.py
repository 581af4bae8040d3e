"""`omnisrc filter`: let a teacher judge the web data; pack what is kept."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from omnisrc.cli.fetch_bar import fetch_teacher
from omnisrc.cli.job_view import job_bar
from omnisrc.cli.options import Command, Json, Sets, Workspace, command, open_database
from omnisrc.errors import UserError
from omnisrc.filter.filtering import DEFAULT_NAME, Outcome, Wish, run_filter
from omnisrc.filter.rules import RULES

app = typer.Typer()


@app.command()
def filter(
    teacher: Annotated[
        str | None,
        typer.Option(
            "--teacher", metavar="NAME|FILE|FOLDER", help="Who judges: a run, weights, or a network in models/."
        ),
    ] = None,
    image_teacher: Annotated[
        str | None,
        typer.Option(
            "--image-teacher", metavar="NAME|FILE|FOLDER", help="Who judges still images.", show_default="--teacher"
        ),
    ] = None,
    rule: Annotated[
        str, typer.Option("--rule", metavar="NAME", help=f"{', '.join(RULES)}.", show_default="agree")
    ] = "",
    labels: Annotated[
        Path | None, typer.Option("--labels", metavar="FILE", help="CSV url,label[,start,end] for --rule labels.")
    ] = None,
    min_probability: Annotated[
        float | None, typer.Option("--min-probability", metavar="P", help="Of the label, by the teacher; 0 to 1.")
    ] = None,
    min_margin: Annotated[
        float | None, typer.Option("--min-margin", metavar="P", help="Between the two best probabilities; 0 to 1.")
    ] = None,
    per_class_cap: Annotated[
        int | None, typer.Option("--per-class-cap", metavar="N", help="Samples kept of each class and medium.")
    ] = None,
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="Of the selection.")] = DEFAULT_NAME,
    redo: Annotated[
        str | None,
        typer.Option("--redo", metavar="select", help="Only select and pack again; no teacher is loaded."),
    ] = None,
    download: Annotated[bool, typer.Option("--download", help="Fetch a released teacher that models/ lacks.")] = False,
    no_pack: Annotated[bool, typer.Option("--no-pack", help="Only select: see what a rule would keep.")] = False,
    engine: Annotated[
        str, typer.Option("--engine", metavar="NAME", help="local: worker processes here; celery: workers elsewhere.")
    ] = "local",
    workspace: Workspace = None,
    json: Json = False,
    sets: Sets = None,
) -> None:
    """Let a teacher judge what was crawled, keep what it agrees with, and pack that into curated shards.

    Scores are kept: another rule (--redo select --min-probability 0.5) takes seconds. Copies inside the web and copies
    of the target's val and test are dropped. After more crawling the same command touches only what is new.
    """
    given = {"min_probability": min_probability, "min_margin": min_margin, "per_class_cap": per_class_cap}
    overrides = [f"filter.{key}={value}" for key, value in given.items() if value is not None]
    with command(workspace, json, [*(sets or []), *overrides], database="none") as running:
        try:
            open_database(running.study, create=False)
        except UserError as error:
            if (running.study.root / "catalog.db").exists():
                raise
            raise UserError(
                f"There is nothing to filter in {running.study.root}, because nothing was fetched yet; run"
                " `omnisrc crawl --classes NAME` first."
            ) from error
        for given_teacher in (teacher, image_teacher):
            fetch_teacher(running, given_teacher, download)
        wish = Wish(teacher, image_teacher, name, rule, labels, redo, pack=not no_pack)
        with job_bar(running.console, running.study) as watch:
            outcome = run_filter(running.study, wish, engine, watch)
        _tell(running, outcome)


def _tell(running: Command, outcome: Outcome) -> None:
    selection = outcome.selection
    running.emit(
        selection=selection.name, id=selection.id, made=outcome.made, decontaminated=selection.decontaminated,
        packed=selection.packed, shards=outcome.shards, members=outcome.members, unreadable=outcome.lost,
        planted_leaks=selection.counts.get("planted_leaks"), pairs=str(outcome.pairs),
        warnings=list(selection.warnings), teachers=outcome.teachers,
    )  # fmt: skip
    kinds = [kind for kind in ("image", "clip") if kind in outcome.members]
    table = Table(title=f"Selection {selection.name}", title_justify="left", box=None, pad_edge=False)
    table.add_column("")
    for kind in kinds:
        table.add_column(f"{kind}s", justify="right")
    reasons = dict.fromkeys(reason for kind in kinds for reason in outcome.members[kind])
    for reason in reasons:
        label = reason if reason in ("found", "kept") else f"dropped: {reason}"
        table.add_row(label, *(f"{outcome.members[kind].get(reason, 0):,}" for kind in kinds))
    running.console.print(table)
    for medium, teacher in outcome.teachers.items():
        said = f"Teacher of {medium}s: {teacher['name']} (licence: {teacher['licence']}; {teacher['precision']})."
        running.console.print(said, soft_wrap=True, markup=False)
    if not outcome.made:
        running.console.print("Nothing has changed since this selection was made.")
    if selection.packed:
        running.console.print(f"Packed into {outcome.shards} curated shards.")
    recall = (selection.counts.get("planted_leaks") or {}).get("recall")
    if recall:
        found = ", ".join(f"{kind} {share:.0%}" for kind, share in recall.items())
        running.console.print(f"Planted leaks of val and test that were found: {found}.", soft_wrap=True)
    for shard, count in outcome.lost.items():
        running.console.print(f"[red]{count} members of {shard} could not be read[/]; see `omnisrc doctor --deep`.")
    for warning in selection.warnings:
        running.console.print(f"[yellow]Note:[/] {warning}", soft_wrap=True)
