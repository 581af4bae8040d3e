"""Every kind of recogniser starts unprejudiced and can learn, at its published width where that is quick."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import pytest
import torch
from torch.nn.functional import cross_entropy

from omnisrc.models import Recogniser, create_model, model_names
from omnisrc.models.create import MODELS
from omnisrc.models.families import c3d, frames, torchvision_video, tsn_timm, tsn_trunks, x3d
from omnisrc.models.heads.linear import LinearHead
from omnisrc.models.inputs import InputSpec
from omnisrc.models.trunks.torchvision_video import MViT
from tests.models.networks import FAMILIES
from tests.models.pretrained_folders import TINY

OURS = [name for family in (x3d, c3d, frames, tsn_trunks, tsn_timm, torchvision_video) for name in family.MODELS]


class Trial(NamedTuple):
    """A small network, the clips it can take, and how it is taught."""

    args: dict[str, Any]
    clip: tuple[int, int]  # frames, pixels
    lr: float = 0.01
    adam: bool = False


QUICK = {
    "latefusion_r18": Trial({"width": 8, "frozen": False}, (2, 32)),
    "lrcn_r18": Trial({"width": 8, "frozen": False}, (2, 32), 3e-3, adam=True),
    "trn_r18": Trial({"width": 8, "frames": 3, "dropout": 0.0}, (3, 32)),
    "tsn_bninception": Trial({"width": 8, "dropout": 0.0}, (1, 32), 3e-3, adam=True),
}
SLOW = {
    "c3d": Trial({"width": 8, "dropout": 0.0}, (16, 112), 0.005),
    "x3d_xs": Trial({"width": 16, "dropout": 0.0}, (2, 32), 0.02),
    "latefusion_r50": Trial({}, (2, 32), 1e-3, adam=True),  # the trunk frozen at random
    "lrcn_r50": Trial({}, (3, 32), 1e-3, adam=True),
    "trn_bninception": Trial({"width": 16, "frames": 3, "dropout": 0.0}, (3, 32)),
    "tsn_efficientnet_b4": Trial({}, (1, 64), 1e-3, adam=True),
    "tsn_swin_t": Trial({}, (1, 64), 1e-4, adam=True),
    "tsn_torchvision": Trial({"trunk": "resnet18"}, (1, 32)),
    "tsn_timm": Trial({"trunk": "convnext_atto"}, (1, 64), 1e-3, adam=True),
    "s3d": Trial({}, (8, 32), 1e-3, adam=True),
    "r3d_18": Trial({}, (4, 32)),
    "mc3_18": Trial({}, (4, 32)),
    "r2plus1d_18": Trial({}, (4, 32)),
    "swin3d_t": Trial({}, (4, 32), 1e-4, adam=True),
}

NARROW: dict[str, Any] = {"width": 8}
UNFROZEN = {**NARROW, "frozen": False}
DEEPER = {
    **{f"tsn_r{depth}": Trial(NARROW, (1, 32)) for depth in (34, 50, 101)},
    "tsn_r152": Trial({**NARROW, "zero_init_gamma": True}, (1, 32)),
    **{f"slowonly_r{depth}": Trial(NARROW, (4, 32)) for depth in (34, 50, 101, 152)},
    **{f"tsm_r{depth}": Trial(NARROW, (4, 32)) for depth in (34, 50, 101)},
    **{f"{kind}csn_r{depth}": Trial(NARROW, (4, 32)) for kind in ("ir", "ip") for depth in (101, 152)},
    **{name: Trial({"width": 16}, (8, 32)) for name in ("slowfast_r50", "slowfast_r101", "slowfast_r101_r50")},
    **{name: Trial(NARROW, (4, 32)) for name in ("i3d_r50_heavy", "omni_r50")},
    **{f"x3d_{size}": Trial({"width": 16, "dropout": 0.0}, (2, 32), 0.02) for size in ("s", "m", "l")},
    "latefusion_r101": Trial(UNFROZEN, (2, 32), 3e-3, adam=True),
    "latefusion_r152": Trial({**UNFROZEN, "dropout": 0.0}, (2, 32), 3e-4, adam=True),
    "lrcn_r101": Trial(UNFROZEN, (2, 32), 3e-3, adam=True),
    "lrcn_r152": Trial({**UNFROZEN, "dropout": 0.0}, (2, 32), 1e-3, adam=True),
    **{
        f"trn_r{depth}": Trial({**NARROW, "frames": 3, "dropout": 0.0}, (3, 32), 3e-3, adam=True)
        for depth in (50, 101, 152)
    },
    **{f"tsn_swin_{size}": Trial({}, (1, 64), 1e-4, adam=True) for size in ("s", "b")},
    **{f"swin3d_{size}": Trial({}, (4, 32), 1e-4, adam=True) for size in ("s", "b")},
    **{f"videomae_{size}": Trial({"config": TINY["videomae_b"]}, (4, 32), 3e-3, adam=True) for size in ("s", "l")},
}
"""The other depths and sizes of the families above."""

BY_ITSELF = {"mvit_v1_b", "mvit_v2_s"}

FLOW = {
    "tsn_r18": Trial(NARROW, (1, 32)),
    "tsn_bninception": Trial({**NARROW, "dropout": 0.0}, (1, 32), 3e-3, adam=True),
    "slowonly_r18": Trial(NARROW, (4, 32)),
    "i3d_r50": Trial(NARROW, (8, 32)),
    "ircsn_r50": Trial(NARROW, (4, 32)),
    "r2plus1d_r34": Trial(NARROW, (4, 32), 3e-3, adam=True),
    "r3d_18": Trial({}, (4, 32)),
}
"""Networks that see optical flow."""


def test_every_name_is_tried() -> None:
    tried = {*FAMILIES, *QUICK, *SLOW, *DEEPER, *BY_ITSELF, *TINY}
    assert tried == set(model_names())


def clips_of(model: Recogniser, count: int, clip: tuple[int, int]) -> torch.Tensor:
    """Noise as the model would be given frames: with the deviation that is left after its scaling."""
    length, side = clip
    deviation = 58.0 / (sum(model.input.std) / len(model.input.std))
    return deviation * torch.randn(count, 1, model.input.channels, length, side, side)


def steps_to_learn(model: Recogniser, clips: torch.Tensor, trial: Trial) -> int | None:
    """After how many steps, tens of them, all clips are told apart in evaluation mode; None if 200 are not enough."""
    labels = torch.arange(len(clips))
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    kind = torch.optim.AdamW if trial.adam else torch.optim.SGD
    optimiser = kind(learning, lr=trial.lr, **({} if trial.adam else {"momentum": 0.9}))
    for steps in range(10, 210, 10):
        for _ in range(10):
            optimiser.zero_grad()
            cross_entropy(model.train()(clips), labels).backward()
            optimiser.step()
        with torch.no_grad():
            if torch.equal(model.eval()(clips).argmax(1), labels):
                return steps
    return None


@pytest.mark.parametrize("name", QUICK)
def test_eight_clips_are_learnt_by_heart(name: str) -> None:
    trial = QUICK[name]
    model = create_model(name, 8, **trial.args)
    assert steps_to_learn(model, clips_of(model, 8, trial.clip), trial)


@pytest.mark.slow
@pytest.mark.parametrize("name", SLOW)
def test_eight_clips_are_learnt_by_heart_by_the_slower(name: str) -> None:
    trial = SLOW[name]
    model = create_model(name, 8, **trial.args)
    assert steps_to_learn(model, clips_of(model, 8, trial.clip), trial)


@pytest.mark.slow
@pytest.mark.parametrize("name", DEEPER)
def test_eight_clips_are_learnt_by_heart_by_the_deeper(name: str) -> None:
    if name.startswith("videomae"):
        pytest.importorskip("transformers")
    trial = DEEPER[name]
    model = create_model(name, 8, **trial.args)
    assert steps_to_learn(model, clips_of(model, 8, trial.clip), trial)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name == "tsn_r18" else pytest.mark.slow) for name in FLOW]
)
def test_eight_clips_of_flow_are_learnt_by_heart(name: str) -> None:
    trial = FLOW[name]
    model = create_model(name, 8, modality="flow", **trial.args)
    assert steps_to_learn(model, clips_of(model, 8, trial.clip), trial)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(BY_ITSELF))
def test_eight_clips_are_learnt_by_heart_by_mvit(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """torchvision's blocks on clips of 4 frames of 32 pixels, for which the published one is too slow here."""
    from torchvision.models.video import mvit

    whole = mvit.MViT
    small = {"spatial_size": (32, 32), "temporal_size": 4, "stochastic_depth_prob": 0.0, "dropout": 0.0}
    monkeypatch.setattr(mvit, "MViT", lambda **args: whole(**{**args, **small}))
    trunk = MViT(lambda: torchvision_video._network(name), 4, 32)
    model = Recogniser(trunk, LinearHead(768, 8, 0.0), InputSpec("3d", 4, 1, 1, crop_size=32, fixed=True), 8)
    assert steps_to_learn(model, clips_of(model, 8, (4, 32)), Trial({}, (4, 32), 1e-4, adam=True))


