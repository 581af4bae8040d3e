"""Who made what is written beside every curated shard, into every run's folder, and exported."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from omnisrc.cli.main import run
from omnisrc.data.manifest import read_manifest
from omnisrc.shards.attribution import FIELDS, sentence
from omnisrc.study import Study
from omnisrc.train.distribution import Place
from omnisrc.train.run import Request, credit, train_run
from omnisrc.train.run_folder import RunFolder
from tests.mixed_world import record_world, write_world
from tests.rights.conftest import World, add_run
from tests.rights.test_takedown import samples_of, told


def wanted(world: World, author: str, name: str) -> dict[str, str]:
    page = f"{world.web.url}/page/{name}"
    licence = ("CC BY 4.0", "https://creativecommons.org/licenses/by/4.0/")
    return dict(zip(FIELDS, (f"Title of {name}", author, *licence, page, world.urls[name]), strict=True))


def by_url(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    return sorted(rows, key=lambda row: row["url"])


def read(path: Path) -> list[dict[str, str]]:
    return by_url([json.loads(line) for line in path.read_text("utf-8").splitlines()])


def test_every_asset_of_a_curated_shard_has_its_line_beside_it(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    cleo = [wanted(world, "Cleo", name) for name in ("second", "third", "fourth")]
    images = [wanted(world, "Ada", "mine"), wanted(world, "Bob", "copy"), *cleo]
    [beside] = world.study.curated.glob("images-*.attribution.jsonl")
    assert read(beside) == by_url(images)
    assert sorted(beside.with_suffix(".txt").read_text().splitlines()) == sorted(
        f'"{row["title"]}" by {row["author"]}, CC BY 4.0 ({row["license_url"]}), {row["page_url"]}' for row in images
    )
    assert told(world, capsys, world.urls["mine"], "--yes")[0] == 0
    [after] = world.study.curated.glob("images-*.attribution.jsonl")
    assert after != beside and read(after) == by_url(cleo)
    assert run(["doctor", *world.arguments()]) == 0 and after.exists()


def test_a_run_keeps_the_attributions_of_what_it_was_trained_on(
    world: World, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    study = world.study
    add_run(study, "one", samples_of(study, "mine", "third"))
    expected = by_url([wanted(world, "Ada", "mine"), wanted(world, "Bob", "copy"), wanted(world, "Cleo", "third")])
    assert export(world, capsys, "--run", "one") == expected
    folder = RunFolder.of(study.runs, "one")
    credit(study, folder, read_manifest(folder.manifest))
    assert read(folder.attribution[0]) == expected
    assert told(world, capsys, world.urls["mine"], "--yes")[0] == 0
    assert export(world, capsys, "--run", "one") == expected, "weights remember, so the list does"
    chosen = export(world, capsys, "--selection", "web")
    assert {row["author"] for row in chosen} == {"Cleo", "Ada"} and wanted(world, "Ada", "mine") not in chosen
    listed = tmp_path / "list.txt"
    assert run(["export", "attribution", "-o", str(listed), *world.arguments()]) == 0
    assert sorted(listed.read_text().splitlines()) == sorted(map(sentence, chosen))


def export(world: World, capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, str]]:
    capsys.readouterr()
    assert run(["export", "attribution", *arguments, *world.arguments()]) == 0
    return by_url([json.loads(line) for line in capsys.readouterr().out.splitlines()])


@pytest.mark.parametrize("any_url", ["sqlite"], indirect=True)
def test_mistakes_are_one_sentence_and_exit_code_2(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, says in (
        (["--run", "nowhere"], "no run 'nowhere'"),
        (["--selection", "wbe"], "Did you mean web"),
        (["--run", "a", "--selection", "web"], "not both"),
    ):
        assert run(["export", "attribution", *arguments, *world.arguments()]) == 2
        assert says in capsys.readouterr().err.replace("\n", " ")


def test_a_line_stays_a_line_whatever_the_texts_hold() -> None:
    row = {"title": "a\nb\r\u2028c\x1b[31m", "author": None, "license": "", "license_url": None, "page_url": None,
           "url": "http://x/y"}  # fmt: skip
    assert sentence(row) == '"a b c [31m", author not known, no known licence, http://x/y'


def test_training_writes_the_attributions_when_a_run_begins(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    record_world(
        study, write_world(study.root, {("target", "train"): 4, ("target", "val"): 2, ("web-image", "train"): 5})
    )

    def stop(*arguments: object) -> None:
        raise RuntimeError("begun")

    monkeypatch.setattr("omnisrc.train.run.Trainer", stop)
    tight = Study(study.root, {"train": {"model": "tsn_r18"}})
    with pytest.raises(RuntimeError, match="begun"):
        train_run(tight, Request(mix="web-image,target", name="one"), Place(0, 1, torch.device("cpu")))
    rows = read(study.runs / "one" / "attribution.jsonl")
    assert len(rows) == 10 and all(row["url"].startswith("http://example.org/") for row in rows)
