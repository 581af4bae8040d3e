"""The demo: the main job in small. It renders a world, serves its web on loopback, and runs the commands of a study.

Every step is the real command in a process of its own; the demo only prints it, waits, and reads its JSON answer.
"""

from __future__ import annotations

import csv
import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml
from rich.console import Console
from rich.progress import Progress

from omnisrc.demo.server import serving
from omnisrc.demo.world import World, render_world
from omnisrc.errors import Interrupted, UserError, WorldError

MARK = ".omnisrc-demo"
MODEL = "slowonly_r18"
SHARES = "{target: 0.5, web: 0.25}"
"""Weights of the losses in a mix: every sample weighs the same, and a step is as long as one of the target alone."""


@dataclass(frozen=True)
class Recipe:
    """How the demo's students are trained. The same for every arm but for what it names."""

    steps: int = 240  # optimiser steps of the arms that see the web, and of the target alone at the same target steps
    compute: int = 2  # a mixed step sees as many web samples as target samples: the target alone gets twice the steps
    settings: dict[str, Any] = field(
        default_factory=lambda: {
            "train": {
                "model_args": {"width": 16},
                "clip_len": 8,
                "frame_interval": 2,
                "num_segments": 1,
                "crop": "centre",
                "crop_size": 48,
                "short_side": 48,
                "batch_size": 16,
                "lr": 0.02,
                "warmup": 0.15,
                "nesterov": True,
                "weight_decay": 5e-4,
                "threads": 2,
                "eval_every": 480,  # val is too small to choose a checkpoint by: the last step is scored
            },
            "eval": {"clips": 2, "crops": 1, "amp": "off"},  # the same figures on every CPU, here and in the filter
            "filter": {"clips": 2, "amp": "off", "contamination_bits": 31},  # drawn pictures are more alike than photos
        }
    )


@dataclass(frozen=True)
class Arm:
    """One student of the comparison."""

    name: str
    title: str
    mix: str
    selection: str | None
    steps: int


@dataclass
class DemoResult:
    """What the demo found. `top1` is in percent on the test split, by arm."""

    seed: int
    seconds: float = 0.0
    funnel: dict[str, int] = field(default_factory=dict)
    failures: dict[str, int] = field(default_factory=dict)
    top1: dict[str, float] = field(default_factory=dict)
    titles: dict[str, str] = field(default_factory=dict)
    filter: dict[str, float] = field(default_factory=dict)
    report: str = ""


class Shell:
    """Runs `omnisrc` commands in one workspace, as a user would."""

    def __init__(self, workspace: Path, console: Console) -> None:
        self.workspace, self.console = workspace, console

    def __call__(self, *arguments: str) -> dict[str, Any]:
        """The JSON answer of one command; its progress goes to this terminal.

        Raises:
            WorldError: it failed. Interrupted: the user stopped it.
        """
        self.console.print(f"\n[bold]$ omnisrc {_shown(arguments)}[/]", soft_wrap=True)
        command = [sys.executable, "-m", "omnisrc", *arguments, "--workspace", str(self.workspace), "--json"]
        began = time.monotonic()
        try:
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=_environment())
        except KeyboardInterrupt:
            done = None
        if done is None or done.returncode == 130:
            raise Interrupted("The demo was stopped; it begins anew when you run it again.")
        if done.returncode != 0:
            raise WorldError(f"The demo's `omnisrc {arguments[0]}` ended with exit code {done.returncode}.")
        self.console.print(f"[dim]({time.monotonic() - began:.0f} s)[/]")
        answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return answer


def _shown(arguments: Iterable[str]) -> str:
    return shlex.join(arguments).replace("[", r"\[")


def _environment() -> dict[str, str]:
    here = str(Path(__file__).resolve().parents[2])
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [here, os.environ.get("PYTHONPATH")]))}


def run_demo(folder: Path, seed: int, console: Console, recipe: Recipe | None = None) -> DemoResult:
    """Runs the whole demo in `folder`, which it owns.

    Raises:
        UserError: the folder holds something else.
    """
    began, recipe = time.monotonic(), recipe or Recipe()
    _own(folder)
    world = _rendered(folder / "world", seed, console)
    study = folder / "study"
    shutil.rmtree(study, ignore_errors=True)
    result, shell = DemoResult(seed), Shell(study, console)
    shell("init")
    _write_settings(study, recipe)
    shell("target", "add", str(world.target_csv), "--format", "csv", "--classes", str(world.class_list))
    with serving(world.web) as site:
        _crawl(shell, world, site)
    arms = _arms(recipe)
    _train(shell, arms[0], seed, result)
    _select(shell, world, study, result)
    for arm in arms[1:]:
        _train(shell, arm, seed, result)
    result.report = str(shell("report", "--selection", "filtered").get("file", study / "reports" / "report.html"))
    result.seconds = time.monotonic() - began
    (folder / "result.json").write_text(json.dumps(vars(result), indent=1) + "\n")
    return result


def _own(folder: Path) -> None:
    """Takes an empty folder, or one that a demo made."""
    if folder.exists() and any(folder.iterdir()) and not (folder / MARK).exists():
        raise UserError(f"The folder {folder} holds something that is no demo; name another with --workspace.")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARK).touch()


