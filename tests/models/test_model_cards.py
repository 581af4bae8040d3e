"""Sizes and costs are those of the model cards and papers; MMAction2's to the unit.

MMAction2 0.x counted its cards by modules: one for each multiplication with its addition and for each bias of a
convolution, two for each value that a norm scales and shifts, one for each value that a ReLU gives or a pooling is
given. 1.x leaves ReLU and pooling out and rounds: SlowFast-R101 is 127,070,375,936 in the one and "126G" in the other.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from omnisrc.models import Recogniser, create_model

MMACTION2 = {"lateral_norm": False, "slow_frames": "stride", "order": "fast-slow"}
FOUR_BY_SIXTEEN = {"alpha": 8, "lateral_kernel": 5, **MMACTION2}

# model, arguments, classes, frames, side, parameters, operations
CARDS: list[tuple[str, dict[str, Any], int, int, int, int, int]] = [
    ("slowfast_r101", {"lateral_kernel": 7, **MMACTION2}, 400, 32, 256, 62_912_312, 127_070_375_936),
    ("c3d", {}, 101, 16, 112, 78_409_573, 38_615_475_200),
    ("slowfast_r50", FOUR_BY_SIXTEEN, 400, 32, 256, 34_479_288, 36_441_296_896),
    ("slowfast_r50", {"lateral_kernel": 7, **MMACTION2}, 400, 32, 256, 34_565_560, 66_222_034_944),
    ("slowfast_r101_r50", FOUR_BY_SIXTEEN, 400, 32, 256, 62_384_312, 65_042_780_160),
    ("i3d_r50", {}, 400, 32, 256, 28_043_472, 43_564_040_192),
    ("i3d_nl_dot", {}, 400, 32, 256, 35_397_840, 54_334_488_576),  # without the products of the places
    ("i3d_nl_embedded", {}, 400, 32, 256, 35_397_840, 54_334_488_576),
    ("i3d_nl_gauss", {}, 400, 32, 256, 31_723_728, 48_962_109_440),
    ("ircsn_r50", {}, 400, 32, 256, 13_131_152, 56_209_211_392),
    ("ircsn_r152", {}, 400, 32, 256, 29_703_568, 98_096_676_864),
    ("ipcsn_r152", {}, 400, 32, 256, 33_016_592, 110_337_228_800),
]
QUICK = 2


@pytest.mark.parametrize(
    ("name", "args", "classes", "frames", "side", "parameters", "operations"),
    [*CARDS[:QUICK], *(pytest.param(*row, marks=pytest.mark.slow) for row in CARDS[QUICK:])],
)
def test_mmaction2s_cards_are_met_to_the_unit(
    name: str, args: dict[str, Any], classes: int, frames: int, side: int, parameters: int, operations: int
) -> None:
    model = shapes_of(name, classes, **args)
    assert count(model) == parameters
    assert as_mmaction2_counts(model, frames, side) == operations


def as_mmaction2_counts(model: Recogniser, frames: int, side: int) -> int:
    counted: list[int] = []

    def operations(module: nn.Module, given: tuple[torch.Tensor, ...], made: torch.Tensor) -> None:
        if isinstance(module, nn.Conv2d | nn.Conv3d):
            counted.append(made.numel() * (module.weight[0].numel() + (module.bias is not None)))
        elif isinstance(module, nn.Linear):
            counted.append(given[0].numel() * module.out_features)
        elif isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d):
            counted.append(2 * made.numel())
        elif isinstance(module, nn.ReLU):
            counted.append(made.numel())
        elif isinstance(module, nn.MaxPool2d | nn.MaxPool3d):
            counted.append(given[0].numel())

    for name, module in model.named_modules():
        module.register_forward_hook(operations)
        if name.endswith("layer4"):  # what the head averages, of SlowFast both pathways'
            module.register_forward_hook(lambda _module, _given, made: counted.append(made.numel()))
    model(torch.empty(1, 1, 3, frames, side, side, device="meta"))
    return sum(counted)


# model, arguments, frames, side, GFLOPs without norms, the most that they may differ
PAPERS: list[tuple[str, dict[str, Any], int, int, float, float]] = [
    ("c3d", {}, 16, 112, 38.5, 0.05),
    ("videomae_b", {}, 16, 224, 180, 0.5),
    ("videomae_l", {}, 16, 224, 597, 0.5),
    ("timesformer_b", {"config": {"attention_type": "divided_space_time"}}, 8, 224, 196, 0.5),
    ("timesformer_b", {"config": {"attention_type": "joint_space_time"}}, 8, 224, 180, 0.5),
    ("timesformer_b", {"config": {"attention_type": "space_only"}}, 8, 224, 141, 0.5),
    ("swin3d_s", {}, 32, 224, 166, 0.5),
    ("swin3d_b", {}, 32, 224, 282, 1),
    ("tsn_r101", {}, 1, 224, 7.83, 0.04),
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "args", "frames", "side", "gflops", "within"), PAPERS)
def test_costs_are_those_of_the_papers(
    name: str, args: dict[str, Any], frames: int, side: int, gflops: float, within: float
) -> None:
    if name.startswith(("videomae", "timesformer")):
        pytest.importorskip("transformers")
    model = shapes_of(name, 400, **args)
    with FlopCounterMode(display=False) as counter:
        model(torch.empty(1, 1, 3, frames, side, side, device="meta"))
    assert counter.get_total_flops() / 2e9 == pytest.approx(gflops, abs=within)


@pytest.mark.parametrize(
    ("name", "args", "classes", "parameters"),
    [
        ("i3d_r50", {}, 101, 27_430_821),
        ("tsm_r50", {}, 174, 23_864_558),
        ("tsn_r101", {}, 400, 43_319_760),
        ("slowonly_r50", {}, 600, 32_863_896),
        ("slowonly_r50", {"modality": "flow"}, 400, 32_450_960),
        ("slowfast_r50", {}, 400, 34_566_488),
        ("trn_r50", {}, 174, 26_641_154),
    ],
)
def test_other_heads_and_entrances_have_the_published_sizes(
    name: str, args: dict[str, Any], classes: int, parameters: int
) -> None:
    assert count(shapes_of(name, classes, **args)) == parameters


@pytest.mark.parametrize(("name", "millions"), [("vivit_b", 88.95), ("videomae_b", 86.53), ("videomae_l", 304.27)])
def test_transformers_have_the_published_sizes(name: str, millions: float) -> None:
    pytest.importorskip("transformers")
    assert count(shapes_of(name, 400)) / 1e6 == pytest.approx(millions, abs=0.006)


@pytest.mark.parametrize(
    ("name", "clip", "maps"),
    [
        ("tsn_r50", (1, 224), [(256, 1, 56), (512, 1, 28), (1024, 1, 14), (2048, 1, 7)]),
        ("slowonly_r50", (4, 224), [(256, 4, 56), (512, 4, 28), (1024, 4, 14), (2048, 4, 7)]),
        ("slowonly_r50", (8, 224), [(256, 8, 56), (512, 8, 28), (1024, 8, 14), (2048, 8, 7)]),
        ("i3d_r50", (32, 224), [(256, 8, 56), (512, 4, 28), (1024, 4, 14), (2048, 4, 7)]),
        ("ircsn_r152", (32, 224), [(256, 32, 56), (512, 16, 28), (1024, 8, 14), (2048, 4, 7)]),
    ],
)
def test_maps_have_the_published_shapes(name: str, clip: tuple[int, int], maps: list[tuple[int, int, int]]) -> None:
    frames, side = clip
    found = shapes_of(name, 400).trunk.maps(torch.empty(1, 3, frames, side, side, device="meta"))
    assert [tuple(x.shape) for x in found.values()] == [(1, d, t, s, s) for d, t, s in maps]


def shapes_of(name: str, classes: int, **args: Any) -> Recogniser:
    with torch.device("meta"):
        return create_model(name, classes, **args).eval()


def count(model: Recogniser) -> int:
    return sum(parameter.numel() for parameter in model.parameters())
