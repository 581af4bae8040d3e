"""`omnisrc dispatch`: keep a cluster going."""

from __future__ import annotations

from typing import Annotated

import typer

from omnisrc.cli.options import Json, Sets, Workspace, command
from omnisrc.crawl.order import Keeper
from omnisrc.engine.broker import shown
from omnisrc.engine.dispatch import Dispatcher
from omnisrc.engine.doorbell import broker_url
from omnisrc.errors import WorldError

app = typer.Typer()


@app.command()
def dispatch(
    once: Annotated[
        bool, typer.Option("--once", help="One round, as for cron; exit code 1 where a server is away.")
    ] = False,
    workspace: Workspace = None,
    json: Json = False,
    sets: Sets = None,
) -> None:
    """Ring Celery workers for open jobs, keep ordered crawls going, and take back what dead workers held.

    One a study, for as long as its cluster stands; a second one does no harm. It outlives restarts of the broker and of
    the database.
    """  # fmt: skip
    with command(workspace, json, sets) as running:
        study, say = running.study, running.console.print
        dispatcher = Dispatcher(study, Keeper(study, say), say)
        if not once:
            say(f"Dispatching {study.root} over {shown(broker_url(study))}; Ctrl-C stops.", soft_wrap=True)
            dispatcher.run()
        elif not dispatcher.round():
            raise WorldError("A server is away; nothing is lost, and the next round goes on.")
