"""`omnisrc report`: one self-contained HTML page about the study."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from omnisrc.cli.options import Json, Sets, Workspace, command

app = typer.Typer()


@app.command()
def report(
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="The page.  [default: reports/report.html]", show_default=False
        ),
    ] = None,
    selection: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The selection that is shown.  [default: the newest]", show_default=False),
    ] = None,
    examples: Annotated[
        int, typer.Option(metavar="N", min=0, max=50, help="Kept samples shown of each class, and as many dropped.")
    ] = 6,
    workspace: Workspace = None,
    json: Json = False,
    sets: Sets = None,
) -> None:
    """Write one HTML page about the study: what was found, kept and dropped, and what came of training on it.

    It holds its pictures and charts, runs no script and loads nothing from elsewhere. A study that is half done has a
    page that says what is missing.
    """
    with command(workspace, json, sets) as running:
        from omnisrc.report.limits import Limits
        from omnisrc.report.page import write_report

        bar = Progress(TextColumn("pictures"), BarColumn(), MofNCompleteColumn(), console=running.console)
        with bar:
            task = bar.add_task("pictures", total=None, visible=False)
            path = write_report(
                running.study, output, selection, Limits(examples=examples),
                lambda done, count: bar.update(task, completed=done, total=count, visible=True),
            )  # fmt: skip
        running.console.print(f"The report is {path} ({path.stat().st_size / 1e6:.1f} MB).", soft_wrap=True)
        running.emit(file=str(path), bytes=path.stat().st_size)
