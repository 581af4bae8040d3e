"""The crawl against the small web of real media that OMNISRC_REALWEB names."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from omnisrc.cli import main
from omnisrc.study import Study
from tests.crawl.studies import assets
from tests.crawl.test_fetch import check_shards
from tests.services import free_port

pytestmark = [pytest.mark.realweb, pytest.mark.timeout(900)]
CONCURRENCY = 3

EXPECTED = {
    "ok": {("stored", None), ("duplicate", None)},
    "near-duplicate": {("stored", None)},
    "redirect": {("stored", None)},
    "duplicate": {("stored", None), ("duplicate", None)},
    "500-once": {("stored", None)},
    "429-once": {("stored", None)},
    "slow": {("failed", "timeout")},
    "404": {("failed", "http-4xx")},
    "410": {("failed", "http-4xx")},
    "truncated": {("failed", "truncated")},
    "html": {("refused", "not-media")},
    "empty": {("refused", "empty")},
    "headless": {("refused", "decode")},
    "bomb": {("refused", "bomb")},
    "redirect-private": {("refused", "refused-address")},
    "redirect-loop": {("failed", "redirect")},
    "noai": {("refused", "opt-out")},
    "robots": {("refused", "robots")},
}
"""What must become of an item by its behaviour. Of items with equal bytes the first that comes is stored."""


@dataclass
class Served:
    api: str
    hosts: list[str]
    log: Path
    root: Path


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    root = Path(os.environ["OMNISRC_REALWEB"]).resolve()
    log = tmp_path_factory.mktemp("realweb") / "log.jsonl"
    command = [sys.executable, str(root / "serve.py"), "--port", str(free_port()), "--log", str(log)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        said = json.loads(process.stdout.readline())
        yield Served(said["api"], [host.removeprefix("http://") for host in said["media_hosts"]], log, root)
    finally:
        process.kill()
        process.wait()


def test_every_item_comes_out_as_its_behaviour_says(served: Served, tmp_path: Path) -> None:
    sets = [
        f"providers.commons.endpoint={served.api}/w/api.php", f"crawl.allow_hosts={served.hosts}", "crawl.host_rate=0",
        f"crawl.host_concurrency={CONCURRENCY}",
    ]  # fmt: skip
    arguments = ["crawl", "--workspace", str(tmp_path / "study"), "--classes", str(served.root / "classes.txt")]
    assert main.run([*arguments, "--per-class", "1000", *[part for text in sets for part in ("--set", text)]]) == 0

    study = Study.open(tmp_path / "study")
    items = {item["id"]: item for item in map(json.loads, (served.root / "web/items.jsonl").read_text().splitlines())}
    outcome: Counter = Counter()
    stored_as: dict[str, list[str]] = {}
    seen = set()
    for asset in assets(study):
        item = next(items[part] for part in asset["url"].split("/") if part in items)
        seen.add(item["id"])
        outcome[item["behaviour"], asset["state"], asset["error"]] += 1
        if asset["sha256"]:
            stored_as.setdefault(asset["sha256"], []).append(asset["state"])
    wrong = {key: count for key, count in outcome.items() if key[1:] not in EXPECTED[key[0]]}
    assert wrong == {} and seen == set(items)
    assert all(states.count("stored") == 1 for states in stored_as.values())
    assert outcome["duplicate", "duplicate", None] + outcome["ok", "duplicate", None] >= 60
    assert check_shards(study) == len(stored_as)

    asked = [json.loads(line) for line in served.log.read_text().splitlines()]
    assert max(line["concurrent"] for line in asked) <= CONCURRENCY
    assert all(line["host"] != "127.0.0.99" for line in asked)
    assert not any(line["path"].startswith("/private/") for line in asked)
    assert all(line["user_agent"].startswith("omnisrc/") for line in asked)
    assert sum(line["path"] == "/robots.txt" for line in asked) == len(served.hosts)
