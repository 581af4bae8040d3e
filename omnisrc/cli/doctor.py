"""`omnisrc doctor`: litter, damage, and what this machine offers."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import shutil
import sys
from dataclasses import asdict
from typing import Annotated

import typer
from rich.table import Table

from db import ledger
from omnisrc.cli.options import Failed, Json, Sets, Workspace, command
from omnisrc.data.flow_inventory import CacheState, inspect_flow
from omnisrc.engine.owner import is_dead
from omnisrc.shards.inventory import remove_litter, take_inventory
from omnisrc.shards.store import store_of

app = typer.Typer()

PACKAGES = ("s3fs", "torch", "torchvision", "torchcodec", "av", "faiss", "webdataset", "celery", "kombu", "sqlalchemy")


@app.command()
def doctor(
    deep: Annotated[bool, typer.Option("--deep", help="Read every shard and check its hash, index and count.")] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Only name litter, do not remove it.")] = False,
    workspace: Workspace = None,
    json: Json = False,
    sets: Sets = None,
) -> None:
    """Return what dead workers held, remove files that no row names, and report damage (exit code 1)."""
    with command(workspace, json, sets) as running:
        returned = ledger.reap(running.study.database(), is_dead)
        found = take_inventory(running.study, deep=deep)
        flow = inspect_flow(store_of(running.study), deep=deep)
        damage = [*found.damage, *(line for cache in flow for line in cache.damage)]
        freed = 0 if keep else remove_litter(running.study, found)
        versions = {name: _version(name) for name in PACKAGES}
        running.emit(
            shards=found.shards,
            bytes=found.bytes,
            litter=[running.study.told(place) for place in found.litter],
            litter_removed=not keep,
            damage=damage,
            flow=[asdict(cache) for cache in flow],
            jobs_returned=returned,
            versions=versions,
            free_bytes=shutil.disk_usage(running.study.root).free,
        )
        table = Table(show_header=False, box=None)
        table.add_row("shards", f"{found.shards} ({found.bytes / 1e6:.1f} MB)" + (", each read" if deep else ""))
        for cache in flow:
            table.add_row(f"flow {cache.name}", _told(cache))
        verb = "named" if keep else f"removed, {freed / 1e6:.1f} MB"
        table.add_row("litter", f"{len(found.litter)} files {verb}" if found.litter else "none")
        table.add_row("damage", f"{len(damage)}" if damage else "none")
        table.add_row("jobs of dead workers", f"{returned} returned")
        table.add_row("disk", f"{shutil.disk_usage(running.study.root).free / 1e9:.1f} GB free")
        table.add_row("machine", f"Python {platform.python_version()}, {os.cpu_count()} cores")
        table.add_row("packages", ", ".join(f"{name} {version or 'missing'}" for name, version in versions.items()))
        running.console.print(table)
        for line in damage:
            running.console.print(f"[red]damaged[/] {line}", soft_wrap=True)
        if found.damage:
            files = len({line.partition(": ")[0] for line in found.damage})
            sentence = f"{files} files are damaged; restore them, or crawl and filter again."
            raise Failed(sentence, running.answer)
        if broken := [cache.name for cache in flow if cache.damage]:
            raise Failed(f"Flow is damaged in the cache {', '.join(broken)}: make it again.", running.answer)


def _told(cache: CacheState) -> str:
    """One line of a cache of flow."""
    facts = cache.facts
    made = f"{facts.method}, bound {facts.bound:g}, {facts.version}: " if facts else ""
    lost = f" ({cache.unreadable} unreadable)" if cache.unreadable else ""
    begun = f", {cache.begun} shards begun" if cache.begun else ""
    size = f"{cache.clips} clips{lost} in {cache.shards} shards, {cache.bytes / 1e6:.1f} MB{begun}"
    return f"{made}{size}, {'broken' if cache.damage else 'whole'}"


def _version(name: str) -> str | None:
    """The installed version, without importing the package."""
    if name not in sys.modules and importlib.util.find_spec(name) is None:
        return None
    for distribution in importlib.metadata.packages_distributions().get(name, [name]):
        return importlib.metadata.version(distribution)
    return None
