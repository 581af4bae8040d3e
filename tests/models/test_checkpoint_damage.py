"""Files of every layout with tensors lost, cut or of another shape: they are read, or refused in a sentence."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from omnisrc.errors import UserError
from omnisrc.models import create_model, load_model, save_weights
from omnisrc.models.checkpoints.read import read_checkpoint
from omnisrc.models.convert import convert
from tests.models import mmaction_networks
from tests.models.networks import seasoned
from tests.models.test_checkpoint_pyslowfast_mvit import Settings
from tests.models.test_checkpoint_pyslowfast_mvit import seasoned as seasoned_mvit

State = dict[str, torch.Tensor]
SHARES = (0.02, 0.3, 0.9)
"""Of the tensors that are damaged, in turn."""


def written(name: str, layout: str, width: int = 4) -> Callable[[Path], State]:
    def made(folder: Path) -> State:
        ours = folder / f"{name}.safetensors"
        save_weights(seasoned(name, 5, width=width), ours, {})
        convert(ours, layout, folder / f"{name}_8x8.pth")
        said = torch.load(folder / f"{name}_8x8.pth", weights_only=True)
        state: State = said.get("state_dict") or said["model_state"]
        return state

    return made


ORIGINS: dict[str, Callable[[Path], State]] = {
    "mmaction2 tsn": written("tsn_r18", "mmaction2"),
    "mmaction2 trn": written("trn_r18", "mmaction2"),
    "mmaction2 csn": written("ircsn_r50", "mmaction2"),
    "mmaction2 c3d": written("c3d", "mmaction2"),
    "pyslowfast slowfast": written("slowfast_r50", "pyslowfast", 16),
    "pyslowfast mvit": lambda folder: seasoned_mvit(Settings(relative=True, in_attention=True)).state_dict(),
    "pytorchvideo x3d": written("x3d_s", "pytorchvideo", 8),
    "pytorchvideo r2plus1d": written("r2plus1d_r50", "pytorchvideo"),
    "mmaction csn": lambda folder: mmaction_networks.IrCsn(50, 5).state_dict(),
    "torchvision": lambda folder: create_model("r3d_18", 5).trunk.state_dict(),
}


def damaged(state: State, dice: random.Random, share: float) -> State:
    """Some tensors gone, some without their axes, some of another length, some empty."""
    found: State = {}
    for key, value in state.items():
        if dice.random() > share:
            found[key] = value
            continue
        how = dice.choice(("gone", "scalar", "flat", "longer", "empty", "cut"))
        if how == "scalar":
            found[key] = torch.zeros((), dtype=value.dtype)
        elif how == "flat":
            found[key] = value.reshape(-1)[:7].clone()
        elif how == "longer":
            found[key] = torch.zeros([size + 1 for size in value.shape], dtype=value.dtype)
        elif how == "empty":
            found[key] = value[:0].clone() if value.ndim else value
        elif how == "cut" and value.ndim:
            found[key] = value[: max(1, len(value) // 2)].clone()
    return found


@pytest.mark.parametrize("times", [3, pytest.param(25, marks=pytest.mark.slow)])
@pytest.mark.parametrize("origin", ORIGINS)
def test_a_damaged_file_is_read_or_refused_in_a_sentence(origin: str, times: int, tmp_path: Path) -> None:
    state, dice = ORIGINS[origin](tmp_path), random.Random(origin)
    refused = 0
    for number in range(times):
        path = tmp_path / f"damaged_{number}.pth"
        torch.save({"state_dict": damaged(state, dice, SHARES[number % 3])}, path)
        try:
            read_checkpoint(path)
            load_model(path)
        except UserError as error:
            assert str(path) in str(error) and "\n" not in str(error)
            refused += 1
        path.unlink()
    assert refused
