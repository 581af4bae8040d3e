"""Five ways to ask a recogniser what in a clip speaks for a class.

    activation        mean over the channels of a stage's map; asks for no class
    cam               class activation map: the map's channels, weighted as the linear layer does (Zhou et al., 2016)
    gradcam           the map's channels, weighted by their mean gradient, negative parts cut (Selvaraju et al., 2017)
    guided-backprop   the gradient at the pixels; ReLUs let positive gradients pass alone (Springenberg et al., 2015)
    guided-gradcam    the product of both

Guided backpropagation shows edges that any class would show too: it changes little when the top layers are made random
(Adebayo et al., 2018). Take it for a picture of the input's detail, and Grad-CAM for where the evidence is.
"""

from __future__ import annotations

import importlib
import importlib.util
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from omnisrc.errors import UserError
from omnisrc.models import Recogniser
from omnisrc.models.heads.linear import LinearHead

METHODS = ("activation", "cam", "gradcam", "guided-backprop", "guided-gradcam")
CAPTUM = ("gradcam", "guided-backprop", "guided-gradcam")
GUIDED = ("guided-backprop", "guided-gradcam")
SHOWN_SHARE = 0.995
"""Guided gradients are shown up to this quantile: a few pixels are far brighter than all others."""


@dataclass(frozen=True)
class Explanation:
    """`raw`: the map of a stage (V, T', H', W'), or the gradients at the pixels (V, C, T, H, W); `heat` (V, T, H, W):
    the same over the clip's own pixels, from 0 to 1. `probability` is the class's."""

    raw: Tensor
    heat: Tensor
    probability: float


def check(model: Recogniser, method: str, stage: str) -> None:
    """Raises UserError where a method is not known, not installed, or not defined for this network."""
    if method not in METHODS:
        raise UserError(f"There is no method {method!r}; choose one of {', '.join(METHODS)}.")
    names = [each.name for each in model.trunk.stages]
    if stage and stage not in names:
        raise UserError(f"The network {model.name} has no stage {stage!r}; its stages are {', '.join(names)}.")
    if method == "cam" and not isinstance(model.head, LinearHead):
        raise UserError(
            f"The method cam is defined for a mean followed by one linear layer, and the head of {model.name} is not"
            " that; use --method gradcam."
        )
    if method == "cam" and stage and stage != names[-1]:
        raise UserError(f"The method cam is defined on the last stage, {names[-1]}; use --method gradcam for {stage}.")
    if method in GUIDED and not any(isinstance(module, nn.ReLU) for module in model.modules()):
        others = sorted({type(module).__name__ for module in model.modules() if is_activation(module)})
        has = f" (it has {', '.join(others)})" if others else ""
        raise UserError(
            f"Guided backpropagation is defined by the ReLUs of a network, and {model.name} has none{has}; use"
            " --method gradcam."
        )
    if method in CAPTUM and importlib.util.find_spec("captum") is None:
        raise UserError(f"The method {method} needs captum; install it with `pip install 'omnisrc[explain]'`.")


def captum() -> Any:
    """The library's module of methods, which is optional."""
    return importlib.import_module("captum.attr")


def is_activation(module: nn.Module) -> bool:
    return type(module).__module__ == "torch.nn.modules.activation" and not isinstance(module, nn.MultiheadAttention)


def explain(model: Recogniser, views: Tensor, target: int, method: str, stage: str = "") -> Explanation:
    """What in the views (1, V, C, T, H, W) of one sample speaks for the class `target`.

    `stage` is one of the trunk's, by default its last. The model is put into eval mode, and comes back as it was.

    Raises:
        UserError: as `check`, or a stage whose map the network does not pass on.
    """
    check(model, method, stage)
    stage = stage or model.trunk.stages[-1].name
    training = model.training
    model.eval()
    try:
        with out_of_place(model), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # captum tells of every hook that it sets
            return _explain(model, views.detach(), target, method, stage)
    finally:
        model.train(training)


def _explain(model: Recogniser, views: Tensor, target: int, method: str, stage: str) -> Explanation:
    with torch.no_grad():
        probability = float(model(views).float().softmax(1)[0, target])
    size = (views.shape[3], views.shape[4], views.shape[5])
    if method == "guided-backprop":
        raw = guided_backprop(model, views, target)
        return Explanation(raw, bright(raw), probability)
    if method in ("activation", "cam"):
        raw = (
            activation_map(model, views, stage)
            if method == "activation"
            else class_activation_map(model, views, target)
        )
        return Explanation(raw, stretched(upsampled(raw.clamp(min=0) if method == "cam" else raw, size)), probability)
    raw = gradcam(model, views, target, stage)
    if method == "guided-gradcam":
        raw = guided_backprop(model, views, target) * upsampled(raw, size)[:, None]
        return Explanation(raw, bright(raw), probability)
    return Explanation(raw, stretched(upsampled(raw, size)), probability)


