"""`omnisrc status`: what the study holds and what is being done."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from db import catalogue, ledger
from db.models import ClassList, Run, Sample, SelectionMember, Shard
from omnisrc.cli.options import Command, Json, Sets, Workspace, command
from omnisrc.crawl.monitor import crawl_state
from omnisrc.crawl.order import orders
from omnisrc.crawl.settings import CrawlSettings
from omnisrc.engine.broker_state import broker_state
from omnisrc.engine.doorbell import named_broker
from omnisrc.engine.registry import STAGES
from omnisrc.errors import UserError

app = typer.Typer()


EVERY_S = 2.0


@app.command()
def status(
    watch: Annotated[bool, typer.Option("--watch", help="Draw it again and again until Ctrl-C.")] = False,
    every: Annotated[
        float | None,
        typer.Argument(
            metavar="[SECONDS]", help="With --watch: from one look to the next.", show_default=f"{EVERY_S:g}"
        ),
    ] = None,
    workspace: Workspace = None,
    json: Json = False,
    sets: Sets = None,
) -> None:
    """Show the study's class list, target, web data, selections and runs, and what is being done.

    `omnisrc status --watch 5` looks every five seconds.
    """
    if every is not None and not (watch and every > 0):
        raise UserError("SECONDS goes with --watch and is more than 0, as in `omnisrc status --watch 5`.")
    if watch and json:
        raise UserError("--watch draws on a terminal; ask for --json again and again instead.")
    with command(workspace, json, sets) as running:
        if watch:
            _watch(running, every or EVERY_S)
            return
        state = _look(running)
        running.emit(**state)
        if not json:
            running.console.print(_view(state))


def _look(running: Command) -> dict[str, Any]:
    settings = running.study.section(CrawlSettings)

    def read(session: Session) -> dict[str, Any]:
        counts = catalogue.asset_counts(session)
        crawl = crawl_state(session, settings, running.study.landing, counts)
        return {**_state(session, counts), "crawl": {**crawl, "orders": orders(session)}}

    cluster = {"broker": broker_state(running.study)} if named_broker(running.study) else {}
    return {"workspace": str(running.study.root), **running.study.database().read(read), **cluster}


def _view(state: dict[str, Any]) -> RenderableType:
    from omnisrc.cli.status_view import broker_view, crawl_view  # what --json need not wait for

    table = Table(show_header=False, box=None, pad_edge=False)
    for name, value in state.items():
        if name not in ("crawl", "jobs", "errors", "broker"):  # a part of its own shows these
            table.add_row(name.replace("_", " "), Text(_shown(value)))
    cluster = [broker_view(state["broker"]), Text()] if "broker" in state else []
    return Group(table, Text(), *cluster, crawl_view(state["crawl"]))


def _watch(running: Command, every_s: float, sleep: Callable[[float], None] = time.sleep) -> None:
    """Draws until Ctrl-C, which is how one ends it: no failure."""
    try:
        with Live(_view(_look(running)), console=running.console, auto_refresh=False) as live:
            while True:
                began = time.monotonic()
                live.update(_view(_look(running)), refresh=True)
                sleep(max(every_s, 20 * (time.monotonic() - began)))
    except KeyboardInterrupt:
        print(file=sys.stderr)


def _state(session: Session, counts: catalogue.AssetCounts) -> dict[str, Any]:
    assets: Counter[str] = Counter()
    errors: Counter[str] = Counter()
    for (_, _, state, error), count in counts.items():
        assets[state] += count
        if error and state in ("failed", "refused"):
            errors[error] += count
    shards = session.execute(
        select(Shard.kind, func.count(), func.sum(Shard.count), func.sum(Shard.bytes))
        .where(Shard.freed.is_(False))
        .group_by(Shard.kind)
    )
    jobs: dict[str, dict[str, int]] = {}
    for (stage, state), count in ledger.count_jobs(session, list(STAGES)).items():
        jobs.setdefault(stage, {})[state] = count
    targets: dict[str, dict[str, int]] = {}
    for (split, state), count in catalogue.target_counts(session).items():
        targets.setdefault(split, {})[state] = count
    return {
        "class_lists": list(session.scalars(select(ClassList.name).order_by(ClassList.id))),
        "target": targets,
        "assets": dict(assets),
        "errors": dict(errors.most_common()),
        "shards": {kind: {"shards": n, "samples": c, "bytes": b} for kind, n, c, b in shards},
        "samples": {kind: n for kind, n in session.execute(select(Sample.kind, func.count()).group_by(Sample.kind))},
        "selection": _selection(session),
        "jobs": jobs,
        "runs": {run.name: run.state for run in session.scalars(select(Run).where(Run.kind == "train"))},
    }


def _selection(session: Session) -> dict[str, Any]:
    newest = catalogue.latest_selection(session)
    if newest is None:
        return {}
    rows = session.execute(
        select(SelectionMember.reason, func.count())
        .where(SelectionMember.selection_id == newest.id)
        .group_by(SelectionMember.reason)
    )
    return {
        "name": newest.name,
        "decontaminated": newest.decontaminated,
        "packed": newest.packed,
        "members": {reason or "kept": count for reason, count in rows},
    }


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_inner(inner)}" for key, inner in value.items()) or "none"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return str(value)


def _inner(value: Any) -> str:
    if isinstance(value, dict):
        return "(" + ", ".join(f"{key} {inner}" for key, inner in value.items()) + ")"
    return str(value)
