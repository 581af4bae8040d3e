"""The house keeps its order: imports go down only, and torch stays out of what does not need it."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LEVELS = [
    {"cli"},
    {"rights", "carry"},
    {"crawl", "filter", "flow", "train", "evaluate", "report", "demo"},
    {"engine", "tasks"},
    {"data", "models"},
    {"shards", "media", "web"},
    {"study", "classes", "config", "errors", "licences", "resources", "words"},
]
LEVEL = {name: depth for depth, names in enumerate(LEVELS) for name in names}
SIDEWAYS = {("train", "evaluate")}


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def imported(path: Path) -> set[str]:
    """Full names of the modules that a file imports, wherever in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{name.name}" for name in node.names}
    return found


def component(name: str) -> str | None:
    parts = name.split(".")
    return parts[1] if parts[0] == "omnisrc" and len(parts) > 1 and parts[1] in LEVEL else None


@pytest.mark.parametrize("path", modules("omnisrc"), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_down_only(path: Path) -> None:
    here = component(".".join(path.relative_to(ROOT).with_suffix("").parts))
    if here is None:
        return
    names = imported(path)
    assert not any(name.split(".")[0] == "workers" for name in names)
    for there in {component(name) for name in names} - {None, here}:
        assert there is not None
        down = LEVEL[there] > LEVEL[here]
        low = here == "study" and there in ("config", "errors", "resources", "classes")
        ground = LEVEL[here] == LEVEL[there] == len(LEVELS) - 1 and (low or here in ("classes", "config", "resources"))
        assert down or ground or (here, there) in SIDEWAYS, f"{here} imports {there}"


@pytest.mark.parametrize("path", modules("db"), ids=lambda path: path.name)
def test_the_database_imports_nothing_of_omnisrc(path: Path) -> None:
    assert not {name.split(".")[0] for name in imported(path)} & {"omnisrc", "workers"}


@pytest.mark.parametrize("path", modules("workers"), ids=lambda path: path.name)
def test_workers_import_the_engine_and_the_database_alone(path: Path) -> None:
    assert {component(name) for name in imported(path)} <= {None, "engine", "study"}


LIGHT = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for package in (
        "omnisrc/crawl",
        "omnisrc/web",
        "omnisrc/media",
        "omnisrc/shards",
        "omnisrc/cli",
        "omnisrc/engine",
        "db",
    )
    for path in modules(package)
    if path.stem not in ("__init__", "__main__")
]
LIGHT += [
    "omnisrc.train.settings",
    "omnisrc.evaluate.settings",
    "omnisrc.data.settings",
    "omnisrc.filter.settings",
    "omnisrc.flow.settings",
    "omnisrc.models.settings",
    "omnisrc.models.fetch",
    "workers",
]


def test_what_needs_no_torch_does_not_load_it() -> None:
    code = f"import importlib, sys\nfor name in {LIGHT!r}:\n    importlib.import_module(name)\n"
    code += "    assert 'torch' not in sys.modules, name"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_status_waits_for_no_decoder_and_no_client() -> None:
    code = "import sys, omnisrc.cli.status as _\nassert not {'av', 'cv2', 'numpy', 'aiohttp'} & {*sys.modules}"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
