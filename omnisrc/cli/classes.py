"""`omnisrc classes`: the class lists that come with the platform, and any list's classes."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from omnisrc.classes import ActionClass, ClassList, available, load_class_list
from omnisrc.cli.options import Json, Sets, Workspace, command

app = typer.Typer(no_args_is_help=True, help="Class lists: list them, show one.")

Name = Annotated[
    str, typer.Argument(metavar="NAME|FILE", help="A list by name, or a .txt, .csv or .yaml file of your own.")
]
Queries = Annotated[bool, typer.Option("--queries", help="Also the text that search services are asked for.")]
Tags = Annotated[bool, typer.Option("--tags", help="Also the tags that tag sites are asked for.")]


@app.command("list")
def list_(workspace: Workspace = None, json: Json = False, sets: Sets = None) -> None:
    """List the class lists that can be named."""
    with command(workspace, json, sets, database="none") as running:
        lists = [load_class_list(name) for name in available()]
        table = Table("name", "data set", "classes", "levels above", box=None, pad_edge=False, header_style="bold")
        for found in lists:
            levels = ", ".join(f"{len(level.members)} {level.name}s" for level in found.levels)
            table.add_row(found.name, found.title, str(len(found)), levels)
        running.console.print(table)
        running.console.print("\nA list of your own is a file: one class name per line in a .txt, or .csv, or .yaml.")
        running.emit(lists=[_head(found) for found in lists])


@app.command()
def show(
    name: Name,
    queries: Queries = False,
    tags: Tags = False,
    workspace: Workspace = None,
    json: Json = False,
    sets: Sets = None,
) -> None:
    """Show the classes of one list, and what the web is asked for."""
    with command(workspace, json, sets, database="none") as running:
        found = load_class_list(name)
        if not json:
            running.console.print(_table(found, queries, tags))
        number = sum(len(action.tags) for action in found)
        running.console.print(f"{found.title}: {len(found)} classes, {number} tags, sha256 {found.sha256}")
        running.emit(**_head(found), classes=[_item(action) for action in found])


def _table(found: ClassList, queries: bool, tags: bool) -> Table:
    table = Table("index", "id", "name", box=None, pad_edge=False, header_style="bold")
    for level in found.levels:
        table.add_column(level.name)
    for wanted, title in ((queries, "query"), (tags, "tags")):
        if wanted:
            table.add_column(title)
    for action in found:
        cells = [str(action.index), str(action.id), action.name, *(parent.name for parent in action.parents)]
        cells += [action.query] * queries + [" ".join(action.tags)] * tags
        table.add_row(*map(Text, cells))  # Text: brackets in a name are no markup
    return table


def _head(found: ClassList) -> dict[str, object]:
    levels = {level.name: [member.name for member in level.members] for level in found.levels}
    return {"name": found.name, "title": found.title, "count": len(found), "sha256": found.sha256, "levels": levels}


def _item(action: ActionClass) -> dict[str, object]:
    return {
        "index": action.index,
        "id": action.id,
        "name": action.name,
        "query": action.query,
        "tags": list(action.tags),
        "parents": {parent.level: parent.name for parent in action.parents},
    }
