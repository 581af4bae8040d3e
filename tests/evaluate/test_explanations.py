"""Explanations against their definitions, and against where the evidence really is."""

from __future__ import annotations

import copy
import importlib.util
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from omnisrc.errors import UserError
from omnisrc.evaluate.explanations import methods
from omnisrc.evaluate.explanations.methods import check, explain, upsampled
from omnisrc.models import Recogniser
from tests.evaluate.shapes import SIDE, TinyTrunk, learnt, square_clip, tiny, views_of
from tests.models.networks import seasoned

needs_captum = pytest.mark.skipif(importlib.util.find_spec("captum") is None, reason="captum is not installed")


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(before)


def networks() -> dict[str, tuple[Recogniser, torch.Tensor]]:
    """A 3-D network with one clip, and a 2-D one with three frames."""
    flat, deep = seasoned("tsn_r18"), seasoned("slowonly_r18")
    return {"2d": (flat, torch.randn(1, 3, 3, 1, 64, 64)), "3d": (deep, torch.randn(1, 2, 3, 4, 64, 64))}


def manual_gradcam(model: Recogniser, views: torch.Tensor, target: int) -> torch.Tensor:
    """Selvaraju et al., equations 1 and 2, on the trunk's last map."""
    maps = model.trunk(views.flatten(0, 1)).detach().requires_grad_()
    logit = model.head(model.head.embed(maps, views.shape[1]))[0, target]
    [gradient] = torch.autograd.grad(logit, maps)
    return (gradient.mean((2, 3, 4), keepdim=True) * maps).sum(1).relu().detach()


class Guided(torch.autograd.Function):
    """Springenberg et al., equation in figure 1: gradients pass where both they and the input are positive."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(x)
        return x.clamp(min=0)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        [x] = ctx.saved_tensors
        return gradient * (x > 0) * (gradient > 0)


class GuidedReLU(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return Guided.apply(x)


def manual_guided(model: Recogniser, views: torch.Tensor, target: int) -> torch.Tensor:
    other = copy.deepcopy(model)
    for parent in list(other.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.ReLU):
                setattr(parent, name, GuidedReLU())
    inputs = views.clone().requires_grad_()
    other(inputs)[0, target].backward()
    assert inputs.grad is not None
    return inputs.grad[0]


@pytest.mark.parametrize("dims", ["2d", "3d"])
def test_a_class_activation_map_adds_up_to_the_logit(dims: str) -> None:
    model, views = networks()[dims]
    for target in range(5):
        raw = explain(model, views, target, "cam").raw
        with torch.no_grad():
            logit, bias = float(model(views)[0, target]), float(model.head.fc.bias[target])
        assert float(raw.mean()) + bias == pytest.approx(logit, abs=1e-5)


@needs_captum
@pytest.mark.parametrize("dims", ["2d", "3d"])
def test_gradcam_is_its_formula_and_the_class_activation_map_by_the_number_of_places(dims: str) -> None:
    model, views = networks()[dims]
    most = 0.0
    for target in range(5):
        found = explain(model, views, target, "gradcam").raw
        assert torch.allclose(found, manual_gradcam(model, views, target), rtol=1e-4, atol=1e-9)
        cam = explain(model, views, target, "cam").raw
        assert torch.allclose(found * cam.numel(), cam.relu(), rtol=1e-4, atol=1e-7)
        most = max(most, float(found.max()))
    assert most > 0


@needs_captum
@pytest.mark.parametrize("dims", ["2d", "3d"])
def test_guided_backpropagation_is_that_of_other_hooks_though_relus_work_in_place(dims: str) -> None:
    model, views = networks()[dims]
    assert all(module.inplace for module in model.modules() if isinstance(module, nn.ReLU))
    model.train()
    found = explain(model, views, 1, "guided-backprop").raw
    assert model.training and all(module.inplace for module in model.modules() if isinstance(module, nn.ReLU))
    assert torch.allclose(found, manual_guided(model.eval(), views, 1), rtol=1e-4, atol=1e-10)
    plain = views.clone().requires_grad_()
    model(plain)[0, 1].backward()
    assert plain.grad is not None and found.norm() > 0
    assert (found - plain.grad[0]).norm() > 0.1 * found.norm()


@needs_captum
@pytest.mark.filterwarnings("ignore")
def test_guided_gradcam_is_the_product_and_captums_own() -> None:
    from captum.attr import GuidedGradCam

    model, views = networks()["3d"]
    found = explain(model, views, 3, "guided-gradcam").raw
    cam = upsampled(explain(model, views, 3, "gradcam").raw, (4, 64, 64))
    assert torch.equal(found, explain(model, views, 3, "guided-backprop").raw * cam[:, None])
    with methods.out_of_place(model):
        theirs = GuidedGradCam(_Clips(model), model.trunk).attribute(
            views[0], target=3, interpolate_mode="trilinear"
        )  # fmt: skip
    assert found.abs().max() > 0 and torch.allclose(found, theirs, rtol=1e-4, atol=1e-12)


class _Clips(nn.Module):
    """Takes the views of one sample as a batch, as captum's own interpolation needs them."""

    def __init__(self, model: Recogniser) -> None:
        super().__init__()
        self.model = model

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        return self.model(clips[None])


