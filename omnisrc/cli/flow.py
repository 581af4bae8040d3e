"""`omnisrc flow`: extract optical flow."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from omnisrc.cli.options import Command, Json, Sets, Workspace, command
from omnisrc.data.flow_cache import FlowCache
from omnisrc.flow.extract import Extracted, raise_failures
from omnisrc.flow.run import Wish, extract_flow
from omnisrc.flow.settings import METHODS

app = typer.Typer()

NAMED = 10  # clips that are named; all are counted


@app.command()
def flow(
    path: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE|FOLDER]", help="Plain videos.", show_default="the study's target"),
    ] = None,
    split: Annotated[
        str, typer.Option("--split", metavar="SPLIT", help="train, val or test of the target, or all.")
    ] = "",
    web: Annotated[bool, typer.Option("--web", help="The clips in curated shards.")] = False,
    method: Annotated[
        str | None, typer.Option("--method", metavar="NAME", help=f"{', '.join(METHODS)}.", show_default="flow.method")
    ] = None,
    bound: Annotated[
        float | None,
        typer.Option("--bound", metavar="PIXELS", help="The longest displacement.", show_default="flow.bound"),
    ] = None,
    weights: Annotated[
        Path | None, typer.Option("--weights", metavar="FILE", help="RAFT's.", show_default="models/raft_*")
    ] = None,
    cache: Annotated[
        str, typer.Option("--cache", metavar="NAME", help="Where it is kept.", show_default="METHOD-bBOUND")
    ] = "",
    workspace: Workspace = None,
    json: Json = False,
    sets: Sets = None,
) -> None:
    """Extract optical flow, for `omnisrc train --set train.modality=flow`.

    It is kept in flow/CACHE/ in the workspace, in shards with the keys of the study's own. Can be stopped at any time:
    the same command goes on where it was, and does only what is not there yet.
    """
    given = {"method": method, "bound": bound, "weights": weights}
    overrides = [*(sets or []), *(f"flow.{key}={value}" for key, value in given.items() if value is not None)]
    with command(workspace, json, overrides, database="none" if path else "existing") as running:
        columns = (
            TextColumn("flow"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"),
            TimeElapsedColumn(), TimeRemainingColumn(),
        )  # fmt: skip
        with Progress(*columns, console=running.console, transient=True) as bar:
            task = bar.add_task("flow", total=None, rate="")

            def report(done: int, count: int, unreadable: int) -> None:
                speed = bar.tasks[0].speed
                words = f"{speed:.2g} clips/s" if speed else ""
                words += f"  {unreadable} unreadable" * (unreadable > 0)
                bar.update(task, completed=done, total=count, rate=words)

            made, done = extract_flow(running.study, Wish(path, split, web, cache), report)
        _tell(running, made, done)
    raise_failures(done)


def _tell(running: Command, cache: FlowCache, done: Extracted) -> None:
    out = running.console
    running.emit(
        cache=cache.name, folder=str(cache.folder), method=cache.facts.method, bound=cache.facts.bound,
        version=cache.facts.version, made=done.made, fields=done.fields, bytes=done.bytes, there=done.there,
        unreadable=done.unreadable, failed=done.failed,
    )  # fmt: skip
    out.print(
        f"Flow of {done.made:,} clips made ({done.fields:,} fields, {done.bytes / 1e6:.1f} MB), {done.there:,} were"
        f" there: {cache.folder}",
        soft_wrap=True,
    )
    for words, named in (("unreadable", done.unreadable), ("failed", done.failed)):
        if named:
            out.print(f"[yellow]{words}:[/] {len(named):,}")
        for name, error in list(named.items())[:NAMED]:
            out.print(f"  {name}: {error}", markup=False, soft_wrap=True)
