"""A fresh recogniser starts unprejudiced, and can learn."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn.functional import cross_entropy

from omnisrc.models import create_model
from omnisrc.models.create import FAMILIES as MODULES
from tests.models.networks import FAMILIES

RESIDUAL = ("tsn", "slowonly", "tsm", "i3d", "r2plus1d", "csn", "slowfast", "omni")
PUBLISHED = [name for module in MODULES if module.__name__.split(".")[-1] in RESIDUAL for name in module.MODELS]
QUICK = ("tsn_r18", "slowonly_r18", "tsm_r18", "slowfast_r18")


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("classes", [4, 400])
def test_the_first_loss_is_near_the_logarithm_of_the_classes(name: str, classes: int) -> None:
    check_first_loss(name, classes, 16)


@pytest.mark.slow
@pytest.mark.parametrize("name", PUBLISHED)
@pytest.mark.parametrize("classes", [4, 400])
def test_the_first_loss_of_the_published_width_is_near_it_too(name: str, classes: int) -> None:
    check_first_loss(name, classes, 64)


def check_first_loss(name: str, classes: int, width: int) -> None:
    model = create_model(name, classes, width=width)
    clips = torch.randn(8, 1, 3, 1 if name.startswith("tsn") else 4, 32, 32)
    with torch.no_grad():
        loss = cross_entropy(model(clips), torch.arange(8) % classes).item()
    assert loss == pytest.approx(math.log(classes), rel=0.05)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in FAMILIES]
)
def test_eight_clips_are_learnt_by_heart(name: str) -> None:
    model = create_model(name, 8, width=16 if name.startswith("slowfast") else 8)
    clips = torch.randn(8, 1, 3, 1 if name.startswith("tsn") else 8, 32, 32)
    check_learnt(model, clips)


@pytest.mark.slow
def test_eight_stills_are_learnt_by_heart() -> None:
    """Their running statistics are the clips', so clips go along."""
    torch.manual_seed(1)
    model = create_model("omni_r18", 8, width=8)
    check_learnt(model, torch.randn(8, 1, 3, 1, 32, 32), torch.randn(8, 1, 3, 4, 32, 32))


def check_learnt(model: torch.nn.Module, *kinds: torch.Tensor) -> None:
    labels = torch.arange(8)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    learnt, steps = False, 0
    while not learnt and steps < 200:
        for _ in range(10):
            optimiser.zero_grad()
            model.train()
            sum(cross_entropy(model(clips), labels) for clips in kinds).backward()  # type: ignore[union-attr]
            optimiser.step()
        steps += 10
        with torch.no_grad():
            model.eval()
            learnt = all(torch.equal(model(clips).argmax(1), labels) for clips in kinds)
    assert learnt, f"not all of eight clips after {steps} steps"
