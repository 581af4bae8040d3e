"""`omnisrc demo`: the main job in small, offline."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from omnisrc.cli.options import Json, Sets, Workspace, command
from omnisrc.demo.run import DemoResult, run_demo

app = typer.Typer()

FOLDER = Path("demo-data")


@app.command()
def demo(
    seed: Annotated[int, typer.Option("--seed", help="Of the world that is rendered and of all runs.")] = 0,
    workspace: Workspace = None,
    json: Json = False,
    sets: Sets = None,
) -> None:
    """Run a whole study in about five minutes: render a small world, crawl its web, filter, train, compare.

    Nothing leaves this machine: the web is served on loopback. The folder (./demo-data, or --workspace) is made anew
    each time and keeps the report, the shards and the database to look at.
    """
    folder = (workspace or FOLDER).resolve()
    with command(folder, json, sets, database="none") as running:
        result = run_demo(folder, seed, running.console)
        running.emit(**vars(result))
        running.console.print()
        running.console.print(_funnel(result))
        running.console.print(_accuracy(result))
        before, after = result.filter["true before"], result.filter["true among the kept"]
        running.console.print(f"Of the web's samples {before:.0%} show what was asked for; of those kept, {after:.0%}.")
        running.console.print(f"The report is {result.report}; all this took {result.seconds / 60:.1f} minutes.")


def _funnel(result: DemoResult) -> Table:
    table = Table(title="The web data", title_justify="left")
    for name in result.funnel:
        table.add_column(name, justify="right")
    table.add_column("failures by class")
    failures = ", ".join(f"{count} {name}" for name, count in result.failures.items())
    table.add_row(*[str(count) for count in result.funnel.values()], failures)
    return table


def _accuracy(result: DemoResult) -> Table:
    table = Table(title="Accuracy on test", title_justify="left")
    table.add_column("trained on")
    table.add_column("top-1", justify="right")
    for name, title in result.titles.items():
        bold = "bold" if name == "filtered" else ""
        table.add_row(title, f"{result.top1[name]:.1f} %", style=bold)
    return table
