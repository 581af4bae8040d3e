"""The networks are MMAction2's: its layouts, its parameter counts, its cost, its outputs.

Figures from runs of MMAction2 1.2.0 (4d6c9347) with PyTorch 2.13 and 2.15 on the CPU; cost from its model cards.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from omnisrc.models import create_model
from omnisrc.models.checkpoints import mmaction2
from omnisrc.models.checkpoints.layout import Layout
from tests.models.deterministic import fill, layout, noise

RESNET, IRCSN, IPCSN = mmaction2.RESNET_LAYOUT, mmaction2.IRCSN, mmaction2.IPCSN
NON_LOCAL, R2PLUS1D, TWO_PATHWAYS = mmaction2.NON_LOCAL, mmaction2.R2PLUS1D, mmaction2.TWO_PATHWAYS

# SHA-256 of all lines "key shape", of those without counters.
LAYOUTS = {
    "tsn_r50": (
        "2bf99a4c4043fb27530c85082bea30044f9fe13c96f07c7682806e71536b87a2",
        "3561d8ecf9ac5b0dbd311d8e8f24aea89a1c810fb5606e8f40e66a3273c54bf6",
    ),
    "slowonly_r50": (
        "d5aa67d098e24dea5ba5b722d3dbaaf4e8a4927db0fe26d5e6aa2e6d4a972e40",
        "22dba4407137033374942a9d318f3105b61debf1f7fcfe089955d45d97643b09",
    ),
    "slowonly_r101": (
        "0b36e87fba2b392c0ce7a0358188c48f4a58550fe3cbb17c0b1e043ba3ab9291",
        "98a7c081835ec6c38ec830344e5ca6d3ee5ab9ef1e37b82680b3e7d50e9ac377",
    ),
    "i3d_r50": (
        "699817b546079e326645e112343bd994883635282d68af31ca0a85c6c0f7593c",
        "5a5f708990b895b2edae69e61e669f3efd9672282b89132afaf4e3078b21bad4",
    ),
    "ircsn_r152": (
        "2fc8ff13af0660a5e62172369d60950f6c978838163a425bd291e6a0aa725c48",
        "ddf6a120eb983c90774f1f5b59011beecdbf2134b4ee63580417570f1466e8e9",
    ),
}

MMACTION2 = {"lateral_norm": False, "slow_frames": "stride", "order": "fast-slow"}
"""SlowFast's arguments."""

# model, arguments, layout, entries and the first digits of the SHA-256 of its lines, parameters
MORE_LAYOUTS: list[tuple[str, dict[str, Any], Layout, int, str, int]] = [
    ("slowonly_r18", {}, RESNET, 122, "308bcbc5c04aab85", 32_025_552),
    ("i3d_r50_heavy", {}, RESNET, 320, "24e82a49f6927468", 33_024_208),
    ("i3d_nl_dot", {}, NON_LOCAL, 380, "36678cbd24e7ce67", 35_397_840),
    ("i3d_nl_embedded", {}, NON_LOCAL, 380, "36678cbd24e7ce67", 35_397_840),
    ("i3d_nl_gauss", {}, NON_LOCAL, 360, "1c1826de18df5b3b", 31_723_728),
    ("ircsn_r50", {}, IRCSN, 320, "6735f0bf8e09cf56", 13_131_152),
    ("ipcsn_r50", {}, IPCSN, 416, "d69168b883e1b3f5", 14_396_176),
    ("ipcsn_r152", {}, IPCSN, 1232, "9a2da1cab679a954", 33_016_592),
    ("r2plus1d_r34", {}, R2PLUS1D, 434, "5cc578dbfb022571", 63_759_281),
    ("tsm_r50", {}, mmaction2.SHIFT, 320, "219f121013fbc53d", 24_327_632),
    ("tsm_r101", {}, mmaction2.SHIFT_DEEP, 626, "cae6495e260e667e", 43_319_760),
    ("slowfast_r50", {"alpha": 8, "lateral_kernel": 5, **MMACTION2}, TWO_PATHWAYS, 642, "aa66d9d88e5396cd", 34_479_288),
    ("slowfast_r101_r50", {"lateral_kernel": 7, **MMACTION2}, TWO_PATHWAYS, 948, "fcb4a26306d7ee05", 62_470_584),
    ("omni_r50", {"image_classes": 1000}, mmaction2.OMNI, 334, "19b6ada881e477ea", 35_648_792),
]

