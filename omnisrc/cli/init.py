"""`omnisrc init`: make a workspace."""

from __future__ import annotations

import typer

from omnisrc.cli.options import Json, Sets, Workspace, command
from omnisrc.study import SETTINGS_FILE

app = typer.Typer()

TEMPLATE = """\
# Settings of this study; each can also be given to one command: --set crawl.host_rate=2
# crawl:
#   contact: you@example.org      # who a server's owner can write to; part of the User-Agent
#   host_rate: 1.0                # requests a second to one host
#   host_concurrency: 2           # requests at a time to one host
"""


@app.command()
def init(workspace: Workspace = None, json: Json = False, sets: Sets = None) -> None:
    """Make a workspace: its folders, its settings file and its database. Running it again changes nothing."""
    with command(workspace, json, sets, database="create") as running:
        file = running.study.root / SETTINGS_FILE
        if not file.exists():
            file.write_text(TEMPLATE)
        running.console.print(f"The workspace is {running.study.root}; its settings are in {SETTINGS_FILE}.")
        running.emit(workspace=str(running.study.root), database=_shown(running.study.database_url))


def _shown(url: str) -> str:
    head, at, tail = url.rpartition("@")
    return f"{head.split('//')[0]}//...@{tail}" if at else url
