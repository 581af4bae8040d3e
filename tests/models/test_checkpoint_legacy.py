"""Legacy MMAction (open-mmlab/mmaction, 2018-20): each kind of its model zoo is read, or refused in a sentence."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import torch

from omnisrc.errors import UserError
from omnisrc.models import create_model, load_checkpoint, load_model
from omnisrc.models.checkpoints import tsn_pytorch
from omnisrc.models.convert import convert
from tests.models.mmaction_networks import C3d, IrCsn
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


def randomised(network: torch.nn.Module) -> torch.nn.Module:
    """Statistics and gammas of norms as after training, kernels that keep the size of what goes through."""
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm3d):
                module.running_var.uniform_(0.002, 1.5)
                module.running_mean.normal_(0, 0.1)
                module.weight.normal_(0.8, 0.2)
            elif isinstance(module, torch.nn.Conv3d | torch.nn.Linear):
                torch.nn.init.kaiming_normal_(module.weight)
    return network.eval()


@pytest.mark.parametrize("depth", [50, 152])
def test_its_ircsn_answers_as_there(depth: int, tmp_path: Path) -> None:
    theirs, path = randomised(IrCsn(depth, 5)), tmp_path / f"ircsn_kinetics400_se_rgb_r{depth}_f32s2_ig65m_fbai.pth"
    known = {"backbone.layer3.f.conv2.weight", "backbone.layer1.a.bn3.weight", "cls_head.fc_cls.bias"}
    if depth == 152:
        known = {"backbone.layer3.ab.conv2.weight", "backbone.layer3.bj.bn0.weight", "backbone.layer4.c.bn2.bias"}
    assert known <= set(theirs.state_dict())
    torch.save({"state_dict": theirs.state_dict()}, path)
    model, report = load_model(path)
    assert (report.format, model.name, model.args) == ("mmaction", f"ircsn_r{depth}", {"width": 4})
    spec = model.input
    assert (spec.clip_len, spec.frame_interval, spec.num_segments) == (32, 2, 1)
    assert spec.mean == (123.675, 116.28, 103.53)
    clips = torch.randn(2, 3, 8, 32, 32)
    with torch.no_grad():
        ours, wanted = model.eval()(clips[:, None]), theirs(clips)
    assert wanted.std() > 0.01 and torch.allclose(ours, wanted, atol=1e-4 * wanted.abs().max().item(), rtol=0)


def test_its_c3d_answers_as_there_and_takes_bgr(tmp_path: Path) -> None:
    theirs, path = randomised(C3d(5)), tmp_path / "c3d_caffe_sports1m_ucf101.pth"
    torch.save({"state_dict": theirs.state_dict()}, path)
    model, report = load_model(path)
    assert (report.format, model.name, model.args) == ("mmaction", "c3d", {"last_pool": "ceil", "width": 2})
    assert (model.input.mean, model.input.std) == ((128, 117, 104), (1, 1, 1))
    clips = torch.randn(2, 3, 16, 112, 112)
    with torch.no_grad():
        ours, wanted = model.eval()(clips[:, None]), theirs(clips.flip(1))
        padded = create_model("c3d", 5, width=2).eval()
        padded.load_state_dict(model.state_dict())
        assert not torch.allclose(padded(clips[:, None]), wanted, atol=1e-3)
    assert wanted.std() > 0.01 and torch.allclose(ours, wanted, atol=1e-5)
    back = convert(path, "safetensors", tmp_path / "c3d.safetensors")[0]
    assert load_model(back)[0].args == model.args and same(load_model(back)[0], model)


def test_its_c3d_trunk_starts_a_model(tmp_path: Path) -> None:
    theirs = randomised(C3d(5)).backbone.state_dict()
    torch.save({"state_dict": theirs}, tmp_path / "c3d_caffe_sports1m_pretrain.pth")
    model = create_model("c3d", 7, width=2, last_pool="ceil")
    report = load_checkpoint(model, tmp_path / "c3d_caffe_sports1m_pretrain.pth", strict=False)
    assert set(report.missing) == {"head.fc.weight", "head.fc.bias"} and report.unexpected == ()
    assert torch.equal(model.head.fc6.weight, theirs["fc6.weight"])


STEM = torch.zeros(4, 3, 7, 7, 7)
REFUSED = {
    "i3d_kinetics400_se_rgb_inception_v1_seg1_f64s1_imagenet_deepmind": (
        {"backbone.conv1_7x7_s2.weight": STEM, "backbone.inception_3a_branch1_3x3_reduce.weight": STEM},
        "I3D on Inception-V1, which no model here is: its I3D on ResNet-50 is read, as i3d_r50",
    ),
    "ssn_thumos14_rgb_bn_inception_tag": (
        {"backbone.conv1_7x7_s2.weight": STEM[0], "cls_head.activity_fc.weight": STEM},
        "SSN, which finds actions in time and is no recogniser: its TSN on BN-Inception is read, as tsn_bninception",
    ),
    "fast_rcnn_ava2.1_nl_r50_c4_1x_f32s2_kin": (
        {"backbone.conv1.weight": STEM, "backbone.layer2.1.nonlocal_block.W.0.bias": STEM, "bbox_head.fc.bias": STEM},
        "detector for AVA, which answers for boxes and is no recogniser: its I3D on ResNet-50 is read, as i3d_r50",
    ),
    "i3d_nl_kinetics400": (
        {"backbone.conv1.weight": STEM, "backbone.layer2.1.nonlocal_block.g.1.weight": STEM},
        "non-local blocks, which pool otherwise than those of the models here: its I3D on ResNet-50 is read",
    ),
    "ipcsn_kinetics400_se_rgb_r152_f32s2_ig65m_fbai": (
        {"backbone.conv1.weight": STEM, "backbone.layer1.a.conv0.weight": STEM,
         "backbone.layer1.a.conv1.conv_T.weight": STEM},
        "ipCSN, which has a ReLU behind its pointwise convolutions: its irCSN is read, and MMAction2's ipCSN",
    ),
    "r2plus1d_kinetics400_se_rgb_r34_f8s8_scratch": (
        {"backbone.conv1_s.weight": STEM, "backbone.layer1.a.conv1.conv_s.weight": STEM},
        "R(2+1)D, whose short cuts are not factorised: MMAction2's R(2+1)D is read, and torchvision's r2plus1d_18",
    ),
}  # fmt: skip
"""Of its model zoo: names in the files, and what is said."""


@pytest.mark.parametrize("file", REFUSED)
def test_what_no_model_here_is_is_refused_in_a_sentence_that_names_what_is_read(file: str, tmp_path: Path) -> None:
    state, said = REFUSED[file]
    path = tmp_path / f"{file}.pth"
    torch.save({"meta": {}, "state_dict": state}, path)
    for asked in (load_model, partial(convert, layout="safetensors")):
        with pytest.raises(UserError) as caught:
            asked(path)
        sentence = str(caught.value)
        assert f"{path} holds legacy MMAction's {said}" in sentence and "\n" not in sentence
