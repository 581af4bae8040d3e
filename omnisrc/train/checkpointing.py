"""What a run needs to go on where it stopped: model, optimiser, place. (Randomness is a function of the step.)"""

from __future__ import annotations

import os
import pickle
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from omnisrc.errors import UserError, WorldError


@dataclass(frozen=True)
class Standing:
    """Where a run stands: steps done, the best score on val so far, seconds of training, samples skipped."""

    step: int = 0
    best_step: int = -1
    best_score: float = -1.0  # the task's own: top-1, or mAP
    best_loss: float = float("inf")
    seconds: float = 0.0
    skips: int = 0


def save_state(path: Path, model: nn.Module, optimiser: torch.optim.Optimizer, standing: Standing) -> None:
    """Writes `path` under another name first and syncs it, so that a kill at any moment leaves a whole file.

    Raises:
        WorldError: the disk does not take it.
    """
    content = {"model": model.state_dict(), "optimiser": optimiser.state_dict(), "standing": asdict(standing)}
    part = path.with_name(path.name + ".part")
    try:
        with open(part, "wb") as file:
            torch.save(content, file)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except (OSError, RuntimeError) as error:  # torch turns a short write into a RuntimeError
        part.unlink(missing_ok=True)
        raise WorldError(f"The checkpoint {path} could not be written ({error}); make room and train again.") from error


def load_state(path: Path, model: nn.Module, optimiser: torch.optim.Optimizer) -> Standing:
    """Fills model and optimiser from a checkpoint; weights only, nothing in the file is run.

    Raises:
        UserError: the file is damaged or of another network.
    """
    try:
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        model.load_state_dict(content["model"])
        optimiser.load_state_dict(content["optimiser"])
        return Standing(**content["standing"])
    except (OSError, RuntimeError, KeyError, TypeError, ValueError, EOFError, pickle.UnpicklingError) as error:
        raise UserError(f"The checkpoint {path} is damaged; remove it to begin the run again.") from error
