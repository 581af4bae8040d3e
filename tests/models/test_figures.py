"""The figures that `models list` prints without building a network are those of the networks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from omnisrc.models import model_names
from omnisrc.models.figures import CLASSES, RENEW, figures, listing, measured

QUICK = ("tsn_r50", "tsm_r50", "slowonly_r50", "slowfast_r50", "x3d_m", "c3d", "r3d_18")
STALE = f"figures.json is not what is measured here; run `{RENEW}`"


def test_every_network_is_listed_in_the_order_of_the_families(tmp_path: Path) -> None:
    assert [row["name"] for row in listing(tmp_path)] == list(figures()) == model_names(), STALE


@pytest.mark.parametrize("name", QUICK)
def test_figures_are_those_of_the_network(name: str) -> None:
    assert figures()[name] == measured(name), STALE


@pytest.mark.slow
def test_all_figures_are_those_of_their_networks() -> None:
    found = {name: measured(name) for name in model_names()}
    assert None not in found.values(), "timm and transformers are needed here"
    assert figures() == found, STALE


def test_parameters_and_costs_are_the_published_ones() -> None:
    said = figures()
    assert CLASSES == 400 and said["tsn_r50"]["parameters"] == 24_327_632 and said["x3d_m"]["gflops"] == 4.73
    assert said["tsn_r50"]["stages"][-1]["channels"] == 2048


def test_listing_needs_no_torch(tmp_path: Path) -> None:
    code = (
        "import sys; from omnisrc.cli.main import run;"
        f"code = run(['models', 'list', '--workspace', {str(tmp_path)!r}]);"
        "sys.exit(code or 'torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0


def test_a_package_that_lacks_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find = "omnisrc.models.figures.importlib.util.find_spec"
    monkeypatch.setattr(find, lambda name: None if name == "timm" else object())
    rows = {row["name"]: row for row in listing(tmp_path)}
    assert rows["tsn_timm"]["lacks"] == "timm" and rows["tsn_r50"]["lacks"] == ""
