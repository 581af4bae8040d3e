"""Whether a file's tensors fit a model, and which of them go where."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch

from omnisrc.errors import UserError
from omnisrc.models.checkpoints.architecture import COUNTER, architecture_of, classes_of
from omnisrc.models.checkpoints.inflate import inflate
from omnisrc.models.checkpoints.read import Checkpoint, some
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


def fit(model: Recogniser, found: Checkpoint, strict: bool) -> Fit:
    """Raises UserError where the file does not fit; the rules are `load_checkpoint`'s."""
    target = model.state_dict()
    inflated = _check_architecture(model, target, found, strict)
    state = inflate(found.state, target) if inflated else found.state
    if strict:
        _check_classes(model, target, found)
    left_out = () if strict else _unfit_head(state, target)
    missing = tuple(key for key in target if key not in state and not key.endswith(COUNTER))
    unexpected = tuple(key for key in state if key not in target and key not in left_out)
    needed = missing if strict else tuple(key for key in missing if key.startswith("trunk."))
    if needed or (strict and unexpected):
        raise UserError(_unlike(model, found, needed, unexpected))
    fitting = {key: value for key, value in state.items() if key in target and key not in left_out}
    _check_shapes(model, target, found, fitting)
    return Fit(fitting, missing, unexpected, left_out, inflated)


def _check_architecture(model: Recogniser, target: State, found: Checkpoint, strict: bool) -> bool:
    """Whether 2-D kernels must be inflated."""
    own, theirs = architecture_of(target), architecture_of(found.state)
    if own is None and theirs is None:
        return False  # names and shapes will tell
    if theirs is None:
        raise UserError(f"{found.path} holds no ResNet ({some(found.state)}), but {model.name} is {own}")
    if own == theirs:
        return False
    inflates = own == replace(theirs, dims=3)
    if inflates and not strict:
        return True
    fits = f": it fits {found.meta['model']}" if "model" in found.meta else ""
    hint = ", and can start this model with --init, which inflates it" if inflates else ""
    raise UserError(f"{found.path} holds {theirs}, but {model.name} is {own}{fits}{hint}")


def _check_classes(model: Recogniser, target: State, found: Checkpoint) -> None:
    own, theirs = classes_of(target), classes_of(found.state)
    if own is not None and theirs is not None and own != theirs:
        raise UserError(
            f"{found.path} answers for {theirs} classes, but {model.name} was made for {own}: use the class list that "
            "it was trained on, or --init, which takes its trunk alone"
        )


def _unfit_head(state: State, target: State) -> tuple[str, ...]:
    """The file's whole head, if any part of it has another shape."""
    head = [key for key in state if key.startswith("head.")]
    unlike = any(key in target and state[key].shape != target[key].shape for key in head)
    return tuple(head) if unlike else ()


def _unlike(model: Recogniser, found: Checkpoint, missing: tuple[str, ...], unexpected: tuple[str, ...]) -> str:
    lacks = f"lacks {some(missing)}" if missing else ""
    beyond = f"has {some(unexpected)} beyond it" if unexpected else ""
    trunk_alone = missing and all(key.startswith("head.") for key in missing)
    hint = ": it is a trunk alone, for --init" if trunk_alone else ""
    return f"{found.path} does not fit {model.name}: it {' and '.join(filter(None, (lacks, beyond)))}{hint}"


def _check_shapes(model: Recogniser, target: State, found: Checkpoint, fitting: State) -> None:
    for key, value in fitting.items():
        if value.shape != target[key].shape:
            theirs, own = ("x".join(map(str, tensor.shape)) for tensor in (value, target[key]))
            raise UserError(f"{found.path} does not fit {model.name}: its {key} is {theirs}, the model's {own}")
