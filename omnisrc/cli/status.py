"""`omnisrc status`: what the study holds and what is being done."""

from __future__ import annotations

from collections import Counter
from typing import Any

import typer
from rich.table import Table
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from db import catalogue, ledger
from db.models import ClassList, Run, Sample, SelectionMember, Shard
from omnisrc.cli.options import Json, Sets, Workspace, command
from omnisrc.engine.registry import STAGES

app = typer.Typer()


@app.command()
def status(workspace: Workspace = None, json: Json = False, sets: Sets = None) -> None:
    """Show the study's class list, target, web data, selections, runs and open jobs."""
    with command(workspace, json, sets) as running:
        state = running.study.database().read(_state)
        running.emit(workspace=str(running.study.root), **state)
        table = Table(show_header=False, box=None, pad_edge=False)
        table.add_row("workspace", str(running.study.root))
        for name, value in state.items():
            table.add_row(name.replace("_", " "), _shown(value))
        running.console.print(table)


def _state(session: Session) -> dict[str, Any]:
    assets: Counter[str] = Counter()
    errors: Counter[str] = Counter()
    for (_, _, state, error), count in catalogue.asset_counts(session).items():
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
        "runs": {run.name: run.state for run in session.scalars(select(Run).where(Run.kind == "train"))},
        "jobs": jobs,
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
