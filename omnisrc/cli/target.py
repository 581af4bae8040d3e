"""`omnisrc target`: the labelled data set whose accuracy counts."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from omnisrc.classes import ClassList, load_class_list
from omnisrc.cli.job_view import job_bar
from omnisrc.cli.options import Command, Json, Sets, Workspace, command
from omnisrc.config import near
from omnisrc.data.catalogue import recorded_class_list, study_class_list
from omnisrc.data.importers.formats import FORMATS, read_target
from omnisrc.data.importers.listing import TargetListing
from omnisrc.data.importers.places import SPLITS
from omnisrc.data.labels import MULTI_LABEL
from omnisrc.data.settings import TargetSettings
from omnisrc.data.target import Added, add_rows, target_rows
from omnisrc.data.target_check import TargetCheck, check_target
from omnisrc.data.target_view import TargetSummary, summary
from omnisrc.engine.run import run_stages
from omnisrc.errors import UserError, WorldError
from omnisrc.shards.places import open_storage

app = typer.Typer(no_args_is_help=True, help="The labelled target data set: add, check, show.")

NAMED = 10  # problems and leaks that are named; all are counted


@app.command()
def add(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="The folder of media, or a CSV.")],
    format: Annotated[str, typer.Option("--format", metavar="NAME", help=f"{', '.join(FORMATS)}.")],
    classes: Annotated[
        str | None,
        typer.Option(
            "--classes", metavar="NAME|FILE", help="A class list.", show_default="the study's; else the labels found"
        ),
    ] = None,
    split: Annotated[
        list[str] | None,
        typer.Option("--split", metavar="SPLIT=FILE", help="The list of one split, as in train=train.csv; repeatable."),
    ] = None,
    annotations: Annotated[
        Path | None, typer.Option("--annotations", metavar="DIR", help="Where the data set's own lists lie.")
    ] = None,
    split_number: Annotated[
        int, typer.Option("--split-number", metavar="N", help="Which official split (UCF101, HMDB51).")
    ] = 1,
    val_share: Annotated[
        float | None,
        typer.Option("--val-share", metavar="P", help="Of train that becomes val, by groups, where there is no val."),
    ] = None,
    task: Annotated[
        str,
        typer.Option(
            "--task",
            metavar="NAME",
            help="recognition: one class a clip; multi-label: several (a|b, or rows of its own).",
        ),
    ] = "recognition",
    reference: Annotated[
        bool, typer.Option("--reference", help="Use the files where they are; nothing is encoded.")
    ] = False,
    engine: Annotated[
        str, typer.Option("--engine", metavar="NAME", help="local: worker processes here; celery: workers elsewhere.")
    ] = "local",
    workspace: Workspace = None,
    json: Json = False,
    sets: Sets = None,
) -> None:
    """Take labelled clips into the study: cut to the labelled part, encoded for fast sampling, hashed.

    Missing and broken files are counted by name. Adding the same data set again changes nothing.
    """
    overrides = [*(sets or []), *([f"target.val_share={val_share}"] if val_share is not None else [])]
    lists = _lists(split or [])
    if task not in ("recognition", MULTI_LABEL):
        raise UserError(f"There is no task {task!r} of a target.{near(task, ['recognition', MULTI_LABEL])}")
    with command(workspace, json, overrides, database="create") as running:
        study = running.study
        listing = read_target(
            format, path, class_list=_class_list(running, classes), lists=lists, annotations=annotations,
            split_number=split_number, several=task == MULTI_LABEL,
        )  # fmt: skip
        if not listing.items:
            first = listing.problems[0] if listing.problems else None
            why = f" (the first row, {first.row}: {first.what} {first.detail})" if first else ""
            raise UserError(f"There is not one usable item in {path}{why}; check the path, --format and --classes.")
        settings = study.section(TargetSettings)
        open_storage(study)
        added = study.database().write(
            lambda session: add_rows(
                session, listing.items, listing.class_list, settings, absent=listing.absent,
                reference=reference, overrides=study.overrides,
            )
        )  # fmt: skip
        _tell_added(running, listing, added)
        with job_bar(running.console, study) as watch, watch("import") as show:
            run = run_stages(study, ["import"], engine=engine, show=show)
        _tell_summary(running, study.database().read(summary))
        if run.failed:
            first_job = run.failed[0]
            raise WorldError(f"import {first_job.subject} failed ({first_job.error}: {first_job.detail}); mend that and"
                             " run the same command again.")  # fmt: skip


def _lists(given: list[str]) -> dict[str, Path]:
    lists: dict[str, Path] = {}
    for text in given:
        name, equals, file = text.partition("=")
        if name not in SPLITS or not equals or not file:
            raise UserError(f"--split {text} is not of the form SPLIT=FILE with train, val or test before the sign.")
        lists[SPLITS[name]] = Path(file)
    return lists


def _class_list(running: Command, given: str | None) -> ClassList | None:
    if given is not None:
        return load_class_list(given)

    def read(session: Any) -> ClassList | None:
        row = study_class_list(session)
        return recorded_class_list(session, row) if row is not None else None

    return running.study.database().read(read)


def _tell_added(running: Command, listing: TargetListing, added: Added) -> None:
    problems = listing.counts()
    splits = {name: added.splits[name] for name in ("train", "val", "test") if added.splits[name]}
    running.emit(
        classes=len(listing.class_list), class_list=listing.class_list.name, new=added.new, known=added.known,
        listed=splits, problems=problems, changed=added.changed,
    )  # fmt: skip
    out = running.console
    parts = ", ".join(f"{name} {count:,}" for name, count in splits.items())
    out.print(f"{len(listing.items):,} items of {len(listing.class_list)} classes ({parts}); {added.new:,} are new.")
    for name, count in problems.items():
        out.print(f"[yellow]left out:[/] {count:,} {name}")
    for problem in listing.problems[:NAMED]:
        out.print(f"  {problem.row}: {problem.what} {problem.detail}".rstrip(), markup=False, soft_wrap=True)
    if added.changed:
        out.print(
            f"[yellow]Note:[/] {len(added.changed):,} items stand in the study with another label or split and keep it,"
            f" such as {added.changed[0]}.", soft_wrap=True,
        )  # fmt: skip


def _tell_summary(running: Command, found: TargetSummary) -> None:
    running.emit(splits=found.splits, errors=found.errors, failed=found.failed)
    table = Table(title="Target", title_justify="left", box=None, pad_edge=False)
    columns = ("items", "stored", "failed", "waiting", "classes", "groups", "hours")
    table.add_column("split")
    for column in columns:
        table.add_column(column, justify="right")
    for split, row in found.splits.items():
        table.add_row(split, *(f"{row[column]:,}" for column in columns))
    running.console.print(table)
    for error, count in found.errors.items():
        running.console.print(f"[yellow]failed:[/] {count:,} {error}")
    for path, error in found.failed[:NAMED]:
        running.console.print(f"  {path}: {error}", markup=False, soft_wrap=True)


@app.command()
def show(workspace: Workspace = None, json: Json = False, sets: Sets = None) -> None:
    """Show the target's splits: items, classes, groups, what failed."""
    with command(workspace, json, sets) as running:
        _tell_summary(running, running.study.database().read(summary))