def _rendered(folder: Path, seed: int, console: Console) -> World:
    with Progress(console=console, transient=False) as bars:
        bar = bars.add_task(f"Rendering the world of seed {seed}", total=None)
        return render_world(folder, seed, progress=lambda done, total: bars.update(bar, completed=done, total=total))


def _write_settings(study: Path, recipe: Recipe) -> None:
    (study / "omnisrc.yaml").write_text("# The demo's settings\n" + yaml.safe_dump(recipe.settings, sort_keys=False))


def _crawl(shell: Shell, world: World, site: str) -> None:
    shell(
        "crawl", "--classes", str(world.class_list), "--provider", "commons", "--per-class", "200",
        "--set", f"providers.commons.endpoint=http://{site}/w/api.php", "--set", f"crawl.allow_hosts=['{site}']",
        "--set", "crawl.host_rate=0", "--set", "crawl.host_concurrency=8", "--set", "crawl.contact=demo@example.org",
    )  # fmt: skip


def _arms(recipe: Recipe) -> list[Arm]:
    steps = recipe.steps
    return [
        Arm("teacher", "target alone, same compute: the teacher", "target", None, recipe.compute * steps),
        Arm("target-steps", "target alone, same target steps", "target", None, steps),
        Arm("unfiltered", "target + unfiltered web", "web,target", "unfiltered", steps),
        Arm("filtered", "target + filtered web", "web,target", "filtered", steps),
        Arm("true-labels", "target + web with true labels", "web,target", "true", steps),
    ]


def _train(shell: Shell, arm: Arm, seed: int, result: DemoResult) -> None:
    command = ["train", "--mix", arm.mix, "--model", MODEL, "--seed", str(seed), "--steps", str(arm.steps)]
    if arm.selection:
        command += ["--selection", arm.selection, "--set", f"train.loss_weights={SHARES}"]
    shell(*command, "--name", arm.name)
    answer = shell("eval", "--run", arm.name, "--split", "test")
    result.top1[arm.name] = 100.0 * float(answer["top1"])
    result.titles[arm.name] = arm.title


def _select(shell: Shell, world: World, study: Path, result: DemoResult) -> None:
    """Three selections of the same web: by the teacher, without a filter, and by the truth."""
    shell("filter", "--teacher", "teacher", "--name", "filtered")
    shell("filter", "--redo", "select", "--rule", "all", "--name", "unfiltered")
    shell("export", "assets", "--output", str(study / "assets.jsonl"))
    shell("export", "selection", "--name", "filtered", "--output", str(study / "filtered.jsonl"))
    assets, members = _lines(study / "assets.jsonl"), _lines(study / "filtered.jsonl")
    _write_truth(study / "true-labels.csv", world, assets)
    shell(
        "filter", "--redo", "select", "--rule", "labels", "--labels", str(study / "true-labels.csv"), "--name", "true"
    )
    states = Counter(row["state"] for row in assets)
    kept = [row for row in members if row["kept"]]
    result.funnel = {
        "found": len(assets),
        "stored": states["stored"],
        "samples": len(members),
        "kept": len(kept),
        "packed": sum(row["shard"] is not None for row in kept),
    }
    result.failures = dict(Counter(row["error"] for row in assets if row["error"]).most_common())
    result.filter = _score(world, members)


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def item_of(url: str) -> str:
    """The item of the demo's web that a URL means: /media/ID/name, /thumb/WIDTH/ID/name, /private/ID/name."""
    parts = urlsplit(url).path.split("/")
    return parts[3] if parts[1] == "thumb" else parts[2]


def _write_truth(path: Path, world: World, assets: list[dict[str, Any]]) -> None:
    """What a person would have said of each asset, as labels for `filter --rule labels`."""
    truth = world.truth()
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["url", "label", "start", "end"])
        for asset in assets:
            shown = truth[item_of(asset["url"])]
            for start, end, label in shown.segments:
                if label is not None:
                    rows.writerow([asset["url"], label, start, end])
            if not shown.segments and shown.label is not None:
                rows.writerow([asset["url"], shown.label, "", ""])


def _score(world: World, members: list[dict[str, Any]]) -> dict[str, float]:
    """Shares of web samples that show what their label says: of all (asked class), of those kept (teacher's class)."""
    truth = world.truth()

    def shows(row: dict[str, Any], label: str) -> bool:
        shown = truth[item_of(row["url"])]
        if not shown.segments:
            return shown.label == label
        start, end = row["window"] or (0.0, 0.0)
        overlaps = ((min(end, last) - max(start, first), name) for first, last, name in shown.segments)
        return sum(max(0.0, seconds) for seconds, name in overlaps if name == label) > (end - start) / 2

    asked = [any(shows(row, name) for name in row["classes"]) for row in members]
    kept = [shows(row, row["label"]) for row in members if row["kept"]]
    recall = sum(kept) / max(1, sum(asked))
    return {"true before": _share(asked), "true among the kept": _share(kept), "recall": recall}


def _share(right: list[bool]) -> float:
    return sum(right) / len(right) if right else 0.0
