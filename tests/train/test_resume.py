import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from omnisrc.data.manifest import write_manifest
from omnisrc.errors import Interrupted, UserError
from omnisrc.train.distribution import Place
from omnisrc.train.log import read_log
from omnisrc.train.run_folder import RunFolder
from omnisrc.train.trainer import Trainer
from tests.mixed_world import write_world
from tests.train.train_once import recipe_of

REPOSITORY = Path(__file__).parents[2]
CPU = Place(0, 1, torch.device("cpu"))
COUNTS = {
    ("target", "train"): 12, ("target", "val"): 8, ("web-image", "train"): 10, ("web-clip", "train"): 6,
}  # fmt: skip


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    root = tmp_path_factory.mktemp("world")
    manifest = write_world(root, COUNTS, broken={("web-image", "train"): 2})
    write_manifest(manifest, root / "manifest.parquet")
    return root, manifest


def train_in_process(root, name, workers, kill_at=-1):
    command = [sys.executable, "-m", "tests.train.train_once", str(root), name, str(workers), str(kill_at)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, timeout=200, env=environment, cwd=REPOSITORY)


def lines(folder, kind):
    """The lines of one kind, without what depends on the clock."""

    def untimed(figures):
        plain = {name: value for name, value in figures.items() if name not in ("step_s", "wait")}
        return {name: untimed(value) if isinstance(value, dict) else value for name, value in plain.items()}

    return [untimed(line) for line in read_log(folder.log) if line["kind"] == kind]


def equal_weights(one, other):
    first, second = load_file(one), load_file(other)
    return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


def test_a_run_killed_twice_ends_with_the_same_bits(world):
    root, _ = world
    whole, killed = RunFolder(root / "runs/whole"), RunFolder(root / "runs/killed")
    assert train_in_process(root, "whole", workers=0).returncode == 0
    first = train_in_process(root, "killed", workers=2, kill_at=7)
    assert first.returncode == -9, first.stderr
    second = train_in_process(root, "killed", workers=2, kill_at=10)
    assert second.returncode == -9 and "from step 4" in second.stdout
    last = train_in_process(root, "killed", workers=2)
    assert last.returncode == 0 and "from step 8" in last.stdout, last.stderr
    assert equal_weights(whole.last, killed.last) and equal_weights(whole.best, killed.best)
    assert lines(whole, "train") == lines(killed, "train") and len(lines(whole, "train")) == 8
    assert lines(whole, "val") == lines(killed, "val") and len(lines(whole, "val")) == 4
    states = [torch.load(folder.state, weights_only=True) for folder in (whole, killed)]
    for state in states:
        state["standing"].pop("seconds")
    assert states[0]["standing"] == states[1]["standing"] and states[0]["standing"]["skips"] > 0
    moments = [state["optimiser"]["state"] for state in states]
    assert all(torch.equal(moments[0][k]["momentum_buffer"], moments[1][k]["momentum_buffer"]) for k in moments[0])


def test_a_stop_keeps_the_step_at_hand_and_goes_on_from_there(world, tmp_path):
    root, manifest = world
    recipe = recipe_of(manifest, "target", steps=6, eval_every=6)
    straight, stopped = RunFolder(tmp_path / "straight"), RunFolder(tmp_path / "stopped")
    straight.path.mkdir()
    stopped.path.mkdir()
    Trainer(straight, manifest, root, recipe, CPU).run()
    asked = iter([False, False, True])
    with pytest.raises(Interrupted, match=r"Stopped after step 3 of 6.*--resume --name stopped"):
        Trainer(stopped, manifest, root, recipe, CPU).run(lambda: next(asked))
    trainer = Trainer(stopped, manifest, root, recipe, CPU)
    assert trainer.standing.step == 3
    outcome = trainer.run()
    assert outcome.standing.step == 6
    assert equal_weights(straight.last, stopped.last)
    again = Trainer(stopped, manifest, root, recipe, CPU).run()  # nothing is left to do
    assert again.standing == outcome.standing


def test_another_seed_gives_other_weights(world, tmp_path):
    root, manifest = world
    made = []
    for seed in (0, 1):
        folder = RunFolder(tmp_path / str(seed))
        folder.path.mkdir()
        Trainer(folder, manifest, root, recipe_of(manifest, seed=seed, steps=1), CPU).run()
        made.append(folder.last)
    assert not equal_weights(*made)


def test_a_damaged_checkpoint_is_refused(world, tmp_path):
    root, manifest = world
    folder = RunFolder(tmp_path)
    folder.state.write_bytes(b"half a checkpoint")
    with pytest.raises(UserError, match="damaged; remove it"):
        Trainer(folder, manifest, root, recipe_of(manifest), CPU)
