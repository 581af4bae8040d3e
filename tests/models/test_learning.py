"""A fresh recogniser starts unprejudiced, and can learn."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn.functional import cross_entropy

from omnisrc.models import create_model
from tests.models.networks import plain_names


@pytest.mark.parametrize("name", plain_names())
@pytest.mark.parametrize("classes", [4, 400])
def test_the_first_loss_is_near_the_logarithm_of_the_classes(name: str, classes: int) -> None:
    model = create_model(name, classes)
    clips = torch.randn(8, 1, 3, 1 if name.startswith("tsn") else 2, 32, 32)
    with torch.no_grad():
        loss = cross_entropy(model(clips), torch.arange(8) % classes).item()
    assert loss == pytest.approx(math.log(classes), rel=0.05)


@pytest.mark.parametrize("name", ["tsn_r18", "slowonly_r18"])
def test_eight_clips_are_learnt_by_heart(name: str) -> None:
    model = create_model(name, 8, width=8)
    clips = torch.randn(8, 1, 3, 1 if name.startswith("tsn") else 4, 32, 32)
    labels = torch.arange(8)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    learnt, steps = False, 0
    while not learnt and steps < 200:
        for _ in range(10):
            optimiser.zero_grad()
            cross_entropy(model.train()(clips), labels).backward()
            optimiser.step()
        steps += 10
        with torch.no_grad():
            learnt = torch.equal(model.eval()(clips).argmax(1), labels)
    assert learnt, f"not all of eight clips after {steps} steps"
