"""The demo on several seeds, as one table: `python bench/demo_seeds.py 5 6 7 8 9 [--folder DIR]`.

Seeds that lie in the folder already are not run again.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


def result(seed: int, folder: Path) -> dict[str, Any]:
    place = folder / f"seed-{seed}"
    if not (place / "result.json").exists():
        command = [sys.executable, "-m", "omnisrc", "demo", "--seed", str(seed), "--workspace", str(place)]
        subprocess.run(command, cwd=ROOT, check=True, stdout=sys.stderr)
    found: dict[str, Any] = json.loads((place / "result.json").read_text())
    return found


def table(results: list[dict[str, Any]]) -> str:
    """Top-1 on test by arm and seed, with mean and standard deviation; then the filter and the funnel."""
    head = ["trained on", *[f"seed {row['seed']}" for row in results], "mean", "std"]
    lines = [head, ["---"] * len(head)]
    for arm, title in results[0]["titles"].items():
        scores = [row["top1"][arm] for row in results]
        spread = statistics.stdev(scores) if len(scores) > 1 else 0.0
        lines.append([title, *[f"{score:.1f}" for score in scores], f"{statistics.mean(scores):.1f}", f"{spread:.1f}"])
    text = _markdown(lines)
    rows = [["", *[f"seed {row['seed']}" for row in results]], ["---"] * (len(results) + 1)]
    for name in results[0]["filter"]:
        rows.append([name, *[f"{row['filter'][name]:.2f}" for row in results]])
    for name in results[0]["funnel"]:
        rows.append([name, *[str(row["funnel"][name]) for row in results]])
    rows.append(["minutes", *[f"{row['seconds'] / 60:.1f}" for row in results]])
    return text + "\n" + _markdown(rows)


def _markdown(rows: list[list[str]]) -> str:
    return "".join("| " + " | ".join(row) + " |\n" for row in rows)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("seeds", type=int, nargs="+")
    parser.add_argument("--folder", type=Path, default=Path("demo-data") / "seeds")
    options = parser.parse_args()
    print(table([result(seed, options.folder) for seed in options.seeds]))


if __name__ == "__main__":
    main()
