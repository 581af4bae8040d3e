"""The accuracy table: every recipe with, beside each mix, the target alone at as many steps and at as much compute."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from markupsafe import Markup

from omnisrc.report.bars import dot_plot
from omnisrc.report.runs import Group, Scored, differences, grouped

SPLITS = ("test", "val", "train")
MEASURES = {"top1": "top-1", "map": "mAP"}
NEAR = 0.02
"""Runs whose samples differ by less than this share count as of equal compute."""


@dataclass(frozen=True)
class Gain:
    """A mix less the target alone, in top-1 or mAP; `wins` of `pairs` seeds that both have."""

    baseline: Group
    points: float
    wins: int
    pairs: int


@dataclass
class Line:
    """One row of the table."""

    group: Group
    strip: Markup
    best: bool = False
    same_steps: Gain | None = None
    same_compute: Gain | None = None
    differs: list[tuple[str, str]] = field(default_factory=list)


@dataclass
class Table:
    """The recipes scored on one split by one protocol, the target alone first. `low` and `high` bound the strips."""

    split: str
    protocol: str
    measure: str
    lines: list[Line]
    low: float
    high: float

    @property
    def unit(self) -> str:
        """The measure as people write it."""
        return MEASURES[self.measure]


def accuracy_tables(scores: Sequence[Scored]) -> list[Table]:
    """One table for each split, protocol and measure, test first."""
    by_place: dict[tuple[str, str, str], list[Group]] = {}
    for group in grouped(scores):
        by_place.setdefault((group.first.split, group.first.protocol, group.first.measure), []).append(group)
    order = {split: at for at, split in enumerate(SPLITS)}
    tables = [_table(*place, groups) for place, groups in by_place.items()]
    return sorted(tables, key=lambda table: (order.get(table.split, len(order)), -len(table.lines), table.protocol))


def _table(split: str, protocol: str, measure: str, groups: list[Group]) -> Table:
    groups = sorted(groups, key=_place)
    values = [group.values(measure) for group in groups]
    every = [value for row in values for value in row] or [0.0]
    low, high = min(every), max(every)
    strips = dot_plot(f"{MEASURES[measure]} from {100 * low:.1f} % to {100 * high:.1f} %", values, low, high)
    differing = differences(groups)
    lines = [Line(*pair, differs=differing[at]) for at, pair in enumerate(zip(groups, strips, strict=True))]
    for line in lines:
        line.same_steps = gain(line.group, [g for g in groups if is_same_steps(line.group, g)])
        line.same_compute = gain(line.group, [g for g in groups if is_same_compute(line.group, g)])
    if len(lines) > 1:
        max(lines, key=lambda line: line.group.rank).best = True
    return Table(split, protocol, measure, lines, low, high)


def _place(group: Group) -> tuple[object, ...]:
    run = group.run
    if run is None:
        return (2, group.first.model, 0, group.first.name)
    return (1 if len(run.mix) > 1 else 0, str(run.settings.get("model", "")), run.samples, group.first.name)


def _comparable(mix: Group, other: Group) -> bool:
    """Whether `other` is the target alone with the same student and the same first weights."""
    if mix.run is None or other.run is None or not (mix.is_mix and other.is_target_alone):
        return False
    a, b = mix.run, other.run
    alike = all(a.settings.get(key) == b.settings.get(key) for key in ("model", "model_args"))
    return alike and a.settings.get("modality", "rgb") == b.settings.get("modality", "rgb") and a.init == b.init


def is_same_steps(mix: Group, other: Group) -> bool:
    """Whether `other` saw the target as often as `mix` did, and nothing else."""
    if not _comparable(mix, other) or mix.run is None or other.run is None:
        return False
    return (mix.run.steps, mix.run.batch) == (other.run.steps, other.run.batch)


def is_same_compute(mix: Group, other: Group) -> bool:
    """Whether `other` saw as many samples as `mix` did, all of them of the target."""
    if not _comparable(mix, other) or mix.run is None or other.run is None:
        return False
    return abs(other.run.samples - mix.run.samples) <= NEAR * mix.run.samples


def gain(mix: Group, baselines: Sequence[Group]) -> Gain | None:
    """Against the baseline that shares the most seeds with the mix, of those the best."""
    measure = mix.first.measure
    mine = mix.by_seed(measure)
    if not baselines:
        return None
    baseline = max(baselines, key=lambda group: (len(mine.keys() & group.by_seed(measure).keys()), group.rank))
    theirs = baseline.by_seed(measure)
    shared = [seed for seed in mine if seed in theirs]
    wins = sum(mine[seed] > theirs[seed] for seed in shared)
    return Gain(baseline, mix.mean(measure) - baseline.mean(measure), wins, len(shared))
