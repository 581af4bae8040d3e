"""Weights by name, and the progress bar of their download, which shows itself with the first byte."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from omnisrc.cli.options import Command
from omnisrc.models.fetch import fetch_lacking, weights_for
from omnisrc.models.settings import ModelSettings


def weights_of(running: Command, name: str, download: bool) -> Path:
    """The file that a name or a path means; released weights are fetched where `download` or the settings say so."""
    with fetching(running.console) as report:
        study = running.study
        return weights_for(name, study.models, study.section(ModelSettings), download, report)


def fetch_teacher(running: Command, name: str | None, download: bool) -> None:
    """Fetches released weights that `--teacher` names and models/ lacks; a run of that name comes before them."""
    study = running.study
    if name is None or (study.runs / name).is_dir():
        return
    with fetching(running.console) as report:
        fetch_lacking(name, study.models, study.section(ModelSettings), download, report)


@contextmanager
def fetching(console: Console) -> Iterator[Callable[[int, int | None], None]]:
    """Gives a function that is told how many bytes have come, of how many."""
    bar = Progress(
        TextColumn("fetching"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn(),
        console=console,
    )  # fmt: skip
    task = None

    def report(done: int, total: int | None) -> None:
        nonlocal task
        if task is None:
            bar.start()
            task = bar.add_task("fetching", total=total)
        bar.update(task, completed=done, total=total)

    try:
        yield report
    finally:
        bar.stop()
