"""Whether a file's tensors fit a model, and which of them go where."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import torch

from omnisrc.errors import UserError
from omnisrc.models.checkpoints.architecture import COUNTER, architecture_of
from omnisrc.models.checkpoints.inflate import inflate, inflates
from omnisrc.models.checkpoints.read import Checkpoint, some
from omnisrc.models.modality import cross_modality
from omnisrc.models.recogniser import Recogniser

State = Mapping[str, torch.Tensor]


@dataclass(frozen=True)
class Fit:
    """What is to be copied, and what is not; keys under our names."""

    state: dict[str, torch.Tensor]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    left_out: tuple[str, ...]
    inflated: bool


def fit(model: Recogniser, found: Checkpoint, strict: bool, with_head: bool = True) -> Fit:
    """Raises UserError where the file does not fit; the rules are `load_checkpoint`'s.

    Without `with_head` the file's head is left out of a start whatever its shape.
    """
    target = model.state_dict()
    inflated = not strict and inflates(found.state, target)
    state = inflate(found.state, target) if inflated else found.state
    state = state if strict else cross_modality(state, target)
    left_out = () if strict else _unfit_head(state, target, with_head)
    kept = {key: value for key, value in state.items() if key not in left_out}
    lacking, surplus, unlike = differences(target, kept)
    missing = tuple(key for key in lacking if key not in left_out)
    unexpected = tuple(surplus)
    needed = missing if strict else tuple(key for key in missing if not _may_lack(model, key))
    beyond = unexpected if strict else tuple(key for key in unexpected if key.startswith("trunk."))
    if needed or unlike or beyond:
        raise UserError(_why(model, target, found, needed, beyond, unlike))
    fitting = {key: value for key, value in kept.items() if key in target}
    return Fit(fitting, missing, unexpected, left_out, inflated)


def differences(target: State, state: State) -> tuple[list[str], list[str], list[str]]:
    """Names that lack, names without a place, and names whose shape is another."""
    missing = [key for key in target if key not in state and not key.endswith(COUNTER)]
    unexpected = [key for key in state if key not in target]
    unlike = [key for key in state if key in target and state[key].shape != target[key].shape]
    return missing, unexpected, unlike


def _may_lack(model: Recogniser, key: str) -> bool:
    """Whether a start may leave `key` as it is: heads, and what the trunk adds to the network that it is made of."""
    return not key.startswith("trunk.") or any(re.search(added, key) for added in model.trunk.added)


def _unfit_head(state: State, target: State, wanted: bool) -> tuple[str, ...]:
    """The file's whole head, if any part of it has another shape or none of it is wanted."""
    head = [key for key in state if key.startswith("head.")]
    unlike = any(key in target and state[key].shape != target[key].shape for key in head)
    return tuple(head) if unlike or not wanted else ()


def _why(
    model: Recogniser,
    target: State,
    found: Checkpoint,
    missing: tuple[str, ...],
    unexpected: tuple[str, ...],
    unlike: list[str],
) -> str:
    """Why the file does not fit: its classes, its kind, or else the first tensors that differ."""
    head_alone = all(key.startswith("head.") for key in (*missing, *unexpected, *unlike))
    if not found.state.keys() & target.keys():
        return f"{found.path} holds no weights of {_kind(model.name, target)}: it holds {_held(found)}"
    if head_alone and not missing and not unexpected and found.num_classes not in (None, model.num_classes):
        return (
            f"{found.path} answers for {found.num_classes} classes, but {model.name} was made for {model.num_classes}:"
            " use the class list that it was trained on, or --init, which takes its trunk alone"
        )
    if head_alone and missing and not unexpected and not unlike:
        return f"{found.path} does not fit {model.name}: it lacks {some(missing)}: it is a trunk alone, for --init"
    own, theirs = architecture_of(target), architecture_of(found.state)
    if own is not None and own != theirs:
        hint = ", and can start this model with --init, which inflates it" if inflates(found.state, target) else ""
        what = theirs or f"no ResNet ({some(found.state)})"
        return f"{found.path} holds {what}, but {model.name} is {own}{_fits(model, found)}{hint}"
    parts = [f"lacks {some(missing)}"] if missing else []
    parts += [f"has {some(unexpected)} beyond it"] if unexpected else []
    said = f"it {' and '.join(parts)}" if parts else _shapes(unlike[0], target, found.state)
    return f"{found.path} does not fit {model.name}: {said}{_fits(model, found)}"


def _kind(name: str, target: State) -> str:
    architecture = architecture_of(target)
    return name if architecture is None else f"{name}, {architecture}"


def _held(found: Checkpoint) -> str:
    """What a file with none of the model's tensors is."""
    if found.match is not None:
        return f"those of {found.match}"
    return str(architecture_of(found.state) or f"{some(found.state)}, of no model known here")


def _fits(model: Recogniser, found: Checkpoint) -> str:
    match = found.match
    if match is not None and match.name != model.name:
        return f": it fits {match.name} (--model {match.name})"
    return f" (`omnisrc models show {found.path}` says what it is)"


def _shapes(key: str, target: State, state: State) -> str:
    theirs, own = ("x".join(map(str, tensor.shape)) for tensor in (state[key], target[key]))
    return f"its {key} is {theirs}, the model's {own}"
