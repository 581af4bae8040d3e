"""A study on real media, offline: the commands a user would type, against a local web of real photographs and clips.

    OMNISRC_REALWEB=folder python bench/realweb.py [--seeds 3] [--workspace realweb-data]

The folder holds `serve.py` (search services and media hosts on loopback), `target/` (labelled clips), `classes.txt`,
and `truth.jsonl`, which is read here for scoring and by no stage. Prints every command and ends with one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench import realweb_score as score

CONCURRENCY = 4
MODEL = [
    "train.model_args={width: 24}", "train.crop_size=80", "train.short_side=90", "train.crop_area=[0.4, 1.0]",
    "train.lr=0.05", "train.weight_decay=5e-4", "train.threads=2", "train.batch_size=16",
    "train.num_segments=3", "train.eval_every=100",
]  # fmt: skip
MIX = ["train.loss_weights={target: 0.5, web: 0.25}"]
"""Every sample of a mixed step weighs the same, and the step is as long as one of the target alone."""

QUICK_EVAL = ["eval.clips=8", "eval.crops=1"]
TARGET_STEPS = int(os.environ.get("REALWEB_STEPS", "400"))


def omnisrc(workspace: Path, *arguments: str, sets: list[str] | None = None, show: bool = True) -> dict[str, Any]:
    """Runs one command with --json and gives its object; its progress goes to this terminal."""
    command = [sys.executable, "-m", "omnisrc", *arguments, "--workspace", str(workspace), "--json"]
    command += [part for setting in sets or [] for part in ("--set", setting)]
    print("$ " + shlex.join(["omnisrc", *command[3:]]), file=sys.stderr, flush=True)
    began = time.monotonic()
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=None if show else subprocess.DEVNULL, text=True)
    if done.returncode:
        raise SystemExit(f"exit code {done.returncode}: {done.stdout}")
    print(f"  ({time.monotonic() - began:.0f} s)", file=sys.stderr, flush=True)
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


@contextmanager
def served(root: Path, log: Path, port: int) -> Iterator[tuple[str, list[str]]]:
    """(search service, media hosts as host:port) of the local web."""
    command = [sys.executable, str(root / "serve.py"), "--log", str(log), "--port", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    try:
        said = json.loads(server.stdout.readline())
        yield said["api"], [host.removeprefix("http://") for host in said["media_hosts"]]
    finally:
        server.terminate()
        server.wait()


def crawl(root: Path, workspace: Path, log: Path, port: int) -> dict[str, Any]:
    with served(root, log, port) as (api, hosts):
        sets = [
            f"providers.commons.endpoint={api}/w/api.php", f"crawl.allow_hosts=[{', '.join(hosts)}]",
            "crawl.host_rate=0", f"crawl.host_concurrency={CONCURRENCY}", "crawl.contact=study@example.org",
        ]  # fmt: skip
        classes = str(root / "classes.txt")
        return omnisrc(
            workspace, "crawl", "--classes", classes, "--provider", "commons", "--per-class", "1000", sets=sets
        )


def export(workspace: Path, what: str) -> list[score.Row]:
    file = workspace / f"{what}.jsonl"
    omnisrc(workspace, "export", what, "--output", str(file), show=False)
    return score.lines(file)


def train(workspace: Path, mix: str, seed: int, steps: int, name: str) -> float:
    """Top-1 on test of one run, in percent."""
    sets = MODEL + (MIX if "web" in mix else [])
    omnisrc(
        workspace, "train", "--mix", mix, "--model", "tsn_r18", "--seed", str(seed), "--steps", str(steps),
        "--name", name, sets=sets,
    )  # fmt: skip
    answer = omnisrc(workspace, "eval", "--run", name, "--split", "test", sets=QUICK_EVAL)
    return 100.0 * float(answer["top1"])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--workspace", type=Path, default=Path("realweb-data"))
    parser.add_argument("--port", type=int, default=18480, help="a part of every URL: keep it to resume")
    options = parser.parse_args()
    if not os.environ.get("OMNISRC_REALWEB"):
        raise SystemExit("Set OMNISRC_REALWEB to the folder of real media.")
    root, workspace = Path(os.environ["OMNISRC_REALWEB"]).resolve(), options.workspace.resolve()
    workspace.mkdir(parents=True, exist_ok=True)
    log = workspace / "server-log.jsonl"
    truth = score.Truth(root)
    found: dict[str, Any] = {}

    omnisrc(workspace, "init")
    omnisrc(workspace, "target", "add", str(root / "target"), "--format", "csv", "--classes", str(root / "classes.txt"))
    crawl(root, workspace, log, options.port)
    found["outcomes"], found["wrong outcomes"] = score.outcomes(export(workspace, "assets"), truth)
    found["politeness"] = score.politeness(log)

    target = [train(workspace, "target", seed, TARGET_STEPS, f"target-{seed}") for seed in range(options.seeds)]
    omnisrc(workspace, "filter", "--teacher", "target-0", "--image-teacher", "target-0")
    selection = export(workspace, "selection")
    found["filter by class"] = score.filtering(selection, truth)
    found["leaks"] = score.leaks(selection, truth)
    mixed = [train(workspace, "web,target", seed, TARGET_STEPS, f"mix-{seed}") for seed in range(options.seeds)]
    found["top-1, target alone"], found["top-1, web and target"] = target, mixed
    found["mean gain"] = statistics.mean(mixed) - statistics.mean(target)
    omnisrc(workspace, "report")
    print(json.dumps(found, indent=2, default=dict))


if __name__ == "__main__":
    main()
