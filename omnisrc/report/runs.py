"""Runs and their scores: what was trained on what, for how long, and how well it does; seeds are taken together."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.models import Run, Selection
from omnisrc.report.selection import flat

TARGET = "target"
SOURCES = (TARGET, "web-image", "web-clip", "untrimmed")
INDIFFERENT = {"device", "workers", "threads", "cache_mb", "log_every", "eval_every"}
"""Settings of training that do not tell one recipe from another."""
TOLD = {"model", "model_args", "steps", "epochs", "batch_size", "ratios"}
"""Settings that the table shows in columns of their own."""


@dataclass(frozen=True)
class Trained:
    """One training run, as its recipe has it."""

    name: str
    state: str
    config: Mapping[str, Any]
    selection: str | None
    started: float

    @property
    def settings(self) -> Mapping[str, Any]:
        found = self.config.get("settings")
        return found if isinstance(found, Mapping) else {}

    @property
    def mix(self) -> dict[str, float]:
        """Source -> ratio, the target first."""
        found = self.config.get("mix")
        ratios = {str(name): float(ratio) for name, ratio in found.items()} if isinstance(found, Mapping) else {}
        known = [name for name in SOURCES if name in ratios]
        return {name: ratios[name] for name in (*known, *sorted(ratios.keys() - set(known)))}

    @property
    def batch(self) -> int:
        return int(self.settings.get("batch_size") or 0)

    @property
    def steps(self) -> int:
        return int(self.settings.get("steps") or 0)

    @property
    def samples(self) -> int:
        """Samples of all sources that the run sees: its compute, as one sample costs the same whatever its source."""
        first = next(iter(self.mix.values()), 1.0) or 1.0
        return self.steps * sum(round(self.batch * ratio / first) for ratio in self.mix.values())

    @property
    def init(self) -> str:
        found = self.config.get("init")
        return str(found.get("sha256", "")) if isinstance(found, Mapping) else ""

    @property
    def seed(self) -> Any:
        return self.config.get("seed")

    @property
    def recipe(self) -> str:
        """What runs of one recipe share, whatever their seeds."""
        settings = {key: value for key, value in self.settings.items() if key not in INDIFFERENT}
        same = [settings, self.mix, self.init, self.config.get("manifest_sha256"), self.selection]
        return json.dumps(same, sort_keys=True, default=str)


@dataclass(frozen=True)
class Scored:
    """One evaluation; `run` is None for a checkpoint that the study did not train."""

    name: str
    split: str
    protocol: str
    model: str
    folder: str
    metrics: Mapping[str, Any]
    run: Trained | None
    finished: float

    @property
    def measure(self) -> str:
        """The figure that says how good it is: mAP where clips may have several classes."""
        return "map" if "map" in self.metrics else "top1"

    def figure(self, name: str) -> float:
        value = self.metrics.get(name)
        return float(value) if isinstance(value, int | float) else math.nan


@dataclass
class Group:
    """The scores of one recipe on one split by one protocol, over its seeds."""

    scores: list[Scored] = field(default_factory=list)

    @property
    def first(self) -> Scored:
        return self.scores[0]

    @property
    def run(self) -> Trained | None:
        return self.first.run

    @property
    def is_mix(self) -> bool:
        """Whether it learned from the target and from the web."""
        return self.run is not None and TARGET in self.run.mix and len(self.run.mix) > 1

    @property
    def is_target_alone(self) -> bool:
        return self.run is not None and list(self.run.mix) == [TARGET]

    @property
    def rank(self) -> float:
        """Its mean top-1 or mAP, for the search of the best."""
        mean = self.mean(self.first.measure)
        return mean if math.isfinite(mean) else -1.0

    def values(self, name: str) -> list[float]:
        return [value for value in (score.figure(name) for score in self.scores) if math.isfinite(value)]

    def mean(self, name: str) -> float:
        values = self.values(name)
        return sum(values) / len(values) if values else math.nan

    def deviation(self, name: str) -> float | None:
        """Standard deviation over seeds (n - 1); None of one."""
        values = self.values(name)
        if len(values) < 2:
            return None
        mean = self.mean(name)
        return math.sqrt(sum((value - mean) ** 2 for value in values) / (len(values) - 1))

    def by_seed(self, name: str) -> dict[Any, float]:
        return {score.run.seed: score.figure(name) for score in self.scores if score.run is not None}


def read_trained(session: Session) -> list[Trained]:
    """All training runs, the newest first."""
    rows = session.execute(
        select(Run, Selection.name)
        .outerjoin(Selection, Selection.id == Run.selection_id)
        .where(Run.kind == "train")
        .order_by(Run.started.desc(), Run.id.desc())
    )
    return [Trained(run.name, run.state, run.config, selection, run.started) for run, selection in rows]


def read_scores(session: Session, trained: Sequence[Trained], limit: int) -> list[Scored]:
    """The newest `limit` evaluations, newest first; of the same weights, split and protocol the newest alone."""
    runs = {run.name: run for run in trained}
    rows = session.scalars(
        select(Run).where(Run.kind == "eval", Run.state == "done").order_by(Run.finished.desc(), Run.id.desc())
    )
    found: dict[Any, Scored] = {}
    for row in rows.yield_per(100):
        protocol = row.config.get("protocol")
        split, said = str(row.config.get("split", "")), json.dumps(protocol, sort_keys=True)
        key = (row.name, split, said)
        if key in found:
            continue
        found[key] = Scored(
            row.name, split, protocol_name(protocol), str(row.config.get("model", "")),
            str(row.config.get("folder", "")), row.metrics, runs.get(row.name), row.finished or row.started,
        )  # fmt: skip
        if len(found) >= limit:
            break
    return list(found.values())


def protocol_name(protocol: Any) -> str:
    """`10 x 3 views, prob`."""
    if not isinstance(protocol, Mapping):
        return ""
    size = f", {protocol['size']} px" if protocol.get("size") else ""
    precision = f", {protocol['precision']}" if protocol.get("precision") else ""
    views = f"{protocol.get('clips', '?')} × {protocol.get('crops', '?')} views{size}"
    return f"{views}, mean {protocol.get('average', '')}{precision}"


def grouped(scores: Sequence[Scored]) -> list[Group]:
    """Scores of one recipe, split, protocol and measure together, in the order of their seeds."""
    groups: dict[Any, Group] = {}
    for score in scores:
        recipe = score.run.recipe if score.run is not None else score.name
        groups.setdefault((score.split, score.protocol, score.measure, recipe), Group()).scores.append(score)
    for group in groups.values():
        group.scores.sort(key=lambda score: str(score.run.seed) if score.run is not None else score.name)
    return list(groups.values())


def differences(groups: Sequence[Group]) -> dict[int, list[tuple[str, str]]]:
    """By place in `groups`: the settings in which the recipes differ and that no column shows."""
    flats = [dict(flat(_untold(group))) for group in groups]
    names = sorted({name for settings in flats for name in settings})
    trained = [settings for settings, group in zip(flats, groups, strict=True) if group.run is not None]
    differing = [name for name in names if len({settings.get(name) for settings in trained}) > 1]
    return {at: [(name, settings[name]) for name in differing if name in settings] for at, settings in enumerate(flats)}


def _untold(group: Group) -> dict[str, Any]:
    if group.run is None:
        return {}
    told = INDIFFERENT | TOLD
    return {name: value for name, value in group.run.settings.items() if name not in told}
