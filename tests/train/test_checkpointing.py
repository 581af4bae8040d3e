import subprocess
import sys
from pathlib import Path

import pytest
import torch

from omnisrc.errors import UserError
from omnisrc.train.checkpointing import Standing, load_state, save_state

REPOSITORY = Path(__file__).parents[2]


def parts(width=4):
    torch.manual_seed(width)
    model = torch.nn.Linear(width, 2)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    model(torch.ones(1, width)).sum().backward()
    optimiser.step()
    return model, optimiser


def test_a_state_comes_back_whole(tmp_path):
    model, optimiser = parts()
    standing = Standing(7, 5, 0.5, 1.25, 3.5, 2)
    save_state(tmp_path / "last.pt", model, optimiser, standing)
    fresh = torch.nn.Linear(4, 2)
    other = torch.optim.SGD(fresh.parameters(), lr=0.3, momentum=0.9)
    assert load_state(tmp_path / "last.pt", fresh, other) == standing
    assert torch.equal(fresh.weight, model.weight)
    moments = [o.state_dict()["state"][0]["momentum_buffer"] for o in (optimiser, other)]
    assert torch.equal(*moments)
    assert not list(tmp_path.glob("*.part"))


def test_files_that_are_no_state_of_this_student_are_refused(tmp_path):
    model, optimiser = parts()
    path = tmp_path / "last.pt"
    save_state(path, *parts(width=5), Standing())
    with pytest.raises(UserError, match=r"damaged; remove it"):
        load_state(path, model, optimiser)
    save_state(path, model, optimiser, Standing())
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(UserError, match=r"damaged; remove it"):
        load_state(path, model, optimiser)


def test_a_state_runs_no_code(tmp_path):
    class Trap:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "sprung",))

    torch.save({"model": Trap()}, tmp_path / "last.pt")
    with pytest.raises(UserError, match="damaged"):
        load_state(tmp_path / "last.pt", *parts())
    assert not (tmp_path / "sprung").exists()


FULL = """
import resource, signal, sys
from pathlib import Path
from omnisrc.errors import WorldError
from omnisrc.train.checkpointing import Standing, save_state
from tests.train.test_checkpointing import parts
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    save_state(Path(sys.argv[1]), *parts(width=50_000), Standing())
except WorldError as error:
    print(error)
"""


def test_a_disk_that_fills_leaves_the_checkpoint_before(tmp_path):
    path = tmp_path / "last.pt"
    model, optimiser = parts()
    save_state(path, model, optimiser, Standing(step=3))
    done = subprocess.run([sys.executable, "-c", FULL, str(path)], cwd=REPOSITORY, capture_output=True, text=True)
    assert "could not be written" in done.stdout and "make room" in done.stdout, done.stderr
    assert [file.name for file in tmp_path.iterdir()] == ["last.pt"]
    assert load_state(path, *parts()).step == 3
