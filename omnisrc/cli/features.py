"""`omnisrc features`: write a recogniser's features of videos, window by window."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from omnisrc.cli.looking import Clips, FlowMethod, Length, Model, Stride, looking_bar, open_looking
from omnisrc.cli.options import Command, Failed, Json, Sets, Workspace, command, open_database
from omnisrc.errors import UserError

if TYPE_CHECKING:
    from omnisrc.cli.looking import Looking
    from omnisrc.evaluate.features.extract import Item

app = typer.Typer()

NAMED = 10
"""Failures that the screen names."""


@app.command()
def features(
    inputs: Annotated[
        list[str] | None, typer.Argument(metavar="VIDEO|FOLDER", help="Or --split.", show_default=False)
    ] = None,
    model: Model = ...,  # type: ignore[assignment]
    split: Annotated[
        str, typer.Option("--split", metavar="SPLIT", help="train, val or test of the study's target.")
    ] = "",
    stage: Annotated[
        str, typer.Option("--stage", metavar="NAME", help="Of the network, pooled.  \\[default: the embedding]")
    ] = "",
    window: Length = 0.0,
    stride: Stride = 0.0,
    clips: Clips = 0,
    flow_method: FlowMethod = "",
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Where the files go.")] = Path(
        "features"
    ),
    workspace: Workspace = None,
    json: Json = False,
    sets: Sets = None,
) -> None:
    """Write a recogniser's features of videos: one .npy of (windows, channels) a video, and index.jsonl.

    Run again, it writes only what is new or has changed; stopped or killed, it goes on.
    """
    with command(workspace, json, sets, database="none") as running:
        from omnisrc.evaluate.features.extract import extract
        from omnisrc.evaluate.features.folder import open_folder

        if bool(inputs) == bool(split):
            raise UserError("Say what to look at: videos and folders, or a split of the target with --split SPLIT.")
        items = _of_split(running, split) if split else _of_files(inputs or [])
        looking = open_looking(running, model, "", window, stride, clips, names=False, flow_method=flow_method)
        settings = _settings(looking, stage)
        failed: dict[str, str] = {}
        new = windows = 0
        with (
            open_folder(output, settings) as folder,
            looking_bar(running.console, len(items)) as (within, next_one),
        ):
            done = extract(
                looking.network, items, looking.plan, looking.pool, folder, stage=stage, report=within,
                reader=looking.reader,
            )  # fmt: skip
            for each in done:
                next_one()
                new += each.new and not each.error
                windows += each.windows
                if each.error:
                    failed[each.name] = each.error
        for error in list(failed.values())[:NAMED]:
            running.console.print(f"[red]{escape(error)}[/]", soft_wrap=True)
        if len(failed) > NAMED:
            running.console.print(f"and {len(failed) - NAMED} more that give nothing; --json names them.")
        there = len(items) - new - len(failed)
        running.console.print(
            f"{new} videos written, {there} were there already, {len(failed)} give nothing: {windows:,} windows in all."
            f" Index: {escape(str(output / 'index.jsonl'))}", soft_wrap=True,
        )  # fmt: skip
        running.emit(**settings, folder=str(output), new=new, there=there, windows=windows, failed=failed)
        if items and len(failed) == len(items):
            raise Failed(f"None of {len(items)} videos gives anything: {next(iter(failed.values()))}", running.answer)


def _of_files(arguments: list[str]) -> list[Item]:
    from omnisrc.evaluate.features.extract import items_of_files
    from omnisrc.evaluate.windows.inputs import read_arguments

    named = read_arguments(arguments)
    if named.urls:
        raise UserError(f"Features are made of files, and {named.urls[0]} is a URL; download it first.")
    return items_of_files(named.files, arguments)


def _of_split(running: Command, split: str) -> list[Item]:
    from omnisrc.data.freeze import target_manifest
    from omnisrc.evaluate.features.extract import items_of_split
    from omnisrc.shards.store import store_of

    open_database(running.study, create=False)
    return list(items_of_split(target_manifest(running.study, split), store_of(running.study)))


def _settings(looking: Looking, stage: str) -> dict[str, Any]:
    """What all features of a folder have in common. Raises UserError for a stage that is not there."""
    network, plan = looking.network, looking.plan
    names = [each.name for each in network.model.trunk.stages]
    if stage and stage not in names:
        raise UserError(f"The network {network.model.name} has no stage {stage!r}; its stages are {', '.join(names)}.")
    return {
        "model": network.model.name, "weights_sha256": network.sha256, "stage": stage or "embedding",
        "window": plan.length, "stride": plan.stride, "crop_size": plan.crop_size, "short_side": plan.short_side,
        "clip_len": plan.view_len, "frame_interval": 0 if plan.spread else plan.sampler.frame_interval,
        "clips": plan.views, "target_fps": plan.sampler.target_fps, "precision": network.precision,
        **looking.reader.about,
    }  # fmt: skip
