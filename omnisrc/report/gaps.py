"""What a study still lacks for a whole report, and which command gives it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from omnisrc.report.accuracy import Table
from omnisrc.report.funnel import Row
from omnisrc.report.runs import TARGET, Trained
from omnisrc.report.selection import Facts
from omnisrc.words import counted

ADD_TARGET = "omnisrc target add PATH --format NAME"


@dataclass(frozen=True)
class Gap:
    """Something that is missing, and the command that makes it."""

    what: str
    command: str = ""


def find_gaps(
    total: Row,
    targets: dict[str, dict[str, int]],
    selection: Facts | None,
    trained: Sequence[Trained],
    tables: Sequence[Table],
) -> list[Gap]:
    """In the order in which a user would fill them."""
    return [*_target_gaps(targets), *_web_gaps(total, selection), *_run_gaps(trained, tables)]


def _target_gaps(targets: dict[str, dict[str, int]]) -> list[Gap]:
    if not targets:
        return [Gap("The study has no target data set", ADD_TARGET)]
    waiting = sum(states.get("waiting", 0) for states in targets.values())
    gaps = [Gap(f"{counted(waiting, 'target item')} still to be imported", ADD_TARGET)] if waiting else []
    if "test" not in targets:
        gaps.append(Gap("The target has no test split to score on", ADD_TARGET))
    return gaps


def _web_gaps(total: Row, selection: Facts | None) -> list[Gap]:
    if not total.found:
        return [Gap("Nothing was found on the web yet", "omnisrc crawl --classes NAME")]
    gaps = []
    if total.states["waiting"]:
        gaps.append(Gap(f"{counted(total.states['waiting'], 'asset')} still to be fetched", "omnisrc crawl"))
    if selection is None:
        if total.states["stored"]:
            gaps.append(Gap("No teacher has judged the web data", "omnisrc filter --teacher NAME"))
        return gaps
    if total.reasons["unjudged"]:
        count = counted(total.reasons["unjudged"], "sample")
        gaps.append(Gap(f"{count} that no teacher has seen", "omnisrc filter --teacher NAME"))
    if not selection.decontaminated:
        gaps.append(Gap("The selection was not compared with val and test", "omnisrc filter --redo select"))
    if not selection.packed:
        gaps.append(Gap("The selection is not packed", "omnisrc filter --redo select"))
    return gaps


def _run_gaps(trained: Sequence[Trained], tables: Sequence[Table]) -> list[Gap]:
    if not trained:
        return [Gap("Nothing was trained", "omnisrc train --mix web,target")]
    scored = {score.name for table in tables for line in table.lines for score in line.group.scores}
    done = [run for run in trained if run.state == "done"]
    gaps = [
        Gap(
            f"The run {run.name} is {run.state}",
            "" if run.state == "running" else f"omnisrc train --resume --name {run.name}",
        )
        for run in trained
        if run.state != "done"
    ][:3]
    unscored = [run.name for run in done if run.name not in scored]
    if unscored:
        more = f" and {len(unscored) - 1} more are" if len(unscored) > 1 else " is"
        gaps.append(Gap(f"The run {unscored[0]}{more} not scored", f"omnisrc eval --run {unscored[0]}"))
    return gaps + _baseline_gaps(tables)


def _baseline_gaps(tables: Sequence[Table]) -> list[Gap]:
    """Mixes that stand alone: without the target alone beside them their gain is not known."""
    gaps: list[Gap] = []
    for line in (line for table in tables[:1] for line in table.lines if line.group.is_mix):
        run = line.group.run
        if run is None or not run.steps or not run.batch:
            continue
        train = f"omnisrc train --mix {TARGET} --model {run.settings.get('model', '')}"
        if line.same_steps is None:
            gaps.append(
                Gap(
                    f"No score of the target alone at as many target samples as {run.name}",
                    f"{train} --steps {run.steps}",
                )
            )
        if line.same_compute is None:
            steps = round(run.samples / run.batch)
            gaps.append(
                Gap(f"No score of the target alone at as much compute as {run.name}", f"{train} --steps {steps}")
            )
    return gaps[:2]
