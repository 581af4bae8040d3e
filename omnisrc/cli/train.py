"""`omnisrc train`: train a recogniser on a mix of sources."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from omnisrc.cli.fetch_bar import weights_of
from omnisrc.cli.options import Command, Json, Sets, Workspace, command

if TYPE_CHECKING:
    from omnisrc.train.run import Prepared

app = typer.Typer()


@app.command()
def train(
    mix: Annotated[
        str,
        typer.Option(
            metavar="SOURCE[:RATIO],...",
            help="What to train on: target, web-image, web-clip; `web` is both of the web. Ratios are samples a step.",
        ),
    ] = "web,target",
    model: Annotated[
        str | None, typer.Option(metavar="NAME", help="The student, such as tsn_r50.  [default: train.model]")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of everything random in the run.")] = 0,
    init: Annotated[
        str | None,
        typer.Option(metavar="NAME|FILE", help="Weights to begin with, as --teacher; a head of other classes is left."),
    ] = None,
    download: Annotated[
        bool, typer.Option("--download", help="Fetch what --init names of the released weights, where it lacks.")
    ] = False,
    name: Annotated[
        str, typer.Option(metavar="RUN", help="The run's folder under runs/.  [default: made from what it is]")
    ] = "",
    selection: Annotated[
        str | None, typer.Option(metavar="NAME", help="Which selection of web data.  [default: the newest]")
    ] = None,
    steps: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Optimiser steps.  [default: train.epochs]")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with --name (or the last run begun) by its own recipe and data.")
    ] = False,
    workspace: Workspace = None,
    json: Json = False,
    sets: Sets = None,
) -> None:
    """Train a student on web data and the target together.

    One optimiser step takes a batch of every source; the loss is the sum of their cross-entropies. The best weights on
    the target's val split and the last ones are kept in runs/RUN. Ctrl-C stops after the step at hand; the same
    command goes on from there. On several GPUs: torchrun --nproc-per-node N -m omnisrc.cli.main train ...
    """
    given = [*(sets or []), *([f"train.model={model}"] if model else []), *([f"train.steps={steps}"] if steps else [])]
    with command(workspace, json, given) as running:
        from omnisrc.train.distribution import joined
        from omnisrc.train.run import Request, train_run
        from omnisrc.train.settings import TrainSettings
        from omnisrc.train.stopping import stop_wished

        weights = None if init is None or resume else weights_of(running, init, download)
        request = Request(mix, seed, name, selection, weights, resume)
        device = running.study.section(TrainSettings).device
        with joined(device) as place, stop_wished() as wished, TrainBar(running.console, place.first) as bar:
            prepared, outcome = train_run(
                running.study, request, place, announce=bar.announce, report=bar.report, stop_wished=wished
            )
        if place.first:
            show_outcome(running, prepared, outcome)


class TrainBar:
    """The progress bar of a run; val's figures are printed above it."""

    def __init__(self, console: Console, shown: bool) -> None:
        self.console, self.shown = console, shown
        self._progress = Progress(
            TextColumn("training"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[figures]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=not shown,
        )
        self._task: Any = None

    def __enter__(self) -> TrainBar:
        return self

    def __exit__(self, *error: object) -> None:
        self._progress.stop()

    def announce(self, prepared: Prepared) -> None:
        """Says what is trained on, with the warnings of the selection, and starts the bar."""
        settings, manifest = prepared.recipe.settings, prepared.manifest
        counts = ", ".join(
            f"{len(manifest.rows(source=source, split='train'))} of {source}" for source in prepared.recipe.mix
        )
        name = prepared.folder.name
        self.console.print(f"Run [bold]{name}[/]: {settings.model}, {settings.steps} steps on {counts}.")
        if prepared.start:
            self.console.print(f"It begins with {prepared.start}.", markup=False, soft_wrap=True)
        for warning in manifest.facts.get("warnings", []):
            self.console.print(f"[yellow]Warning:[/] {warning}")
        self._progress.start()
        self._task = self._progress.add_task("training", total=settings.steps, figures="")

    def report(self, done: int, kind: str, figures: dict[str, Any]) -> None:
        if not self.shown:
            return
        self._progress.update(self._task, completed=done)
        if kind == "train":
            rate = 1 / max(figures["step_s"], 1e-9)
            self._progress.update(self._task, figures=f"loss {figures['loss']:.3f}  {rate:.2g} steps/s")
        if kind == "val":
            self.console.print(
                f"step {done}: val {said_score(figures)}, loss {figures['loss']:.3f}"
                + (f", {figures['unreadable']} unreadable" if figures["unreadable"] else "")
            )


def said_score(figures: dict[str, Any]) -> str:
    """`top-1 73.6 %`, or `mAP 31.2 %` where clips have several classes."""
    return f"mAP {100 * figures['map']:.1f} %" if "map" in figures else f"top-1 {100 * figures['top1']:.1f} %"


def show_outcome(running: Command, prepared: Prepared, outcome: Any) -> None:
    """The end of a run, in words and for --json."""
    standing, folder = outcome.standing, prepared.folder
    best = f" Best on val: {said_score({outcome.figure: standing.best_score})} at step {standing.best_step}." * (
        standing.best_step >= 0
    )
    skipped = f" {standing.skips} samples could not be decoded (named in log.jsonl)." * (standing.skips > 0)
    running.console.print(
        f"Trained {standing.step} steps in {standing.seconds:.0f} s.{best}{skipped}"
        f" Score it: omnisrc eval --run {folder.name}"
    )
    running.emit(
        run=folder.name,
        folder=str(folder.path),
        weights=str(folder.best if folder.best.exists() else folder.last),
        steps=standing.step,
        seconds=round(standing.seconds, 1),
        best_step=standing.best_step if standing.best_step >= 0 else None,
        **{f"best_{outcome.figure}": standing.best_score if standing.best_step >= 0 else None},
        skips=standing.skips,
        sources={s: len(prepared.manifest.rows(source=s, split="train")) for s in prepared.recipe.mix},
        warnings=prepared.manifest.facts.get("warnings", []),
    )
