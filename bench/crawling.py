"""One crawl of a table of URLs with the command line, timed from its start to its end; and a rival's environment."""

from __future__ import annotations

import csv
import json
import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from bench.memory import Memory

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Crawled:
    """What a crawl came to: files/s, start-up included; MB once a second; bytes a file in shards and in SQL."""

    rate: float
    memory: list[float]
    stored_bytes: float
    catalogue_bytes: float


def crawl(urls: list[str], port: int, workspace: Path, at_once: int) -> Crawled:
    """`omnisrc crawl --provider table`, of which every URL must end stored. Beside the study's own, the settings are
    those that a host of one's own asks for: no pacing, and more requests at once than a stranger's is sent."""
    table = workspace.with_suffix(".csv")
    with table.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["url", "class"])
        rows.writerows([url, "anything"] for url in urls)
    classes = workspace.with_suffix(".txt")
    classes.write_text("anything\n")
    command = [sys.executable, "-m", "omnisrc", "crawl", "--workspace", str(workspace), "--classes", str(classes)]
    command += ["--provider", "table", "--per-class", str(len(urls)), "--json"]
    for setting in (
        f"providers.table.path={table}", f"crawl.allow_hosts=['127.0.0.1:{port}']", "crawl.host_rate=0",
        f"crawl.host_concurrency={at_once}", f"crawl.concurrency={at_once}", "media.image_short_side=256",
    ):  # fmt: skip
        command += ["--set", setting]
    began = time.monotonic()
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    memory = Memory(process.pid)
    output, _ = process.communicate()
    seconds, series = time.monotonic() - began, memory.stop()
    assert process.returncode == 0, output
    export = [sys.executable, "-m", "omnisrc", "export", "assets", "--workspace", str(workspace)]
    lines = subprocess.run(export, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    stored = sum(json.loads(line)["state"] == "stored" for line in lines)
    assert stored == len(urls), f"{stored} of {len(urls)} stored"
    with closing(sqlite3.connect(workspace / "catalog.db")) as catalogue:
        catalogue.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # what the log still holds belongs to the file
    landed = sum(path.stat().st_size for path in (workspace / "landing").glob("*.tar"))
    return Crawled(stored / seconds, series, landed / stored, (workspace / "catalog.db").stat().st_size / stored)


def rival_python(name: str, *packages: str) -> Path:
    """A python with a rival in an environment of its own: OMNISRC_NAME names it, else build/NAME is made with pip."""
    named = os.environ.get(f"OMNISRC_{name.upper()}")
    if named:
        return Path(named)
    place = ROOT / "build" / name
    if not (place / ".installed").exists():
        subprocess.run([sys.executable, "-m", "venv", str(place)], check=True)
        subprocess.run([str(place / "bin" / "pip"), "install", "-q", *packages], check=True)
        (place / ".installed").touch()
    return place / "bin" / "python"


def run_rival(python: Path, code: str, *arguments: str) -> float:
    """Seconds that a rival's program takes, start-up included."""
    began = time.monotonic()
    done = subprocess.run([str(python), "-c", code, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return time.monotonic() - began


def successes(output: Path) -> int:
    """How many samples a rival's own statistics call a success."""
    return sum(int(json.loads(path.read_text())["successes"]) for path in output.glob("*_stats.json"))