PARAMETERS = {
    "tsn_r50": 24_327_632,
    "slowonly_r50": 32_454_096,
    "slowonly_r101": 60_359_120,
    "i3d_r50": 28_043_472,
    "ircsn_r152": 29_703_568,
}

# model: input of the fixture, logits[0, 0:4], argmax of row 0, mean and std of logits, mean and std of features
OUTPUTS = {
    "tsn_r50": (
        (3, 3, 64, 64),
        (-0.47508, -0.13567, -0.51268, 3.70237),
        330,
        (-0.014507, 1.865458),
        (1.265743, 1.673456),
    ),
    "slowonly_r50": (
        (2, 3, 8, 64, 64),
        (0.41409, -0.59708, 0.33326, 2.80847),
        354,
        (-0.020623, 1.770472),
        (1.255643, 1.653905),
    ),
    "slowonly_r101": (
        (2, 3, 8, 64, 64),
        (-2.32982, -0.75021, -1.17529, 5.53569),
        276,
        (-0.075289, 2.801298),
        (1.966050, 2.563647),
    ),
    "i3d_r50": (
        (2, 3, 32, 64, 64),
        (-0.38101, -0.42985, -0.35350, 5.37322),
        330,
        (0.000093, 2.065654),
        (1.433906, 1.885069),
    ),
    "ircsn_r152": (
        (2, 3, 16, 64, 64),
        (-0.28393, 1.83520, -1.54604, 3.50449),
        57,
        (0.144401, 3.728943),
        (2.497308, 3.486167),
    ),
}

# model, arguments, layout, frames; logits[0, 0:4], argmax of row 0, mean and std of logits, of two clips of 32 x 32
NARROW_OUTPUTS: list[tuple[str, dict[str, Any], Layout, int, tuple[float, ...], int, tuple[float, float]]] = [
    ("slowonly_r34", {}, RESNET, 8, (-6.84193, -2.92951, 25.97336, 35.78385), 43, (-0.052132, 14.266483)),
    ("i3d_r50", {}, RESNET, 16, (2.14177, -0.73509, -0.11183, 0.79056), 276, (0.119966, 1.596627)),
    ("i3d_r50_heavy", {}, RESNET, 8, (1.72981, -0.35514, -1.06524, 0.15953), 276, (0.113658, 1.331390)),
    ("i3d_nl_dot", {}, NON_LOCAL, 16, (1.80241, -0.60582, -0.17030, 1.00652), 276, (0.097000, 1.732884)),
    ("i3d_nl_embedded", {}, NON_LOCAL, 16, (1.85335, -0.53007, -0.02230, 1.03388), 276, (0.096104, 1.733188)),
    ("i3d_nl_gauss", {}, NON_LOCAL, 16, (1.83915, -0.53387, -0.01791, 1.02381), 276, (0.095464, 1.731003)),
    ("ircsn_r50", {}, IRCSN, 8, (1.26189, 0.44496, -0.24697, -0.40686), 380, (0.082137, 0.906381)),
    ("ipcsn_r50", {}, IPCSN, 8, (1.11821, 0.96993, -1.59796, 0.27728), 248, (0.064258, 1.249900)),
    ("r2plus1d_r34", {}, R2PLUS1D, 8, (9.87428, -6.68243, 8.33636, 4.62183), 248, (-0.182778, 8.801856)),
    (
        "tsm_r18",
        {"width": 64},
        mmaction2.SHIFT,
        4,
        (2.82412, 4.88747, 8.78006, 0.44716),
        47,
        (0.237504, 6.577445),
    ),
    (
        "slowfast_r50",
        {"width": 16, "alpha": 8, "lateral_kernel": 5, **MMACTION2},
        TWO_PATHWAYS,
        16,
        (1.61667, -4.43630, -2.25560, -2.67772),
        251,
        (0.019343, 2.732512),
    ),
    (
        "slowfast_r50",
        {"width": 16, "alpha": 4, "lateral_kernel": 7, **MMACTION2},
        TWO_PATHWAYS,
        16,
        (-0.07652, -2.26780, -2.62768, -2.69453),
        251,
        (0.153684, 2.954392),
    ),
    (
        "omni_r50",
        {"width": 64, "image_classes": 1000},
        mmaction2.OMNI,
        4,
        (-1.42209, 2.06055, 3.74863, -0.26470),
        100,
        (0.044696, 1.814717),
    ),
    (
        "omni_r50",  # a still, by the other head
        {"width": 64, "image_classes": 1000},
        mmaction2.OMNI,
        1,
        (-0.22126, -6.78753, 1.58836, 1.84187),
        780,
        (0.006159, 2.004505),
    ),
]


