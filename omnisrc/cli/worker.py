"""`omnisrc worker`: work off open jobs."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from omnisrc.cli.options import Command, Json, Sets, Workspace, command
from omnisrc.config import near
from omnisrc.engine.celery_workers import CeleryWorkers, cuda_devices, posts
from omnisrc.engine.doorbell import named_broker
from omnisrc.engine.registry import QUEUES, stages_of
from omnisrc.engine.run import run_stages
from omnisrc.engine.settings import EngineSettings
from omnisrc.errors import UserError

app = typer.Typer()


@app.command()
def worker(
    queues: Annotated[str, typer.Option("--queues", metavar="NAME[,NAME]", help="Of io, cpu, gpu.")] = "io,cpu,gpu",
    engine: Annotated[
        str | None,
        typer.Option(
            "--engine",
            metavar="NAME",
            help="local: plain processes; celery: Celery workers.",
            show_default="celery where a broker is set",
        ),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="End when there is no open job (local).")] = False,
    workspace: Workspace = None,
    json: Json = False,
    sets: Sets = None,
) -> None:
    """Work off open jobs of the study's ledger until stopped.

    With Celery: the queue io in forked processes (engine.io_workers), cpu likewise (engine.cpu_workers), gpu in one
    process for each GPU, or in one on the CPU where there is none. Who dies is started again.
    """
    names = list(dict.fromkeys(name.strip() for name in queues.split(",") if name.strip()))
    for name in names:
        if name not in QUEUES:
            raise UserError(f"There is no queue {name!r}.{near(name, QUEUES)}")
    with command(workspace, json, sets) as running:
        chosen = engine or ("celery" if named_broker(running.study) and not once else "local")
        if chosen not in ("local", "celery"):
            raise UserError(f"There is no engine {engine!r}; use --engine local or --engine celery.")
        if chosen == "celery" and once:
            raise UserError("--once is of the local engine; Celery workers wait for doorbells until they are stopped.")
        running.console.print(f"Working on {', '.join(names)} ({chosen}); Ctrl-C stops.")
        _celery(running, names) if chosen == "celery" else _local(running, names, once)


def _local(running: Command, names: list[str], once: bool) -> None:
    summary = run_stages(running.study, stages_of(names), forever=not once)
    running.emit(seconds=round(summary.seconds, 1), failed=[vars(job) for job in summary.failed])


def _celery(running: Command, names: list[str]) -> None:
    settings = running.study.section(EngineSettings)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    here = posts(names, settings, cuda_devices() if "gpu" in names else (), cores)
    for post in here:
        running.console.print(f"{post.name}: {post.pool}, {post.processes} at a time {post.env or ''}".rstrip())
    crew = CeleryWorkers(running.study, here, running.console.print)
    crew.run()
    running.emit(restarts=crew.restarts)