@needs_captum
@pytest.mark.parametrize("dims", ["2d", "3d"])
@pytest.mark.parametrize("stage", ["layer1", "layer3"])
def test_every_stage_can_be_explained(dims: str, stage: str) -> None:
    model, views = networks()[dims]
    found = explain(model, views, 3, "gradcam", stage)
    assert found.raw.shape[:2] == views.shape[1:4:2] and found.heat.shape == (*views.shape[1:4:2], 64, 64)
    assert found.heat.min() == 0 and found.heat.max() == 1
    assert explain(model, views, 3, "activation", stage).raw.shape == found.raw.shape


class LateTrunk(TinyTrunk):
    """Its ReLUs begin the next stage, so that each changes the map before it."""

    def __init__(self) -> None:
        super().__init__()
        relus = [stage.pop(2) for stage in (self.first, self.second)]
        self.second, self.third = (
            nn.Sequential(relu, *stage) for relu, stage in zip(relus, (self.second, self.third), strict=True)
        )


@needs_captum
@pytest.mark.parametrize("stage", ["first", "second"])
def test_a_relu_that_changes_a_stages_map_does_not_change_what_is_told_of_it(stage: str) -> None:
    model = tiny().eval()
    model.trunk = LateTrunk().eval()
    views = torch.randn(1, 1, 3, 4, SIDE, SIDE)
    plain = copy.deepcopy(model)
    for module in plain.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = False
    maps = plain.trunk.maps(views[0])
    logit = plain.head(plain.head.embed(maps["third"], 1))[0, 1]
    [gradient] = torch.autograd.grad(logit, maps[stage])
    expected = (gradient.mean((2, 3, 4), keepdim=True) * maps[stage]).sum(1).relu()
    found = explain(model, views, 1, "gradcam", stage).raw
    assert expected.max() > 0 and torch.allclose(found, expected, rtol=1e-4, atol=1e-9)
    assert torch.allclose(explain(model, views, 1, "activation", stage).raw, maps[stage].mean(1), atol=1e-6)


@needs_captum
def test_a_frozen_trunk_can_be_explained() -> None:
    model, views = networks()["3d"]
    expected = explain(model, views, 2, "gradcam").raw
    model.trunk.freeze()
    assert torch.equal(explain(model, views, 2, "gradcam").raw, expected)


@needs_captum
def test_random_top_layers_give_another_gradcam() -> None:
    model = learnt()
    clips = [views_of(model, square_clip(1, seed, 8)[0]) for seed in range(77, 85)]
    other = copy.deepcopy(model)
    nn.init.normal_(other.head.fc.weight)
    nn.init.normal_(other.trunk.third[0].weight, std=0.1)
    likeness = []
    for views in clips:
        one, two = (explain(each, views, 1, "gradcam").heat.flatten().numpy() for each in (model, other))
        likeness.append(np.corrcoef(one, two)[0, 1])
    assert np.nanmean(likeness) < 0.6, likeness


@needs_captum
@pytest.mark.parametrize(("method", "factor"), [("cam", 2.0), ("gradcam", 2.0), ("guided-gradcam", 2.0)])
def test_the_evidence_lies_in_the_moving_square(method: str, factor: float) -> None:
    model, gains = learnt(), []
    for label in range(4):
        for seed in range(3):
            frames, inside = square_clip(label, 100 + seed, 8)
            found = explain(model, views_of(model, frames), label, method)
            assert found.probability > 0.9
            heat = found.heat[0].numpy()
            gains.append(heat[inside].sum() / heat.sum() / inside.mean())
    assert np.mean(gains) > factor, gains


@needs_captum
@pytest.mark.parametrize("first", [0, 3, 5])
def test_in_time_the_evidence_is_where_the_action_is(first: int) -> None:
    model = learnt()
    for label in range(4):
        frames, _ = square_clip(label, 200 + label, 8)
        noise = np.random.default_rng(label).integers(0, 90, (SIDE, SIDE, 3), dtype=np.uint8)
        shown = np.zeros(8, bool)
        shown[first : first + 3] = True
        frames = np.where(shown[:, None, None, None], frames, noise)
        when = explain(model, views_of(model, frames), label, "gradcam").heat[0].sum((1, 2)).numpy()
        assert shown[when.argmax()] and when[shown].sum() > 0.6 * when.sum(), when


class GeluNet(Recogniser):
    """A recogniser without a ReLU and without a linear head."""

    def __init__(self) -> None:
        model = learnt()
        trunk = copy.deepcopy(model.trunk)
        for parent in (trunk.first, trunk.second, trunk.third):
            parent[2] = nn.GELU()
        super().__init__(trunk, nn.Identity(), model.input, 4)
        self.name = "gelu_net"


@pytest.mark.parametrize(
    ("method", "stage", "sentence"),
    [
        ("guided-backprop", "", "gelu_net has none (it has GELU); use --method gradcam"),
        ("guided-gradcam", "", "gelu_net has none"),
        ("cam", "", "the head of gelu_net is not that"),
        ("gradcm", "", "There is no method 'gradcm'"),
        ("gradcam", "layer9", "has no stage 'layer9'; its stages are first, second, third"),
    ],
)
def test_what_is_not_defined_is_said(method: str, stage: str, sentence: str) -> None:
    with pytest.raises(UserError, match=r".") as error:
        check(GeluNet(), method, stage)
    assert sentence in str(error.value)


def test_without_captum_the_command_that_installs_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(methods.importlib.util, "find_spec", lambda name: None)
    model, views = networks()["2d"]
    with pytest.raises(UserError, match=r"pip install 'omnisrc\[explain\]'"):
        explain(model, views, 0, "gradcam")
    assert explain(model, views, 0, "cam").heat.max() == 1
