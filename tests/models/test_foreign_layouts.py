"""What the other projects' names alone tell of a network: its kind, its arguments, its input."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from omnisrc.models import create_model
from omnisrc.models.checkpoints import mmaction, mmaction2, pytorchvideo
from omnisrc.models.checkpoints.container import Contents
from omnisrc.models.checkpoints.formats import format_of
from omnisrc.models.checkpoints.layout import Layout

ORIGIN = {"lateral_norm": False, "slow_frames": "stride", "order": "fast-slow"}
SIXTEEN = {"clip_len": 16, "frame_interval": 0, "num_segments": 1}
THIRTY_TWO = {"clip_len": 32, "frame_interval": 2, "num_segments": 1}
EIGHT = {"clip_len": 8, "frame_interval": 8, "num_segments": 1}
VMZ_MEAN = [110.2008, 100.63983, 95.99475]
IMAGENET_MEAN = [123.675, 116.28, 103.53]

# model, arguments, layout, file name, what is told of it
TOLD: list[tuple[str, dict[str, Any], Layout, str, dict[str, Any]]] = [
    (
        "tsm_r50",
        {},
        mmaction2.SHIFT,
        "tsm_imagenet-pretrained-r50_8xb16-1x1x16-50e_kinetics400-rgb.pth",
        {"model": "tsm_r50", "model_args": {}, "sampling": SIXTEEN},
    ),
    (
        "tsm_r101",
        {"width": 8},
        mmaction2.SHIFT_DEEP,
        "tsm_imagenet-pretrained-r101_8xb16-dense-1x1x8-50e.pth",
        {"model": "tsm_r101", "model_args": {"width": 8}, "sampling": EIGHT},
    ),
    (
        "slowfast_r50",
        {"width": 16, "alpha": 8, "lateral_kernel": 5, **ORIGIN},
        mmaction2.TWO_PATHWAYS,
        "slowfast_r50_8xb8-4x16x1-256e_kinetics400-rgb.pth",
        {
            "model": "slowfast_r50",
            "model_args": {"width": 16, "alpha": 8, "lateral_kernel": 5, **ORIGIN},
            "sampling": THIRTY_TWO,
        },
    ),
    (
        "slowfast_r101_r50",
        {"lateral_kernel": 7, "lateral_norm": True},
        mmaction2.TWO_PATHWAYS,
        "slowfast_r101-r50_32xb8-8x8x1.pth",
        {"model": "slowfast_r101_r50", "model_args": {"alpha": 4, "lateral_kernel": 7, **ORIGIN, "lateral_norm": True}},
    ),
    ("i3d_nl_gauss", {}, mmaction2.NON_LOCAL, "x.pth", {"model": "i3d_nl_gauss", "model_args": {}}),
    ("i3d_nl_dot", {}, mmaction2.NON_LOCAL, "i3d_r50-nl-dot-product_8xb8.pth", {"model": "i3d_nl_dot"}),
    ("i3d_nl_dot", {}, mmaction2.NON_LOCAL, "i3d_r50-nl-embedded-gaussian.pth", {"model": "i3d_nl_embedded"}),
    ("ipcsn_r50", {}, mmaction2.IPCSN, "ipcsn_r152_32x2x1-180e_kinetics400-rgb.pth", {"mean": VMZ_MEAN}),
    ("ircsn_r50", {}, mmaction2.IRCSN, "ircsn_ig65m-pretrained-r50_8xb12-32x2x1-58e.pth", {"mean": IMAGENET_MEAN}),
    (
        "omni_r50",
        {"image_classes": 9},
        mmaction2.OMNI,
        "x.pth",
        {"model": "omni_r50", "model_args": {"image_classes": 9}},
    ),
    (
        "i3d_r50",
        {"stem_stride": 1},
        pytorchvideo.POOLED,
        "I3D_8x8_R50.pyth",
        {"model": "i3d_r50", "model_args": {"stem_stride": 1}, "sampling": EIGHT},
    ),
    (
        "ircsn_r101",
        {"width": 8},
        pytorchvideo.PLAIN,
        "CSN_32x2_R101.pyth",
        {"model": "ircsn_r101", "model_args": {"width": 8, "eps": 1e-5}, "mean": [114.75] * 3},
    ),
    (
        "slowfast_r50",
        {},
        pytorchvideo.SLOWFAST,
        "SLOWFAST_8x8_R50.pyth",
        {"model": "slowfast_r50", "model_args": {"alpha": 4, "lateral_kernel": 7}},
    ),
    (
        "slowfast_r101",
        {"slow_timed": 6, "fast_timed": 6},
        pytorchvideo.SLOWFAST,
        "SLOWFAST_16x8_R101_50_50.pyth",
        {
            "model": "slowfast_r101",
            "model_args": {"alpha": 4, "lateral_kernel": 5, "slow_timed": 6, "fast_timed": 6},
            "sampling": {"clip_len": 64, "frame_interval": 2, "num_segments": 1},
        },
    ),
    (
        "slowfast_r50",
        {"alpha": 8},
        pytorchvideo.SLOWFAST,
        "SLOWFAST_4x16_R50.pyth",
        {"model": "slowfast_r50", "model_args": {"alpha": 8, "lateral_kernel": 7}, "sampling": THIRTY_TWO},
    ),
    ("slowonly_r50", {}, mmaction.LAYOUT, "legacy.pth", {"mean": IMAGENET_MEAN}),
]


@pytest.mark.parametrize(("name", "args", "form", "file", "told"), TOLD)
def test_names_and_shapes_tell_the_network_and_build_it_again(
    name: str, args: dict[str, Any], form: Layout, file: str, told: dict[str, Any]
) -> None:
    with torch.device("meta"):
        model = create_model(name, 5, **args)
    state = {form.their_key(key): value for key, value in model.state_dict().items()}
    assert format_of(state) is form
    meta = form.meta(Contents(Path(file), "0" * 64, state))
    assert {key: meta[key] for key in told} == told
    if "model" in meta:
        with torch.device("meta"):
            again = create_model(meta["model"], 5, **meta["model_args"]).state_dict()
        assert {form.our_key(key): value.shape for key, value in state.items()} == {
            key: value.shape for key, value in again.items()
        }


def test_a_trunk_alone_may_lack_its_prefix_and_strangers_keep_their_names() -> None:
    form = mmaction2.IRCSN
    assert form.our_key("layer3.11.conv2.0.bn.running_var") == "trunk.layer3.11.bn2.running_var"
    assert form.our_key("data_preprocessor.mean") is None
    assert form.our_key("cls_head.attention.weight") == "cls_head.attention.weight"
    assert mmaction2.RESNET_LAYOUT.matches(["conv1.conv.weight"])
    assert not mmaction2.RESNET_LAYOUT.matches(["stem.conv1.conv.weight", "layer1.0.conv1.conv.weight"])
