"""`omnisrc eval`: score a run or a checkpoint on a split of the target."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from omnisrc.cli.fetch_bar import weights_of
from omnisrc.cli.options import Command, Json, Sets, Workspace, command
from omnisrc.errors import UserError

app = typer.Typer()

NAMED = 5  # classes that no clip has


@app.command()
def eval(
    run: Annotated[str, typer.Option(metavar="NAME", help="A run; its best weights on val are scored.")] = "",
    checkpoint: Annotated[
        str, typer.Option(metavar="NAME|FILE|URL", help="Weights of any format, as --init and --teacher take them.")
    ] = "",
    download: Annotated[
        bool, typer.Option("--download", help="Fetch what --checkpoint names of the released weights, where it lacks.")
    ] = False,
    split: Annotated[str, typer.Option(metavar="SPLIT", help="train, val or test of the target.")] = "test",
    protocol: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="tsn-25x10, tsn-25x3, 3d-10x3 or 1x1.  [default: tsn-25x10 for 2-D students, 3d-10x3 for 3-D ones]",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="DIR", help="For tables and plots.  \\[default: beside the run]"),
    ] = None,
    head: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Of a recogniser with several heads.  \\[default: the one for the target's classes]",
            show_default=False,
        ),
    ] = "",
    workspace: Workspace = None,
    json: Json = False,
    sets: Sets = None,
) -> None:
    """Score a run or a checkpoint on a split of the target.

    By default 25 frames x 10 crops for 2-D students and 10 clips x 3 crops for 3-D ones; quicker with --protocol 1x1,
    or number by number with --set eval.clips=N --set eval.crops=M. Scores, tables and plots are written beside the run
    (of a file: in reports/), in the place of those before, or to --output; `omnisrc scores` fuses and compares them.
    """
    given = {"protocol": protocol, "head": head}
    named = [f"eval.{key}={value}" for key, value in given.items() if value]
    with command(workspace, json, [*named, *(sets or ())]) as running:
        study = running.study
        if bool(run) == bool(checkpoint):
            raise UserError("Say what to score, with either --run NAME or --checkpoint NAME|FILE.")
        from omnisrc.evaluate.study import evaluate_checkpoint
        from omnisrc.models.checkpoints.container import fingerprint
        from omnisrc.train.run_folder import weights_of as weights_of_run

        if run:
            file, folder = weights_of_run(study.runs, run), study.runs / run / "eval" / split
        else:
            file = weights_of(running, checkpoint, download)
            digits = fingerprint(file)[:8]  # two runs' `best` are two files
            folder = study.reports / f"eval-{file.stem.removesuffix(f'-{digits}')}-{digits}" / split
        bar = Progress(
            TextColumn("scoring"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=running.console
        )
        with bar:
            task = bar.add_task("scoring", total=None)
            figures = evaluate_checkpoint(
                study, file, split, output or folder, run or file.stem,
                report=lambda done, count: bar.update(task, completed=done, total=count),
            )  # fmt: skip
        show_figures(running, figures)


def show_figures(running: Command, figures: dict[str, Any]) -> None:
    """The score in words and for --json."""
    protocol = figures["protocol"]
    running.console.print(
        f"{figures['split']}: {shown(figures)}, over {figures['samples']} of {figures['expected']} samples of the data"
        f" set {figures['data_sha256'][:12]} ({viewed(protocol)})."
    )
    if figures["unreadable"]:
        count = figures["unreadable"]
        running.console.print(f"[yellow]Warning:[/] {count} samples could not be decoded; metrics.json names them.")
    running.console.print(f"Tables and plots: {figures['folder']}")
    running.emit(**figures)


def viewed(protocol: dict[str, Any]) -> str:
    """`10 clips x 3 crops, mean of probabilities, float32`"""
    parts = [f"{protocol[what]} {what if protocol[what] > 1 else what[:-1]}" for what in ("clips", "crops")]
    of = {"prob": "probabilities", "score": "logits"}[protocol["average"]]
    rule = ", places of MMAction2 0.x" if protocol["rule"] == "0.x" else ""
    return f"{' x '.join(parts)}, mean of {of}{rule}, {protocol['precision']}"


def shown(figures: dict[str, Any]) -> str:
    """`top-1 73.60 % (95 % interval 71.20 to 75.90), top-5 ...`, or mAP where clips may have several classes."""
    if "map" in figures:
        return shown_map(figures)
    low, high = (100 * end for end in figures["top1_interval"])
    return (
        f"top-1 [bold]{100 * figures['top1']:.2f} %[/] (95 % interval {low:.2f} to {high:.2f}), top-5"
        f" {100 * figures['top5']:.2f} %, mean class accuracy {100 * figures['mean_class_accuracy']:.2f} %, calibration"
        f" error {100 * figures['ece']:.2f} %"
    )


def shown_map(figures: dict[str, Any]) -> str:
    """`mAP 31.20 % (95 % interval 29.00 to 33.10), without 2 classes that no clip has (a, b)`"""
    low, high = (100 * end for end in figures["map_interval"])
    absent = figures["without_positives"]
    named = ", ".join(absent[:NAMED]) + (", ..." if len(absent) > NAMED else "")
    without = f", without {len(absent)} classes that no clip has ({escape(named)})" if absent else ""
    return f"mAP [bold]{100 * figures['map']:.2f} %[/] (95 % interval {low:.2f} to {high:.2f}){without}"