@torch.no_grad()
def activation_map(model: Recogniser, views: Tensor, stage: str) -> Tensor:
    """(1, V, C, T, H, W) -> (V, T', H', W'), the mean over the channels of a stage."""
    return model.trunk.maps(views.flatten(0, 1))[stage].float().mean(1)


@torch.no_grad()
def class_activation_map(model: Recogniser, views: Tensor, target: int) -> Tensor:
    """(1, V, C, T, H, W) -> (V, T', H', W'), whose mean and the layer's bias together are the class's logit."""
    assert isinstance(model.head, LinearHead)
    maps = model.trunk(views.flatten(0, 1)).float()
    return torch.einsum("d,vdthw->vthw", model.head.fc.weight[target].float(), maps)


def gradcam(model: Recogniser, views: Tensor, target: int, stage: str) -> Tensor:
    """(1, V, C, T, H, W) -> (V, T', H', W') >= 0: ReLU(sum_c mean(dy/dA_c) A_c), the mean over time and space.

    The frames of a 2-D network count one by one before its last stage.
    """
    layer = layer_of(model, stage)
    inputs = views.clone().requires_grad_()
    try:
        found = captum().LayerGradCam(model, layer).attribute(inputs, target=target, relu_attributions=True)
    except RuntimeError as error:
        if "graph" not in str(error):
            raise
        raise UserError(
            f"The logits of {model.name} do not depend on its stage {stage} as one map; name another with --stage."
        ) from error
    return _as_map(found.detach().float(), views)


def layer_of(model: Recogniser, stage: str) -> nn.Module:
    """The module whose output is a stage's map.

    Raises:
        UserError: the trunk has no module of that name.
    """
    if stage == model.trunk.stages[-1].name:
        return model.trunk
    try:
        return model.trunk.get_submodule(stage)
    except AttributeError:
        last = model.trunk.stages[-1].name
        raise UserError(f"The stage {stage} of {model.name} is no module of its own; use --stage {last}.") from None


def _as_map(found: Tensor, views: Tensor) -> Tensor:
    """(V, 1, T', H', W'), or (V*T, 1, H', W') of a 2-D network -> (V, T', H', W')."""
    if found.ndim == 5:
        return found[:, 0]
    return found[:, 0].reshape(views.shape[1], -1, *found.shape[2:])


def guided_backprop(model: Recogniser, views: Tensor, target: int) -> Tensor:
    """(1, V, C, T, H, W) -> (V, C, T, H, W), in the scale of the normalised frames."""
    found: Any = captum().GuidedBackprop(model).attribute(views.clone().requires_grad_(), target=target)
    gradients: Tensor = found.detach().float()[0]
    return gradients


def upsampled(maps: Tensor, size: tuple[int, int, int]) -> Tensor:
    """(V, T', H', W') -> (V, T, H, W), trilinear."""
    return nn.functional.interpolate(maps[:, None], size, mode="trilinear", align_corners=False)[:, 0]


def stretched(maps: Tensor) -> Tensor:
    """From 0 to 1 over the whole clip; a map that is the same everywhere becomes 0."""
    low, high = maps.min(), maps.max()
    return (maps - low) / (high - low) if high > low else torch.zeros_like(maps)


def bright(gradients: Tensor) -> Tensor:
    """(V, C, T, H, W) -> (V, T, H, W): the strongest channel's size, from 0 to 1."""
    size = gradients.abs().amax(1)
    flat = size.flatten().sort().values
    high = flat[min(len(flat) - 1, round(SHOWN_SHARE * len(flat)))]
    return (size / high).clamp(max=1) if high > 0 else torch.zeros_like(size)


@contextmanager
def out_of_place(model: nn.Module) -> Iterator[None]:
    """No module changes its input: hooks need what went in and what came out."""
    changed = [module for module in model.modules() if getattr(module, "inplace", False) is True]
    for module in changed:
        module.inplace = False  # type: ignore[assignment]
    try:
        yield
    finally:
        for module in changed:
            module.inplace = True  # type: ignore[assignment]
