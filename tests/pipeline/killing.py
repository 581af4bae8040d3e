"""Commands that are killed at random while they run, and the books that must balance afterwards."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omnisrc.shards.read import ShardReader, read_bytes, read_index

ROOT = Path(__file__).resolve().parents[2]
LIMIT_S = 240.0


def start(workspace: Path, *arguments: str, env: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "omnisrc", *arguments, "--workspace", str(workspace)]
    log = (workspace.parent / f"{workspace.name}.log").open("ab")
    return subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, start_new_session=True, env=env)


def end(process: subprocess.Popen[bytes]) -> None:
    """Sees that nothing of a command is left running."""
    for pid in [*descendants(process.pid), process.pid] if process.poll() is None else []:
        _kill(pid)
    process.wait()


def finish(workspace: Path, *arguments: str) -> None:
    """Runs a command to its end."""
    process = start(workspace, *arguments)
    try:
        assert process.wait(LIMIT_S) == 0, log_of(workspace)
    finally:
        end(process)


def log_of(workspace: Path) -> str:
    """The end of what the commands on a workspace have printed."""
    return (workspace.parent / f"{workspace.name}.log").read_text()[-4000:]


def descendants(pid: int) -> list[int]:
    found: list[int] = []
    waiting = [pid]
    while waiting:
        parent = waiting.pop()
        for children in Path(f"/proc/{parent}/task").glob("*/children"):
            try:
                waiting += (born := [int(child) for child in children.read_text().split()])
            except OSError:
                continue
            found += born
    return found


def processes(command: subprocess.Popen[bytes]) -> dict[str, list[int]]:
    """What runs of a crawl: the command itself, its workers, and their guards."""
    found: dict[str, list[int]] = {"command": [command.pid], "worker": [], "guard": []}
    for pid in descendants(command.pid):
        try:
            line = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
        if b"omnisrc.engine.worker" in line:
            found["worker"].append(pid)
        elif b"omnisrc.media.guard_child" in line:
            found["guard"].append(pid)
    return found


def kill(process: subprocess.Popen[bytes], rng: random.Random) -> str:
    """SIGKILLs the engine with all its children, or one child."""
    children = descendants(process.pid)
    if rng.random() < 0.5 or not children:
        for pid in [process.pid, *children]:
            _kill(pid)
        process.wait()
        return "all"
    _kill(rng.choice(children))
    return "child"


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def run_with_kills(workspace: Path, kills: int, rng: random.Random, span: tuple[float, float], *arguments: str) -> int:
    """Runs a command again and again until it ends by itself, killing something of it at random moments `span` seconds
    apart, at most `kills` times; how many kills hit."""
    hit = 0
    until = time.monotonic() + LIMIT_S
    while True:
        process = start(workspace, *arguments)
        while process.poll() is None:
            assert time.monotonic() < until, "it does not come to an end"
            if hit >= kills:
                process.wait(LIMIT_S)
                break
            try:
                process.wait(rng.uniform(*span))
            except subprocess.TimeoutExpired:
                hit += 1
                if kill(process, rng) == "all":
                    break
        if process.returncode == 0:
            return hit
        assert process.returncode == -signal.SIGKILL, log_of(workspace)


def rows(workspace: Path, what: str) -> list[dict[str, Any]]:
    command = [sys.executable, "-m", "omnisrc", "export", what, "--workspace", str(workspace)]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def outcomes(workspace: Path) -> dict[str, tuple[str, str | None, str | None]]:
    """URL -> (state, error, SHA-256). Of equal bytes any one may be the stored one: `stored` and `duplicate` are told
    apart by `stored_once`."""
    return {
        row["url"]: ("held" if row["state"] in ("stored", "duplicate") else row["state"], row["error"], row["sha256"])
        for row in rows(workspace, "assets")
    }


def stored_once(workspace: Path) -> None:
    """Every stored asset's bytes lie in exactly one place, every duplicate's too, and no shard holds anything else."""
    assets = [row for row in rows(workspace, "assets") if row["state"] in ("stored", "duplicate")]
    first = Counter(row["sha256"] for row in assets if row["state"] == "stored")
    assert set(first.values()) <= {1}
    assert {row["sha256"] for row in assets} == set(first)
    places = Counter((row["shard"], row["key"]) for row in assets if row["state"] == "stored")
    assert set(places.values()) <= {1}
    held = {(shard, key) for shard in {row["shard"] for row in assets} for key in keys(workspace / shard)}
    assert held == set(places)


def keys(shard: Path) -> list[str]:
    found = [key for key, _ in ShardReader(shard)]
    assert len(found) == len(set(found))
    for member in read_index(shard):
        assert len(read_bytes(shard, member.offset, member.length)) == member.length
    return found


def doctor(workspace: Path, *sets: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "omnisrc", "doctor", "--deep", "--json", "--workspace", str(workspace)]
    command += [part for setting in sets for part in ("--set", setting)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def samples(workspace: Path) -> Counter[tuple[Any, ...]]:
    """(bytes, window) of every sample, with the error of what was set aside."""
    return Counter(
        (row["sha256"], row["kind"], json.dumps(row["window"]), row["error"]) for row in rows(workspace, "samples")
    )


def packed(workspace: Path) -> Counter[str]:
    """SHA-256 of the curated members' labels and source bytes, by count: what a training run would see."""
    found: Counter[str] = Counter()
    for row in rows(workspace, "selection"):
        if not row["kept"]:
            assert row["shard"] is None
            continue
        fields = ShardReader(workspace / row["shard"]).get(row["key"])
        meta = json.loads(fields["json"])
        found[hashlib.sha256(json.dumps([row["url"], row["window"], meta["labels"]]).encode()).hexdigest()] += 1
    return found


def curated_members(workspace: Path) -> int:
    """Members of the curated shards that the newest selection's kept samples lie in."""
    shards = {row["shard"] for row in rows(workspace, "selection") if row["shard"]}
    return sum(len(keys(workspace / shard)) for shard in shards)