def first_loss(name: str, classes: int, **args: Any) -> float:
    """The mean cross-entropy of clips over all the labels that they could have."""
    model = create_model(name, classes, **args)
    spec = model.input
    clip = (spec.clip_len, spec.crop_size) if spec.fixed else {"s3d": (8, 32), "trn": (8, 32)}.get(
        name.split("_")[0], (2, 32)
    )  # fmt: skip
    count = 1 if clip[1] > 112 else 8
    with torch.no_grad():
        logits = model(clips_of(model, count, clip))
    return (logits.logsumexp(1) - logits.mean(1)).mean().item()


@pytest.mark.parametrize("name", ["x3d_s", "lrcn_r18", "latefusion_r18", "trn_r18", "tsn_bninception"])
def test_the_first_loss_is_near_the_logarithm_of_the_classes(name: str) -> None:
    assert first_loss(name, 400) == pytest.approx(math.log(400), rel=0.05)


@pytest.mark.slow
@pytest.mark.parametrize("classes", [4, 400])
@pytest.mark.parametrize("name", OURS)
def test_the_first_loss_of_all_is_near_the_logarithm_of_the_classes(name: str, classes: int) -> None:
    assert name in MODELS
    assert first_loss(name, classes) == pytest.approx(math.log(classes), rel=0.05)


@pytest.mark.slow
@pytest.mark.parametrize("name", FLOW)
def test_the_first_loss_of_flow_is_near_the_logarithm_of_the_classes(name: str) -> None:
    assert first_loss(name, 400, modality="flow") == pytest.approx(math.log(400), rel=0.05)
