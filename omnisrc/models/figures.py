"""Sizes, costs and inputs of all networks as measured once, so that listing them builds none and needs no torch.

`python -m omnisrc.models.figures` measures them again, from the networks themselves, and writes figures.json.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Iterable
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from omnisrc.models.released import RELEASED

FILE = Path(__file__).with_suffix(".json")
RENEW = "python -m omnisrc.models.figures"
CLASSES = 400
"""Parameters of a model by its name are counted with a head for Kinetics-400, as papers do."""
EXTRAS = {"tsn_timm": "timm", "video_transformers": "transformers"}
"""Modules of omnisrc/models/families whose networks need an optional package."""


@cache
def figures() -> dict[str, dict[str, Any]]:
    """By the name of a network, in the order of the families: `parameters`, `gflops` of one view, `stages` (features:
    channels and strides), `input`, the optional package that it `needs` (empty: none), and `tensors`: the sums of the
    names of `all` its tensors and of its `trunk`'s (None where a package names them, each release its own way)."""
    found: dict[str, dict[str, Any]] = json.loads(FILE.read_text(encoding="utf-8"))
    return found


def listing(folder: Path) -> list[dict[str, Any]]:
    """Every network: parameters, cost, features, input, what it needs and lacks here, its released files, and those of
    them that are in `folder`."""
    rows = []
    for name, said in figures().items():
        files = [file for file in RELEASED if file.model == name]
        lacks = said["needs"] if said["needs"] and importlib.util.find_spec(said["needs"]) is None else ""
        rows.append(
            {
                "name": name,
                **{key: said[key] for key in ("parameters", "gflops", "stages", "input")},
                "lacks": lacks,
                "released": [file.name for file in files],
                "here": [file.name for file in files if (folder / file.file).is_file()],
            }
        )
    return rows


def measured(name: str) -> dict[str, Any] | None:
    """The figures of one network, which is built without weights; None where an optional package that it needs lacks.

    Raises:
        UserError: there is no such network.
    """
    from omnisrc.models.checkpoints.recognise import shapes_of
    from omnisrc.models.facts import facts_of, gflops, on_meta

    model, facts = on_meta(name, CLASSES), facts_of(name, CLASSES)
    if model is None or facts is None:
        return None
    names, needs = shapes_of(model.state_dict()), _needs(name)
    sums = {"all": names_sum(names), "trunk": names_sum(key for key in names if key.startswith("trunk."))}
    return {
        "parameters": facts.parameters,
        "gflops": round(gflops(model, *facts.view[:2]), 2),
        "stages": [asdict(stage) for stage in model.trunk.stages],
        "input": json.loads(json.dumps(asdict(facts.input))),
        "needs": needs,
        "tensors": None if needs else sums,
    }


def names_sum(names: Iterable[str]) -> str:
    """The beginning of the SHA-256 of tensors' names, whatever their order."""
    return hashlib.sha256("\n".join(sorted(names)).encode()).hexdigest()[:16]


def _needs(name: str) -> str:
    from omnisrc.models.create import FAMILIES

    family = next(family for family in FAMILIES if name in family.MODELS)
    return EXTRAS.get(family.__name__.rpartition(".")[2], "")


def renew() -> None:
    """Measures every network and writes the file; one that cannot be built here keeps the figures that it has."""
    from omnisrc.models.create import model_names

    kept = figures() if FILE.exists() else {}
    found = {name: measured(name) or kept[name] for name in model_names()}
    lines = ",\n".join(f" {json.dumps(name)}: {json.dumps(said)}" for name, said in found.items())
    FILE.write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")
    print(f"Wrote {FILE}: {len(found)} networks.")


if __name__ == "__main__":
    renew()
