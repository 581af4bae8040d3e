"""The optimiser, and the learning rate as a function of the step."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import nn

from omnisrc.train.settings import TrainSettings


def make_optimiser(parameters: Iterable[nn.Parameter], settings: TrainSettings) -> torch.optim.SGD:
    """SGD with momentum and weight decay on every parameter, as the recipes of TSN and SlowOnly have it."""
    return torch.optim.SGD(
        [p for p in parameters if p.requires_grad],
        lr=settings.lr,
        momentum=settings.momentum,
        weight_decay=settings.weight_decay,
        nesterov=settings.nesterov and settings.momentum > 0,
    )


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
        group["lr"] = rate
