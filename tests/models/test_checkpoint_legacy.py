"""Legacy MMAction's files (open-mmlab/mmaction, 2018-20): ResNets, SlowFast, Caffe's BN-Inception."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from omnisrc.models import create_model, load_model
from omnisrc.models.checkpoints import tsn_pytorch
from tests.models.networks import same, season, seasoned, views

State = dict[str, torch.Tensor]


def as_mmaction(state: State) -> State:
    """`backbone.` and torchvision's names, `cls_head.fc_cls`."""
    return {key.replace("trunk.", "backbone.").replace("head.fc.", "cls_head.fc_cls."): v for key, v in state.items()}


@pytest.mark.parametrize(
    ("file", "name", "sampling"),
    [
        ("tsn2d_kinetics400_rgb_r50_seg3_f1s1-00000000.pth", "tsn_r50", (1, 1, 3)),
        ("i3d_kinetics_rgb_r50_c3d_inflated3x1x1_seg1_f32s2_f32s2.pth", "i3d_r50", (32, 2, 1)),
        ("slowonly_kinetics400_se_rgb_r50_seg1_4x16_scratch_epoch256.pth", "slowonly_r50", (4, 16, 1)),
        ("slowonly_kinetics400_se_rgb_r101_8x8_finetune.pth", "slowonly_r101", (8, 8, 1)),
    ],
)
def test_its_resnets_are_read_with_the_sampling_of_their_names(
    file: str, name: str, sampling: tuple[int, int, int], tmp_path: Path
) -> None:
    origin, path = seasoned(name), tmp_path / file.replace("-00000000", "")
    torch.save({"meta": {}, "state_dict": as_mmaction(origin.state_dict())}, path)
    model, report = load_model(path)
    assert report.format == "mmaction" and model.name == name and same(model, origin)
    spec = model.input
    assert (spec.clip_len, spec.frame_interval, spec.num_segments) == sampling
    assert spec.mean == (123.675, 116.28, 103.53)


def test_its_slowfast_strides_its_slow_frames_and_has_a_lateral_that_nothing_takes(tmp_path: Path) -> None:
    origin = seasoned("slowfast_r50", width=16, alpha=8, lateral_kernel=5, lateral_norm=False, slow_frames="stride")
    theirs = {}
    for key, value in origin.state_dict().items():
        key = key.replace("trunk.laterals.0.conv", "backbone.slow_path.conv1_lateral")
        for at in (1, 2, 3):
            key = key.replace(f"trunk.laterals.{at}.conv", f"backbone.slow_path.layer{at}_lateral")
        key = key.replace("trunk.slow.", "backbone.slow_path.").replace("trunk.fast.", "backbone.fast_path.")
        theirs[key.replace("head.fc.", "cls_head.fc_cls.")] = value
    theirs["backbone.slow_path.layer4_lateral.weight"] = torch.ones(128, 64, 5, 1, 1)
    path = tmp_path / "slowfast_kinetics400_se_rgb_r50_4x16_scratch.pth"
    torch.save({"state_dict": theirs}, path)
    model, report = load_model(path)
    assert report.format == "mmaction" and model.args == origin.args and same(model, origin)
    assert (model.input.clip_len, model.input.frame_interval) == (32, 2)
    clips = torch.randn(1, 1, 3, 32, 32, 32)
    with torch.no_grad():
        assert torch.equal(model.eval()(clips), origin(clips))


@pytest.mark.parametrize("flow", [False, True])
def test_its_bn_inception_takes_bgr_less_caffes_means(flow: bool, tmp_path: Path) -> None:
    args = {"modality": "flow", "in_channels": 10} if flow else {}
    origin = season(create_model("tsn_bninception", 5, width=8, **args))
    theirs = {}
    for key, value in origin.state_dict().items():
        name = tsn_pytorch.their_key(key).replace("base_model.", "backbone.").replace("new_fc.", "cls_head.fc_cls.")
        theirs[name] = value
    known = {"backbone.conv1_7x7_s2_bn.weight", "backbone.inception_3a_double_3x3_1.bias", "cls_head.fc_cls.bias"}
    assert known <= set(theirs)
    torch.save({"state_dict": theirs}, tmp_path / "tsn_2d_rgb_bninception_seg3_f1s1_b32_g8.pth")
    model, report = load_model(tmp_path / "tsn_2d_rgb_bninception_seg3_f1s1_b32_g8.pth")
    assert report.format == "mmaction" and model.name == "tsn_bninception"
    if flow:
        assert same(model, origin) and model.input.mean[0] == 128
        return
    assert model.input.mean == (128.0, 117.0, 104.0) and model.input.num_segments == 3
    frames = views(origin)
    with torch.no_grad():
        assert torch.allclose(model.eval()(frames.flip(2)), origin(frames), atol=1e-5)
