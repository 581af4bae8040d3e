"""Runs the benchmarks of this folder and writes bench/RESULTS.md: `python bench/run.py [name ...]`.

Each benchmark is a module with `run() -> dict` (name -> figure) and a one-line docstring that says what is measured
against what. A figure is a number that this run measured; a benchmark whose rival is not installed says so.
"""

from __future__ import annotations

import datetime
import importlib
import importlib.metadata
import os
import platform
import sys
import traceback
from pathlib import Path

HERE = Path(__file__).resolve().parent
NAMES = (
    "crawl_images",
    "crawl_videos",
    "ledger",
    "two_machines",
    "predict",
    "train_step",
    "sparse_sampling",
    "recognisers",
)


def main() -> int:
    sys.path.insert(0, str(HERE.parent))
    wanted = sys.argv[1:] or list(NAMES)
    sections, failed = _kept(wanted), False
    for name in wanted:
        print(f"== {name}", flush=True)
        try:
            module = importlib.import_module(f"bench.{name}")
            figures = module.run()
        except Exception:
            traceback.print_exc()
            failed = True
            continue
        sections[name] = _section(name, (module.__doc__ or "").strip().splitlines()[0], figures)
        print(sections[name], flush=True)
    text = "# Benchmarks\n\nEach section: `python bench/run.py NAME`. Timings are noisy; the ratios count.\n"
    (HERE / "RESULTS.md").write_text(text + "".join(f"\n{sections[name]}" for name in NAMES if name in sections))
    return int(failed)


def _kept(wanted: list[str]) -> dict[str, str]:
    """Sections of the last results that this run does not measure anew."""
    file = HERE / "RESULTS.md"
    parts = file.read_text().split("\n## ")[1:] if file.exists() else []
    old = {part.split("\n", 1)[0].strip(): "## " + part.rstrip() + "\n" for part in parts}
    return {name: text for name, text in old.items() if name not in wanted}


def _section(name: str, what: str, figures: dict[str, object]) -> str:
    versions = ", ".join(f"{p} {importlib.metadata.version(p)}" for p in ("torch", "av"))
    machine = f"{platform.machine()}, {os.cpu_count()} cores, {versions}"
    rows = "\n".join(f"| {key} | {_shown(value)} |" for key, value in figures.items())
    return f"## {name}\n\n{what}\n\n{datetime.date.today()}, {machine}.\n\n| figure | value |\n| --- | --- |\n{rows}\n"


def _shown(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    sys.exit(main())
