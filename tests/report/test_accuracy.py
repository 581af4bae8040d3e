"""The accuracy table sets each mix beside the target alone, and takes seeds together."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from omnisrc.report.accuracy import accuracy_tables
from omnisrc.report.funnel import Row
from omnisrc.report.gaps import find_gaps
from omnisrc.report.runs import Scored, Trained, grouped, read_scores, read_trained
from omnisrc.study import Study
from tests.report import studies

MIX = {"target": 2.0, "web-image": 1.0, "web-clip": 1.0}


def score(name: str, mix: dict[str, float], steps: int, top1: float, seed: int = 0, **more: Any) -> Scored:
    settings = {"model": "tsn_r18", "steps": steps, "batch_size": 12, **more.pop("settings", {})}
    config = {"settings": settings, "mix": mix, "seed": seed, **more}
    run = Trained(name, "done", config, None, 0.0)
    return Scored(name, "test", "", "tsn_r18", "", {"top1": top1}, run, 0.0)


def test_a_mix_is_set_beside_the_target_at_as_many_steps_and_at_as_much_compute(trained: Any) -> None:
    study, _ = trained
    runs = study.database().read(read_trained)
    [table] = accuracy_tables(study.database().read(lambda s: read_scores(s, runs, 100)))
    short, long, mix = table.lines
    assert [line.group.run.samples for line in (short, long, mix)] == [4800, 9600, 9600]
    assert mix.same_steps.baseline is short.group and mix.same_compute.baseline is long.group
    assert mix.same_steps.points == pytest.approx(0.765 - 0.61)
    assert mix.same_compute.points == pytest.approx(0.765 - 0.655)
    assert (mix.same_steps.wins, mix.same_steps.pairs) == (2, 2)
    assert mix.best and not short.best and not long.best
    assert mix.group.deviation("top1") == pytest.approx(0.03 / math.sqrt(2))
    assert short.same_steps is None and long.same_compute is None
    assert mix.group.run.selection == "default"


@pytest.mark.parametrize(
    "other",
    [
        {"settings": {"model": "tsn_r50"}},
        {"settings": {"model_args": {"width": 16}}},
        {"init": {"sha256": "pretrained"}},
    ],
)
def test_another_student_is_no_baseline(other: dict[str, Any]) -> None:
    [table] = accuracy_tables([score("mix", MIX, 100, 0.8), score("target", {"target": 1.0}, 100, 0.7, **other)])
    assert all(line.same_steps is None and line.same_compute is None for line in table.lines)


def test_clips_of_several_classes_have_a_table_of_their_own_by_map() -> None:
    several = [score(name, mix, 100, 0.0) for name, mix in (("target", {"target": 1.0}), ("mix", MIX))]
    several = [replace(each, metrics={"map": value}) for each, value in zip(several, (0.6, 0.75), strict=True)]
    tables = {table.measure: table for table in accuracy_tables([*several, score("one", {"target": 1.0}, 100, 0.9)])}
    assert set(tables) == {"map", "top1"} and tables["map"].unit == "mAP"
    _, mix = tables["map"].lines
    assert mix.best and mix.same_steps.points == pytest.approx(0.15)
    assert "mAP from 60.0 % to 75.0 %" in mix.strip


def test_seeds_of_one_recipe_are_one_group_and_a_setting_that_matters_makes_two() -> None:
    same = [score(f"a{seed}", MIX, 100, 0.5, seed, settings={"device": f"cuda:{seed}"}) for seed in range(3)]
    other = score("b", MIX, 100, 0.5, settings={"lr": 0.1})
    groups = grouped([*same, other])
    assert [len(group.scores) for group in groups] == [3, 1]
    [table] = accuracy_tables([*same, other])
    assert [line.differs for line in table.lines] == [[], [("lr", "0.1")]]


def test_wins_are_counted_over_the_seeds_that_both_have() -> None:
    target = [score(f"t{seed}", {"target": 1.0}, 100, 0.5, seed) for seed in (0, 1)]
    mix = [score(f"m{seed}", MIX, 100, top1, seed) for seed, top1 in ((0, 0.6), (1, 0.4), (2, 0.9))]
    [table] = accuracy_tables([*target, *mix])
    gain = table.lines[1].same_steps
    assert (gain.wins, gain.pairs) == (1, 2)


def test_the_newest_score_of_the_same_weights_counts(study: Study) -> None:
    studies.add_run(study, "one", {"target": 1.0}, 40, 0, 0.5)

    def again(session: Any) -> None:
        from db.models import Run

        old = session.query(Run).filter(Run.kind == "eval").one()
        session.add(
            Run(
                kind="eval",
                name="one",
                state="done",
                config=old.config,
                metrics={"top1": 0.6},
                started=1.8e9,
                finished=1.8e9,
            )
        )

    study.database().write(again)
    [found] = study.database().read(lambda s: read_scores(s, read_trained(s), 10))
    assert found.figure("top1") == 0.6


def test_a_checkpoint_from_elsewhere_and_a_score_without_figures_have_their_lines(study: Study) -> None:
    from db.models import Run

    rows = [
        Run(
            kind="eval",
            name="released",
            state="done",
            config={"split": "test", "model": "tsn_r50"},
            metrics=metrics,
            started=1.0,
        )
        for metrics in ({"top1": 0.7},)
    ] + [Run(kind="eval", name="broken", state="done", config={"split": "test"}, metrics={}, started=1.0)]
    study.database().write(lambda s: s.add_all(rows))
    [table] = accuracy_tables(study.database().read(lambda s: read_scores(s, [], 10)))
    assert {line.group.first.name: line.best for line in table.lines} == {"released": True, "broken": False}


def test_samples_and_steps_are_those_of_a_real_recipe() -> None:
    from omnisrc.train.run_folder import Recipe
    from omnisrc.train.settings import TrainSettings, batch_sizes, parse_mix

    mix = parse_mix("web-image:1,web-clip:0.5,target:3")
    recipe = Recipe(TrainSettings(steps=70, batch_size=10), mix, 4, "c", "m", {})
    run = Trained("r", "done", recipe.as_dict(), None, 0.0)
    assert run.samples == 70 * sum(batch_sizes(10, mix).values())
    assert (run.steps, run.batch, run.seed, list(run.mix)) == (70, 10, 4, ["target", "web-image", "web-clip"])
    assert (
        Trained(
            "s", "done", Recipe(TrainSettings(steps=70, batch_size=10), mix, 5, "c", "m", {}).as_dict(), None, 0.0
        ).recipe
        == run.recipe
    )


def test_a_mix_that_stands_alone_is_named_with_the_commands_that_help() -> None:
    alone = score("mix", MIX, 100, 0.8)
    total = Row("all", found=1)
    gaps = find_gaps(total, {"test": {"stored": 1}}, None, [alone.run], accuracy_tables([alone]))
    assert [gap.command for gap in gaps] == [
        "omnisrc train --mix target --model tsn_r18 --steps 100",
        "omnisrc train --mix target --model tsn_r18 --steps 200",
    ]
