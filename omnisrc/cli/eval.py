"""`omnisrc eval`: score a run or a checkpoint on a split of the target."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from omnisrc.cli.options import Command, Json, Sets, Workspace, command
from omnisrc.errors import UserError

app = typer.Typer()


@app.command()
def eval(
    run: Annotated[str, typer.Option(metavar="NAME", help="A run; its best weights on val are scored.")] = "",
    checkpoint: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A checkpoint of any format that `--init` reads.")
    ] = None,
    split: Annotated[str, typer.Option(metavar="SPLIT", help="train, val or test of the target.")] = "test",
    protocol: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="tsn-25x10, tsn-25x3, 3d-10x3 or 1x1.  [default: tsn-25x10 for 2-D students, 3d-10x3 for 3-D ones]",
            show_default=False,
        ),
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
    or number by number with --set eval.clips=N --set eval.crops=M. Scores, tables and plots are written beside the run;
    `omnisrc scores` fuses and compares them.
    """
    given = {"protocol": protocol, "head": head}
    named = [f"eval.{key}={value}" for key, value in given.items() if value]
    with command(workspace, json, [*named, *(sets or ())]) as running:
        study = running.study
        if bool(run) == (checkpoint is not None):
            raise UserError("Say what to score, with either --run NAME or --checkpoint FILE.")
        from omnisrc.evaluate.study import evaluate_checkpoint
        from omnisrc.train.run_folder import weights_of

        if run:
            file, folder = weights_of(study.runs, run), study.runs / run / "eval" / split
        else:
            assert checkpoint is not None
            file, folder = checkpoint, study.reports / f"eval-{checkpoint.stem}" / split
        bar = Progress(
            TextColumn("scoring"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=running.console
        )
        with bar:
            task = bar.add_task("scoring", total=None)
            figures = evaluate_checkpoint(
                study, file, split, folder, run or file.stem,
                report=lambda done, count: bar.update(task, completed=done, total=count),
            )  # fmt: skip
        show_figures(running, figures)


def show_figures(running: Command, figures: dict[str, Any]) -> None:
    """The score in words and for --json."""
    protocol = figures["protocol"]
    running.console.print(
        f"{figures['split']}: {shown(figures)}, over {figures['samples']} of {figures['expected']} samples of the data"
        f" set {figures['data_sha256'][:12]} ({protocol['clips']} clips x {protocol['crops']} crops, mean"
        f" {protocol['average']})."
    )
    if figures["unreadable"]:
        count = figures["unreadable"]
        running.console.print(f"[yellow]Warning:[/] {count} samples could not be decoded; metrics.json names them.")
    running.console.print(f"Tables and plots: {figures['folder']}")
    running.emit(**figures)


def shown(figures: dict[str, Any]) -> str:
    """`top-1 73.60 % (95 % interval 71.20 to 75.90), top-5 ...`"""
    low, high = (100 * end for end in figures["top1_interval"])
    return (
        f"top-1 [bold]{100 * figures['top1']:.2f} %[/] (95 % interval {low:.2f} to {high:.2f}), top-5"
        f" {100 * figures['top5']:.2f} %, mean class accuracy {100 * figures['mean_class_accuracy']:.2f} %, calibration"
        f" error {100 * figures['ece']:.2f} %"
    )