@app.command()
def check(workspace: Workspace = None, json: Json = False, sets: Sets = None) -> None:
    """Look for leaks between splits: groups in two splits, equal files, frames that look alike."""
    with command(workspace, json, sets) as running:
        rows, items = running.study.database().read(target_rows)
        if not items:
            raise UserError("There is no target to check; add one with `omnisrc target add PATH --format NAME`.")
        _tell_check(running, check_target(rows, items))


def _tell_check(running: Command, found: TargetCheck) -> None:
    leaks, out = found.leaks, running.console
    pairs = Counter((alike.item.split, alike.other.split) for alike in found.alike)
    running.emit(
        clean=found.clean,
        groups=[{"group": leak.group, **leak.splits} for leak in leaks.groups],
        equal_files=[[f"{split} {path}" for split, path in leak.files] for leak in leaks.files],
        alike=[{"item": a.item.path, "split": a.item.split, "other": a.other.path, "other_split": a.other.split,
                "bits": a.bits} for a in found.alike],
        uncompared=found.uncompared,
    )  # fmt: skip
    out.print(f"groups in more than one split: {len(leaks.groups):,}")
    for group in leaks.groups[:NAMED]:
        out.print(f"  {group.group}: " + ", ".join(f"{s} {n}" for s, n in group.splits.items()), markup=False)
    out.print(f"equal files in more than one split: {len(leaks.files):,}")
    for file in leaks.files[:NAMED]:
        out.print("  " + " = ".join(f"{split} {path}" for split, path in file.files), markup=False, soft_wrap=True)
    out.print(f"items with frames that look like another split's: {len(found.alike):,}")
    for (split, other), count in pairs.items():
        out.print(f"  {count:,} of {split} like {other}")
    for alike in found.alike[:NAMED]:
        out.print(f"  {alike.item.path} ~ {alike.other.path} ({alike.bits} bits)", markup=False, soft_wrap=True)
    if found.uncompared:
        out.print(f"{found.uncompared:,} items have no hashes and were not compared.")
    out.print("[green]No leak found.[/]" if found.clean else "[yellow]Scores on these splits may be too good.[/]")
