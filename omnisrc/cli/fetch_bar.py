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


def weights_of(running: Command, given: str, download: bool = False) -> Path:
    """The file that a name, a run, a path or a URL means, whichever option it was given to.

    A URL's are fetched, released ones where `download` or the setting `models.download` says so.
    """
    with fetching(running.console) as report:
        study = running.study
        return weights_for(given, study.models, study.section(ModelSettings), download, report, study.runs)


def fetch_teacher(running: Command, given: str | None, download: bool) -> None:
    """Fetches what `weights_of` would for a teacher; the filter finds its file, or folder, itself."""
    if given is not None:
        with fetching(running.console) as report:
            study = running.study
            fetch_lacking(given, study.models, study.section(ModelSettings), download, report, study.runs)


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
