"""`omnisrc crawl pause`, `resume` and `rate`: what a crawl that runs heeds within seconds, on every machine."""

from __future__ import annotations

from typing import Annotated

import typer

from db.controls import ALL, BANDWIDTH, Controls
from omnisrc.cli.options import Command, Json, Sets, Workspace, command
from omnisrc.config import parse_size
from omnisrc.crawl import control
from omnisrc.crawl.budgets import size_words
from omnisrc.errors import UserError

Scope = Annotated[
    str,
    typer.Argument(metavar="[all|provider:NAME|HOST]", help="HOST stands for its registrable domain, as example.org."),
]


def pause(scope: Scope = "all", workspace: Workspace = None, json: Json = False, sets: Sets = None) -> None:
    """Begin nothing new at a host, a provider or anywhere; what is under way is finished, and nothing is lost."""
    with command(workspace, json, sets) as running:
        wanted = control.parse_scope(scope)
        database = running.study.database()
        _tell(running, scope, wanted, database.write(lambda session: control.pause(session, wanted)))


def resume(scope: Scope = "all", workspace: Workspace = None, json: Json = False, sets: Sets = None) -> None:
    """Lift a pause; `all` lifts every pause."""
    with command(workspace, json, sets) as running:
        wanted = control.parse_scope(scope)
        database = running.study.database()
        _tell(running, scope, wanted, database.write(lambda session: control.resume(session, wanted)))


def rate(
    scope: Annotated[str, typer.Argument(metavar="HOST|all", help="`all`: every host that nothing names.")],
    rate: Annotated[
        float | None, typer.Option("--rate", metavar="R", help="Requests a second, over all workers; 0: no pacing.")
    ] = None,
    concurrency: Annotated[
        int | None, typer.Option("--concurrency", metavar="N", help="Requests at a time, over all workers.")
    ] = None,
    bandwidth: Annotated[
        str | None,
        typer.Option(
            "--bandwidth", metavar="SIZE", help="`all`: bytes of media a second (2MB), over all workers; 0: any."
        ),
    ] = None,
    clear: Annotated[
        bool, typer.Option("--clear", help="Back to the settings; `all`: for every host.", show_default=False)
    ] = False,
    workspace: Workspace = None,
    json: Json = False,
    sets: Sets = None,
) -> None:
    """Change the pace of a host, or the bandwidth of all, while the crawl runs."""
    with command(workspace, json, sets) as running:
        wanted = control.parse_scope(scope, providers=False)
        paced = rate is not None or concurrency is not None
        if clear == (paced or bandwidth is not None):
            raise UserError("Say what to set: --rate R, --concurrency N, --bandwidth SIZE; or --clear alone.")
        if bandwidth is not None and wanted != ALL:
            raise UserError(
                f"--bandwidth is for all hosts together, not for {scope}: omnisrc crawl rate all --bandwidth SIZE."
            )
        most = None if bandwidth is None else parse_size(bandwidth, "--bandwidth")
        database = running.study.database()
        if clear:
            given = database.write(lambda session: control.clear_rate(session, wanted))
        if paced:
            given = database.write(lambda session: control.set_rate(session, wanted, rate, concurrency))
        if most is not None:
            given = database.write(lambda session: control.set_bandwidth(session, most))
        _tell(running, scope, wanted, given)


def refuse_options_before(context: typer.Context) -> None:
    """Options before the subcommand would be a crawl's, and would not be heeded. Raises UserError."""
    given = [name for name in context.params if str(context.get_parameter_source(name)).endswith("COMMANDLINE")]
    if given:
        verb = context.invoked_subcommand
        raise UserError(f"Options of `crawl {verb}` go after it: omnisrc crawl {verb} ... --workspace DIR.")


def _tell(running: Command, named: str, scope: str, controls: Controls) -> None:
    if named.strip().lower() != scope:
        running.console.print(f"{named} belongs to {scope}, whose hosts share one pace.")
    running.emit(controls={name: vars(given) for name, given in sorted(controls.by_scope.items())})
    if not running.study.database().read(lambda session: control.is_known(session, scope)):
        running.console.print(f"[yellow]Note:[/] nothing of {scope} is known to this study yet.")
    running.console.print(f"paused: {', '.join(controls.paused) or 'nothing'}")
    if controls.bandwidth is not None:
        speed = f"{size_words(controls.bandwidth)} a second" if controls.bandwidth else "as fast as they come"
        running.console.print(f"bytes of media: {speed}")
    for name, given in sorted(controls.by_scope.items()):
        if name == BANDWIDTH:
            continue
        words = [f"{given.rate:g} requests a second"] if given.rate is not None else []
        words += [f"{given.concurrency} at a time"] if given.concurrency is not None else []
        if words:
            running.console.print(f"{name}: {', '.join(words)}")