@pytest.mark.parametrize("name", LAYOUTS)
def test_names_and_shapes_are_mmaction2s(name: str) -> None:
    with torch.device("meta"):
        model = create_model(name, 400)
    form = IRCSN if name == "ircsn_r152" else RESNET
    assert (layout(model, form.their_key), layout(model, form.their_key, counters=False)) == LAYOUTS[name]
    assert all(form.our_key(form.their_key(key)) == key for key in model.state_dict())
    assert sum(parameter.numel() for parameter in model.parameters()) == PARAMETERS[name]


@pytest.mark.parametrize(("name", "args", "form", "entries", "sha256", "parameters"), MORE_LAYOUTS)
def test_more_names_and_shapes_are_mmaction2s(
    name: str, args: dict[str, Any], form: Layout, entries: int, sha256: str, parameters: int
) -> None:
    with torch.device("meta"):
        model = create_model(name, 400, **args)
    state = model.state_dict()
    assert (len(state), layout(model, form.their_key)[:16]) == (entries, sha256)
    theirs = [form.their_key(key) for key in state]
    assert [form.our_key(key) for key in theirs] == list(state)
    assert next(known for known in mmaction2.LAYOUTS if known.matches(theirs)) is form
    assert sum(parameter.numel() for parameter in model.parameters()) == parameters


QUICK_COSTS = [
    ("tsn_r50", {}, 1, 224, 4.11, 0.005),
    ("slowonly_r50", {}, 4, 256, 27.38, 0.005),
    ("slowonly_r50", {}, 8, 256, 54.75, 0.005),
    ("slowonly_r50", {}, 8, 224, 41.92, 0.005),
    ("slowonly_r101", {}, 8, 256, 112, 0.5),
    ("tsm_r50", {}, 8, 224, 32.88, 0.005),
    ("i3d_r50", {}, 32, 256, 43.5, 0.05),
    ("i3d_nl_embedded", {}, 32, 256, 59.3, 0.05),
    ("ircsn_r50", {}, 32, 256, 55.9, 0.05),
    ("r2plus1d_r34", {}, 8, 256, 53.1, 0.05),
    ("slowfast_r50", {"lateral_kernel": 7, **MMACTION2}, 32, 256, 66.1, 0.05),
]
SLOW_COSTS = [
    ("tsm_r50", {}, 16, 224, 65.75, 0.05),
    ("tsm_r101", {}, 8, 224, 62.66, 0.05),
    ("i3d_r50_heavy", {}, 32, 256, 166.3, 0.05),
    ("i3d_nl_gauss", {}, 32, 256, 56.5, 0.05),
    ("ircsn_r152", {}, 32, 256, 97.63, 0.05),
    ("ipcsn_r152", {}, 32, 256, 109.9, 0.05),
    ("slowfast_r50", {"alpha": 8, "lateral_kernel": 5, **MMACTION2}, 32, 256, 36.3, 0.05),
    ("omni_r50", {}, 8, 256, 54.75, 0.005),
    ("trn_r50", {}, 8, 256, 42.94, 0.08),  # all relations are looked at, of which the card counts three a scale
]


