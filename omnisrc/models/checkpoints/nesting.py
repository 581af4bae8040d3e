"""Where a trainer's file keeps the weights, which of two sets is meant, and the prefixes that wrappers left on them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

PLAIN = ("state_dict", "model_state", "model_state_dict", "model")
"""Weights: MMAction2 and Lightning, PySlowFast and PyTorchVideo, others."""

AVERAGED = ("ema_state_dict", "state_dict_ema", "model_ema", "ema_state", "ema")
"""Their moving average: timm's is `state_dict_ema`, torchvision's `model_ema`."""

WRAPPERS = ("module.", "_orig_mod.", "model.", "ema_model.")
"""Prefixes that DataParallel, torch.compile, Lightning and averaging put before every name."""

LIGHTNING = "pytorch-lightning_version"


@dataclass(frozen=True)
class Found:
    """Tensors by their names without wrappers, what stood beside them, and what is to be said of the choice."""

    state: dict[str, torch.Tensor]
    beside: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def choose(loaded: Mapping[Any, Any], averaged: bool) -> Found:
    """The weights in a file, the averaged ones where there are both and `averaged` says so."""
    plain = next((key for key in PLAIN if isinstance(loaded.get(key), Mapping)), None)
    moving = next((key for key in AVERAGED if isinstance(loaded.get(key), Mapping)), None)
    if plain is None and moving is None:
        return unwrapped(loaded)
    beside = {str(key): value for key, value in loaded.items() if key not in (plain, moving)}
    if plain and moving and _swapped(loaded[moving]):
        plain, moving = moving, plain
    key = moving if moving and (averaged or plain is None) else plain
    found = unwrapped(loaded[key], lightning=LIGHTNING in loaded)
    return Found(found.state, beside, (*_said(key, plain, moving), *found.notes))


def _swapped(moving: Mapping[Any, Any]) -> bool:
    """Whether this `ema_state_dict` is MMEngine's, which is saved with the two sets exchanged.

    Its EMA hook puts the average into `state_dict`, for use, and the weights of training under the names of the
    averaging model: `module.*` and a count of `steps`.
    """
    return "steps" in moving and all(str(key).startswith("module.") for key in moving if key != "steps")


def _said(key: str | None, plain: str | None, moving: str | None) -> tuple[str, ...]:
    if moving is None:
        return ()
    if plain is None:
        return (f"these are averaged weights ({moving})",)
    taken, other = ("averaged", "trained") if key == moving else ("trained", "averaged")
    left = plain if key == moving else moving
    return (f"the {taken} weights ({key}) are taken, not the {other} ones ({left})",)


def unwrapped(state: Mapping[Any, Any], lightning: bool = False) -> Found:
    """The tensors of a state dict, without the prefixes that all of them have, and what was taken off.

    A Lightning file also holds losses and metrics: the network is what lies under `model.`.
    """
    tensors = {str(key): value.detach() for key, value in state.items() if isinstance(value, torch.Tensor)}
    if lightning and any(key.startswith("model.") for key in tensors):
        tensors = {key: value for key, value in tensors.items() if key.startswith("model.")}
    elif "steps" in tensors and tensors["steps"].ndim == 0:
        tensors.pop("steps")
    elif "n_averaged" in tensors and tensors["n_averaged"].ndim == 0:
        tensors.pop("n_averaged")
    taken = ""
    while tensors:
        wrapper = next((w for w in WRAPPERS if all(key.startswith(w) for key in tensors)), None)
        if wrapper is None:
            break
        taken += wrapper
        tensors = {key.removeprefix(wrapper): value for key, value in tensors.items()}
    notes = [f"the prefix {taken} was taken off"] if taken else []
    kinds = {str(value.dtype).removeprefix("torch.") for value in tensors.values() if value.is_floating_point()}
    narrow = sorted(kinds - {"float32"})
    notes += [f"{' and '.join(narrow)} weights, held as the model's float32"] if narrow else []
    return Found(tensors, notes=tuple(notes))
