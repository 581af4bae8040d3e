import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from omnisrc.data.manifest import write_manifest
from omnisrc.train.log import read_log
from tests.mixed_world import write_world

REPOSITORY = Path(__file__).parents[2]
COUNTS = {
    ("target", "train"): 13, ("target", "val"): 7, ("web-image", "train"): 3, ("web-clip", "train"): 5,
}  # fmt: skip


@pytest.mark.timeout(240)
def test_two_processes_train_one_run_on_sources_of_uneven_lengths(tmp_path):
    write_manifest(write_world(tmp_path, COUNTS, broken={("web-clip", "train"): 1}), tmp_path / "manifest.parquet")
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
        "-m", "tests.train.train_together", str(tmp_path),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, cwd=REPOSITORY)
    assert done.returncode == 0, done.stderr[-3000:]
    first, second = (load_file(tmp_path / f"rank{rank}.safetensors") for rank in (0, 1))
    assert all(torch.equal(first[key], second[key]) for key in first)  # though they saw different halves
    lines = read_log(tmp_path / "runs/both/log.jsonl")
    vals = [line for line in lines if line["kind"] == "val"]
    assert [line["step"] for line in vals] == [3, 6] and {line["samples"] for line in vals} == {7}
    trains = [line for line in lines if line["kind"] == "train"]
    assert trains and all(set(line) >= {"target", "web-image", "web-clip"} for line in trains)
    assert sum(line["web-clip"]["skips"] for line in trains) > 0