@pytest.mark.parametrize(
    ("name", "args", "frames", "side", "gflops", "within"),
    QUICK_COSTS + [pytest.param(*row, marks=pytest.mark.slow) for row in SLOW_COSTS],
)
def test_cost_is_the_published_one(
    name: str, args: dict[str, Any], frames: int, side: int, gflops: float, within: float
) -> None:
    assert cost(name, args, frames, side) == pytest.approx(gflops, abs=within)


def test_the_dot_product_never_makes_the_matrix_of_all_places() -> None:
    assert cost("i3d_nl_dot", {}, 32, 256) < 59.3 - 2


def cost(name: str, args: dict[str, Any], frames: int, side: int) -> float:
    """GFLOPs of one view as MMAction2 counts them: one for a multiplication with its addition, two for each value that
    a norm scales and shifts."""
    with torch.device("meta"):
        model = create_model(name, 400, **args).eval()
        clip = torch.empty(1, 1, 3, frames, side, side)
    normed: list[int] = []
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d):
            module.register_forward_hook(lambda _module, _given, out: normed.append(out.numel()))
    with FlopCounterMode(display=False) as counter:
        model(clip)
    return counter.get_total_flops() / 2e9 + 2 * sum(normed) / 1e9


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow if name in ("i3d_r50", "ircsn_r152") else ()) for name in OUTPUTS],
)
def test_outputs_are_mmaction2s(name: str) -> None:
    shape, first, best, of_logits, of_features = OUTPUTS[name]
    given = noise(shape)
    # TSN: three frames are three segments of one sample. SlowOnly: two clips.
    views = given[None, :, :, None] if name.startswith("tsn") else given[:, None]
    model = create_model(name, 400).double().eval()
    fill(model, (IRCSN if name == "ircsn_r152" else RESNET).their_key)
    with torch.no_grad():
        maps = model.trunk(views.flatten(0, 1))
        logits = model(views)
    assert logits.shape == (1 if name.startswith("tsn") else 2, 400)
    assert logits[0, :4].tolist() == pytest.approx(first, abs=5.1e-6)
    assert logits[0].argmax().item() == best
    assert (logits.mean().item(), logits.std().item()) == pytest.approx(of_logits, abs=5.1e-7)
    assert (maps.mean().item(), maps.std().item()) == pytest.approx(of_features, abs=5.1e-7)


@pytest.mark.slow
def test_another_epsilon_of_the_norms_shows_in_the_first_logit_of_csn() -> None:
    model = create_model("ircsn_r152", 400, eps=1e-5).double().eval()
    fill(model, IRCSN.their_key)
    with torch.no_grad():
        logits = model(noise((2, 3, 16, 64, 64))[:1, None])
    assert logits[0, 0].item() == pytest.approx(-0.28865, abs=5.1e-6)


@pytest.mark.parametrize(("name", "args", "form", "frames", "first", "best", "of_logits"), NARROW_OUTPUTS)
def test_outputs_of_narrow_networks_are_mmaction2s(
    name: str,
    args: dict[str, Any],
    form: Layout,
    frames: int,
    first: tuple[float, ...],
    best: int,
    of_logits: tuple[float, float],
) -> None:
    model = create_model(name, 400, **{"width": 8, **args}).double().eval()
    fill(model, form.their_key)
    with torch.no_grad():
        logits = model(noise((2, 3, frames, 32, 32))[:, None])
    assert logits[0, :4].tolist() == pytest.approx(first, abs=5.1e-6)
    assert logits[0].argmax().item() == best
    assert (logits.mean().item(), logits.std().item()) == pytest.approx(of_logits, abs=5.1e-7)
