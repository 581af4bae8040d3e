import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from omnisrc.config import build
from omnisrc.errors import UserError
from omnisrc.train.run_folder import Recipe, RunFolder, weights_of
from omnisrc.train.settings import TrainSettings

RECIPE = Recipe(TrainSettings(model="tsn_r18", steps=7), {"target": 2.0, "web-image": 1.0}, 3, "ab" * 32, "cd" * 32, {})


def changed(**settings):
    return dataclasses.replace(RECIPE, settings=dataclasses.replace(RECIPE.settings, **settings))


def folder_with_recipe(tmp_path):
    folder = RunFolder.of(tmp_path, "one")
    folder.path.mkdir()
    folder.write_recipe(RECIPE, {"classes": ["ü", "b"]})
    return folder


def test_a_recipe_comes_back_as_it_was_written(tmp_path):
    folder = folder_with_recipe(tmp_path)
    assert build(Recipe, folder.read_recipe(), "one") == RECIPE
    content = yaml.safe_load(folder.recipe.read_text())
    assert content["about"] == {"classes": ["ü", "b"]}
    assert content["recipe"]["settings"]["lr"] == 0.02 and content["recipe"]["manifest_sha256"] == "cd" * 32


def test_the_same_recipe_goes_on_whatever_device_and_workers(tmp_path):
    folder = folder_with_recipe(tmp_path)
    folder.check_same(RECIPE)
    folder.check_same(changed(workers=3, threads=2, device="cpu", log_every=1, cache_mb=1))


@pytest.mark.parametrize(
    ("other", "sentence"),
    [
        (changed(lr=0.5), r"another train\.lr \(0\.02, now 0\.5\)"),
        (changed(model_args={"width": 8}), r"train\.model_args"),
        (dataclasses.replace(RECIPE, seed=4), r"another seed \(3, now 4\)"),
        (dataclasses.replace(RECIPE, mix={"target": 2.0}), r"another mix\.web-image"),
        (dataclasses.replace(RECIPE, manifest_sha256="ef" * 32), "other data.*--resume --name one"),
        (dataclasses.replace(RECIPE, init={"path": "x", "sha256": "y"}), r"init"),
    ],
)
def test_another_recipe_is_refused_by_what_differs(tmp_path, other, sentence):
    with pytest.raises(UserError, match=sentence):
        folder_with_recipe(tmp_path).check_same(other)


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "a b", "x" * 101])
def test_names_that_are_no_folder_are_refused(tmp_path, name):
    with pytest.raises(UserError, match="cannot name a run"):
        RunFolder.of(tmp_path, name)


HOLD = """
import sys, time
from pathlib import Path
from omnisrc.train.run_folder import RunFolder
with RunFolder(Path(sys.argv[1])).locked():
    print("held", flush=True)
    time.sleep(60)
"""


def test_one_process_at_a_time_and_none_when_it_is_killed(tmp_path):
    folder = RunFolder.of(tmp_path, "one")
    repository = Path(__file__).parents[2]
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(folder.path)], stdout=subprocess.PIPE, cwd=repository)
    try:
        assert holder.stdout.readline() == b"held\n"
        sentence = rf"The run one is being trained already \(process {holder.pid} on"
        with pytest.raises(UserError, match=sentence), folder.locked():
            pass
    finally:
        holder.kill()
        holder.wait()
    with folder.locked():
        assert f"process {os.getpid()} on" in (folder.path / "lock").read_text()
    with folder.locked():
        pass


def test_the_weights_of_a_run_are_the_best_then_the_last(tmp_path):
    with pytest.raises(UserError, match=r"no run 'one'\. Train one"):
        weights_of(tmp_path, "one")
    folder = folder_with_recipe(tmp_path)
    with pytest.raises(UserError, match="no weights yet"):
        weights_of(tmp_path, "one")
    with pytest.raises(UserError, match="Did you mean one"):
        weights_of(tmp_path, "onne")
    folder.last.touch()
    assert weights_of(tmp_path, "one") == folder.last
    folder.best.touch()
    assert weights_of(tmp_path, "one") == folder.best
