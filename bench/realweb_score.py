"""Scores a study of the real-media web against its truth: outcomes by behaviour, the filter by class, leaks."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

Row = dict[str, Any]

EXPECTED = {
    "ok": {("stored", None)},
    "near-duplicate": {("stored", None)},
    "redirect": {("stored", None)},
    "duplicate": {("duplicate", None)},
    "500-once": {("stored", None)},
    "429-once": {("stored", None)},
    "slow": {("stored", None), ("failed", "timeout")},
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
INSIDE = "127.0.0.99"


def lines(path: Path) -> list[Row]:
    return [json.loads(line) for line in path.read_text().splitlines() if line.strip()]


def item_id(url: str) -> str:
    """.../media/ID/name, .../thumb/330/ID/name or .../private/ID/name -> ID."""
    parts = urlsplit(url).path.split("/")
    return parts[3] if parts[1] == "thumb" else parts[2]


class Truth:
    """What each item of the web is, by id."""

    def __init__(self, root: Path) -> None:
        self.items = {row["id"]: row for row in lines(root / "web" / "items.jsonl")}
        self.truth = {row["id"]: row for row in lines(root / "truth.jsonl")}

    def label(self, item: str, window: list[float] | None) -> str | None:
        """What the item shows; in a compilation, what more than half of the window shows."""
        row = self.truth[item]
        if not row.get("segments"):
            return row["label"]
        if window is None:
            return None
        start, end = window
        shown: Counter[str] = Counter()
        for first, last, name in row["segments"]:
            shown[name] += max(0.0, min(end, last) - max(start, first))  # type: ignore[assignment]
        name, seconds = shown.most_common(1)[0]
        return name if seconds > (end - start) / 2 else None


def outcomes(assets: Iterable[Row], truth: Truth) -> tuple[dict[str, Counter[str]], list[str]]:
    """(behaviour -> outcomes, items that did not come out as they must).

    Of equal bytes the first that arrives is stored and the others are duplicates of it, whatever their behaviour says.
    """
    table: dict[str, Counter[str]] = defaultdict(Counter)
    wrong: list[str] = []
    seen: set[str] = set()
    for asset in assets:
        item = item_id(asset["url"])
        seen.add(item)
        behaviour = truth.items[item]["behaviour"]
        outcome = (asset["state"], asset["error"])
        table[behaviour]["/".join(filter(None, outcome))] += 1
        allowed = set(EXPECTED[behaviour])
        if truth.truth[item].get("same_bytes"):
            allowed |= {("stored", None), ("duplicate", None)}
        if outcome not in allowed:
            wrong.append(f"{item} ({behaviour}): {asset['state']} {asset['error']} {asset['http_status']}")
    wrong += [f"{item}: never found" for item in truth.items if item not in seen]
    return dict(table), wrong


def politeness(log: Path) -> dict[str, Any]:
    """From the server's log: connections to the inside address, and requests at once by host."""
    rows = lines(log)
    most: Counter[str] = Counter()
    for row in rows:
        most[row["host"]] = max(most[row["host"]], row["concurrent"])
    inside = sum(row["host"] == INSIDE for row in rows)
    private = sum((row["path"] or "").startswith("/private/") for row in rows)
    return {"requests": len(rows), "inside": inside, "private": private, "at once by host": dict(most)}


def filtering(selection: Iterable[Row], truth: Truth) -> dict[str, dict[str, float]]:
    """Class -> true samples judged, kept, right among the kept, precision, recall. A sample counts for its label."""
    judged: Counter[str] = Counter()
    kept: Counter[str] = Counter()
    right: Counter[str] = Counter()
    for row in selection:
        if row["url"] is None or row["reason"] in ("contaminated", "near-duplicate", "aside"):
            continue
        label = truth.label(item_id(row["url"]), row["window"])
        if label in row["classes"]:
            judged[label] += 1
        if row["kept"]:
            kept[row["label"]] += 1
            right[row["label"]] += label == row["label"]
    names = sorted(set(judged) | set(kept))
    table = {name: _shares(judged[name], kept[name], right[name]) for name in names}
    table["all"] = _shares(judged.total(), kept.total(), right.total())
    return table


def _shares(judged: int, kept: int, right: int) -> dict[str, float]:
    precision, recall = right / kept if kept else float("nan"), right / judged if judged else float("nan")
    return {"true": judged, "kept": kept, "right": right, "precision": precision, "recall": recall}


def leaks(selection: Iterable[Row], truth: Truth) -> dict[str, Any]:
    """Stills that were taken from test videos: how many were caught, and what was called a leak and is none."""
    planted, caught, alarms = 0, 0, []
    for row in selection:
        if row["url"] is None:
            continue
        item = item_id(row["url"])
        leak = truth.truth[item].get("leak_of") is not None
        planted += leak
        caught += leak and row["reason"] == "contaminated"
        if row["reason"] == "contaminated" and not leak:
            alarms.append(item)
    return {"planted": planted, "caught": caught, "false alarms": alarms}
