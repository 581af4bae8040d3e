"""The eps of batch norm: no tensor of a checkpoint holds it, and the outputs depend on it (CSN's is 1e-3)."""

from __future__ import annotations

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


def eps_of(model: nn.Module) -> float | None:
    """The one eps of a model's batch norms; None where there is none, or more than one."""
    found = {module.eps for module in model.modules() if isinstance(module, _BatchNorm)}
    return found.pop() if len(found) == 1 else None


def read_eps(said: object) -> float | None:
    """The eps that a file says. Raises ValueError for what is none."""
    if said is None:
        return None
    if not isinstance(said, int | float) or not 0 < said < 0.1:
        raise ValueError(f"bn_eps {said!r}")
    return float(said)


def set_eps(model: nn.Module, eps: float | None) -> tuple[str, ...]:
    """Gives the batch norms the eps that a file was trained with, and says so where the model's is another."""
    own = eps_of(model)
    if eps is None or own is None or eps == own:
        return ()
    for module in model.modules():
        if isinstance(module, _BatchNorm):
            module.eps = eps
    return (f"its batch norms have eps {eps:g}, not {own:g}",)
