"""The optimiser, and the learning rate as a function of the step."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import nn

from omnisrc.train.settings import TrainSettings

Group = dict[str, Any]


def make_optimiser(parameters: Iterable[nn.Parameter | Group], settings: TrainSettings) -> torch.optim.SGD:
    """SGD with momentum and weight decay on every parameter, as the recipes of TSN and SlowOnly have it."""
    learning: Any = [p for p in parameters if isinstance(p, dict) or p.requires_grad]
    return torch.optim.SGD(
        learning,
        lr=settings.lr,
        momentum=settings.momentum,
        weight_decay=settings.weight_decay,
        nesterov=settings.nesterov and settings.momentum > 0,
    )


def parameter_groups(model: nn.Module, settings: TrainSettings) -> Sequence[nn.Parameter | Group]:
    """All parameters; where `first_conv_lr` is not 1, the first convolution's weight and bias (SlowFast: of each
    pathway's) in groups of their own, whose `times` multiplies the rate (TSN's recipe for flow: 5 and 10)."""
    convolutions = {name: m for name, m in model.named_modules() if isinstance(m, nn.Conv2d | nn.Conv3d)}
    named = getattr(getattr(model, "trunk", None), "entrances", ())
    firsts = [convolutions[f"trunk.{name}"] for name in named] or list(convolutions.values())[:1]
    if settings.first_conv_lr == 1 or not firsts:
        return list(model.parameters())
    groups: list[Group] = []
    for first in firsts:
        for parameter, times in ((first.weight, settings.first_conv_lr), (first.bias, 2 * settings.first_conv_lr)):
            if parameter is not None and parameter.requires_grad:
                groups.append({"params": [parameter], "times": times})
    own = {id(parameter) for first in firsts for parameter in (first.weight, first.bias)}
    return [{"params": [p for p in model.parameters() if p.requires_grad and id(p) not in own]}, *groups]


def learning_rate(step: int, steps: int, settings: TrainSettings) -> float:
    """The rate of `step` (0 .. steps - 1): the schedule, scaled while warming up.

    Cosine goes from lr at step 0 towards 0 at step `steps`; `steps` multiplies by `decay` at each milestone. The
    warm-up multiplies the schedule by a line from `warmup_from` to 1 (MMAction2's linear warm-up).
    """
    done = step / steps
    if settings.schedule == "cosine":
        rate = settings.lr * 0.5 * (1 + math.cos(math.pi * done))
    elif settings.schedule == "steps":
        rate = settings.lr * settings.decay ** sum(done >= milestone for milestone in settings.milestones)
    else:
        rate = settings.lr
    if done < settings.warmup:
        rate *= settings.warmup_from + (1 - settings.warmup_from) * done / settings.warmup
    return rate


def set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    for group in optimiser.param_groups:
        group["lr"] = rate * group.get("times", 1.0)
