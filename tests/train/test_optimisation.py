import math

import pytest
import torch

from omnisrc.train.optimisation import learning_rate, make_optimiser, parameter_groups, set_rate
from omnisrc.train.settings import TrainSettings


def rates(steps, **settings):
    return [learning_rate(step, steps, TrainSettings(**settings)) for step in range(steps)]


def test_cosine_goes_from_the_rate_to_nothing():
    got = rates(100, lr=0.2, warmup=0)
    assert got == pytest.approx([0.1 * (1 + math.cos(math.pi * k / 100)) for k in range(100)])
    assert got[0] == 0.2 and got[50] == pytest.approx(0.1) and 0 < got[-1] < 1e-4


def test_steps_fall_at_their_milestones():
    # TSN's recipe: a tenth after 40 and 80 of 100 epochs.
    got = rates(100, lr=0.01, schedule="steps", warmup=0)
    assert got[:40] == pytest.approx([0.01] * 40)
    assert got[40:80] == pytest.approx([0.001] * 40)
    assert got[80:] == pytest.approx([0.0001] * 20)


def test_warm_up_climbs_in_a_line_from_its_share():
    # SlowOnly's recipe: 34 of 256 epochs from a hundredth.
    got = rates(256, lr=0.1, schedule="constant", warmup=34 / 256, warmup_from=0.01)
    assert got[0] == pytest.approx(0.001)
    assert got[17] == pytest.approx(0.1 * 0.505)
    assert got[34:] == pytest.approx([0.1] * 222)


def test_sgd_with_momentum_and_decay_by_hand():
    weight = torch.nn.Parameter(torch.tensor([1.0]))
    optimiser = make_optimiser([weight], TrainSettings(lr=0.1, momentum=0.5, weight_decay=0.01))
    velocity, value = 0.0, 1.0
    for rate in (0.1, 0.2, 0.05):
        set_rate(optimiser, rate)
        optimiser.zero_grad()
        (2 * weight).sum().backward()
        optimiser.step()
        velocity = 0.5 * velocity + 2 + 0.01 * value
        value -= rate * velocity
        assert weight.item() == pytest.approx(value, rel=1e-6)


def test_the_first_convolution_may_learn_faster():
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.Conv2d(4, 4, 3))
    plain = make_optimiser(parameter_groups(model, TrainSettings()), TrainSettings())
    assert len(plain.param_groups) == 1 and len(plain.param_groups[0]["params"]) == 6
    fast = TrainSettings(first_conv_lr=5.0)
    optimiser = make_optimiser(parameter_groups(model, fast), fast)
    set_rate(optimiser, 0.01)
    rates = {id(p): group["lr"] for group in optimiser.param_groups for p in group["params"]}
    assert rates[id(model[0].weight)] == pytest.approx(0.05) and rates[id(model[0].bias)] == pytest.approx(0.1)
    assert len(rates) == 6 and all(rates[id(p)] == 0.01 for p in [*model[1].parameters(), *model[2].parameters()])
