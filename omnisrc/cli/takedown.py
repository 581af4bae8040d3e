"""`omnisrc takedown`: remove a work, or all of an author, from the study, for good."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer
from rich.table import Table

from omnisrc.cli.options import Command, Json, Sets, Workspace, command
from omnisrc.rights.concerned import Wish
from omnisrc.rights.takedown import Plan, plan_takedown, take_down

app = typer.Typer()


@app.command()
def takedown(
    url: Annotated[
        str | None, typer.Argument(metavar="[URL]", help="Of the media, or of the page it is on.", show_default=False)
    ] = None,
    author: Annotated[str | None, typer.Option("--author", metavar="NAME", help="All that is by NAME.")] = None,
    asset: Annotated[int | None, typer.Option("--asset", metavar="ID", help="One asset by its number.")] = None,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Kept with the tombstones.")] = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    workspace: Workspace = None,
    json: Json = False,
    sets: Sets = None,
) -> None:
    """Take down what a URL, an author or an asset's number names: rows, bytes, equal bytes from elsewhere.

    Shows what is concerned and asks; without a terminal (or with --json) nothing is changed unless --yes is given. No
    later crawl brings it or equal bytes back. Weights cannot forget: runs that were trained on it are listed.
    """
    wish = Wish(url, author, asset, reason)
    with command(workspace, json, sets) as running:
        plan = plan_takedown(running.study, wish)
        _show(running, plan)
        running.emit(**_answer(plan), taken_down=False)
        if plan.empty:
            running.console.print(f"Nothing is left of {wish} to take down.", markup=False)
            return
        if not yes and (json or not sys.stdin.isatty()):
            running.console.print("Nothing was changed; add --yes to take it down.")
            return
        if not yes:
            typer.confirm("Take it down?", abort=True)
        done = take_down(running.study, wish)
        running.emit(**_answer(done), taken_down=True)
        running.console.print(
            f"Taken down: {len(done.concerned.assets)} assets, {len(done.concerned.samples)} samples."
        )


def _answer(plan: Plan) -> dict[str, Any]:
    concerned = plan.concerned
    return {
        "asked": str(plan.wish),
        "assets": [asset.url for asset in concerned.assets],
        "samples": concerned.samples,
        "shards": [shard.path for shard in concerned.shards],
        "prediction_sets": [made.path for made in concerned.sets],
        "selections": sorted({chosen.name for chosen in concerned.selections}),
        "members": sum(1 for member in concerned.members if member.reason is None),
        "reports": [page.name for page in plan.pages],
        "runs": [{"name": run.name, "samples": run.samples} for run in plan.runs],
        "alike": concerned.alike,
        "leftovers": [place.rpartition("/")[2] for place in plan.leftovers],
    }


def _show(running: Command, plan: Plan) -> None:
    if plan.empty:
        return
    answer, console = _answer(plan), running.console
    table = Table(show_header=False, box=None)
    for name in ("assets", "samples", "shards", "prediction_sets", "selections", "reports", "runs"):
        table.add_row(name.replace("_", " "), str(len(answer[name])))
    console.print(table)
    for url in answer["assets"][:10]:
        console.print(f"  {url}", soft_wrap=True, markup=False)
    if len(answer["assets"]) > 10:
        console.print(f"  and {len(answer['assets']) - 10} more")
    for run in plan.runs:
        how = f"on {run.samples} of these samples" if run.samples else "from weights or a selection that saw them"
        console.print(f"The run {run.name} was trained {how}.", soft_wrap=True, markup=False)
    if plan.runs:
        console.print("Weights cannot forget: train such a run anew if it must not know them.", soft_wrap=True)
    for url in answer["alike"][:10]:
        console.print(f"A near-duplicate stays: {url}", soft_wrap=True, markup=False)
    if plan.leftovers:
        console.print(f"{len(plan.leftovers)} old files of an earlier takedown go as well.")
