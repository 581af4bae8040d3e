"""TSN on the image networks of torchvision and timm gives their own logits."""

from __future__ import annotations

import sys

import pytest
import torch
import torchvision

from omnisrc.errors import UserError
from omnisrc.models import create_model
from omnisrc.models.checkpoints import timm as timm_names
from omnisrc.models.checkpoints import torchvision as names
from tests.models.networks import check_stages, season


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("tsn_efficientnet_b4", 19_341_616),
        ("tsn_swin_t", 28_288_354),
        ("tsn_swin_s", 49_606_258),
        ("tsn_swin_b", 87_768_224),
        ("tsn_torchvision.resnext50_32x4d", 25_028_904),
        ("tsn_torchvision.regnet_y_400mf", 4_344_144),
        ("tsn_timm.resnet50", 25_557_032),
    ],
)
def test_with_1000_classes_the_counts_are_those_of_the_imagenet_networks(name: str, parameters: int) -> None:
    """As the model cards of torchvision and timm have them."""
    with torch.device("meta"):
        model = create_model(name, 1000)
    assert sum(parameter.numel() for parameter in model.parameters()) == parameters


@pytest.mark.parametrize("trunk", ["efficientnet_b0", "swin_t", "densenet121", "shufflenet_v2_x0_5"])
def test_torchvisions_weights_give_torchvisions_features(trunk: str) -> None:
    theirs = torchvision.models.get_model(trunk, weights=None)
    model = season(create_model(f"tsn_torchvision.{trunk}", 7))
    own = model.trunk.state_dict()
    theirs.load_state_dict(own, strict=False)
    pooled: list[torch.Tensor] = []
    first = next(m for m in theirs.modules() if isinstance(m, torch.nn.Linear) and m.in_features == model.trunk.channels
                 and m.out_features in (1000, 1024))  # fmt: skip
    first.register_forward_pre_hook(lambda _m, given: pooled.append(given[0]))
    frames = torch.randn(2, 3, 3, 1, 64, 64)
    with torch.no_grad():
        theirs.eval()(frames[:, :, :, 0].flatten(0, 1))
        embedding = model.features(frames)
    assert own.keys() <= theirs.state_dict().keys()
    assert torch.allclose(embedding, pooled[0].reshape(2, 3, -1).mean(1), atol=1e-5)


@pytest.mark.parametrize("trunk", ["efficientnet_b4", "swin_t"])
def test_torchvisions_files_of_the_named_trunks_are_read_and_written(trunk: str) -> None:
    with torch.device("meta"):
        theirs = list(torchvision.models.get_model(trunk, weights=None).state_dict())
        ours = list(create_model(f"tsn_{trunk}", 1000).state_dict())
    head = "classifier.1" if trunk.startswith("eff") else "head"
    assert names.matches(theirs) and [names.our_key(key) for key in theirs] == ours
    assert [names.their_key(key, head) for key in ours] == theirs


@pytest.mark.parametrize("trunk", ["resnet18", "convnext_atto", "vit_tiny_patch16_224", "swin_tiny_patch4_window7_224"])
def test_timms_trunks_keep_the_contract(trunk: str) -> None:
    import timm

    with torch.device("meta"):
        model = create_model(f"tsn_timm.{trunk}", 5)
        side = model.input.crop_size
        check_stages(model, torch.empty(2, 3, 2, side, side))
        theirs = timm.create_model(trunk).state_dict()
    assert (model.name, dict(model.args)) == ("tsn_timm", {"trunk": trunk})
    trunk_keys = {f"trunk.net.{key}" for key in theirs} & set(model.state_dict())
    assert trunk_keys == {key for key in model.state_dict() if key.startswith("trunk.")}
    if trunk != "resnet18":
        assert timm_names.matches(theirs)
        ours = {timm_names.our_key(key) for key in theirs}
        assert set(model.state_dict()) <= ours and {key for key in ours if "head.fc" in key} == {
            "head.fc.weight", "head.fc.bias"
        }  # fmt: skip


@pytest.mark.parametrize("trunk", ["resnet18", "regnety_002"])
def test_timms_weights_give_timms_logits(trunk: str) -> None:
    import timm

    theirs = timm.create_model(trunk, num_classes=7).eval()
    model = create_model("tsn_timm", 7, trunk=trunk).eval()
    model.trunk.net.load_state_dict(theirs.state_dict(), strict=False)
    model.head.fc.load_state_dict(theirs.get_classifier().state_dict())
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.allclose(model(images[:, None, :, None]), theirs(images), atol=1e-5)


@pytest.mark.parametrize("trunk", ["coat_tiny", "deit_tiny_distilled_patch16_224"])
def test_a_network_of_timm_that_cannot_leave_its_pooling_gives_one_place(trunk: str) -> None:
    with torch.device("meta"):
        model = create_model(f"tsn_timm.{trunk}", 5).eval()
        side = model.input.crop_size
        frames = torch.empty(2, 3, 3, 1, side, side)
        assert model(frames).shape == (2, 5)
        assert model.trunk(frames[:, 0]).shape[1:] == (model.trunk.channels, 1, 1, 1)


def test_a_trunk_of_torchvision_is_made_where_all_is_made() -> None:
    """RegNet counts its widths with tensors, on the CPU, whatever the device."""
    with torch.device("meta"):
        model = create_model("tsn_torchvision.regnet_y_400mf", 5).eval()
        assert {parameter.device.type for parameter in model.parameters()} == {"meta"}
        assert model(torch.empty(1, 2, 3, 1, 64, 64)).shape == (1, 5)


def test_the_scaling_and_size_of_a_timm_trunk_are_its_own() -> None:
    with torch.device("meta"):
        spec = create_model("tsn_timm.vit_tiny_patch16_224.augreg_in21k", 5).input
    assert spec.mean == spec.std == pytest.approx((127.5,) * 3)
    assert (spec.dims, spec.crop_size, spec.short_side, spec.fixed) == ("2d", 224, 256, True)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("tsn_timm.convnext_tny", "timm has no network 'convnext_tny': did you mean convnext_tiny"),
        ("tsn_torchvision.resnet5", "torchvision has no image trunk 'resnet5': did you mean resnet50"),
        ("tsn_torchvision.vit_b_16", "torchvision has no image trunk 'vit_b_16'"),
        ("tsn_r18.resnet50", "model tsn_r18 takes no argument 'trunk'"),
    ],
)
def test_a_trunk_that_there_is_not_is_said_in_a_sentence(name: str, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        create_model(name, 5)


def test_without_timm_the_command_that_installs_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(UserError, match=r"needs the package timm; install it with `pip install 'omnisrc\[timm\]'`"):
        create_model("tsn_timm", 5)


@pytest.mark.parametrize("name", ["tsn_efficientnet_b4", "tsn_swin_t"])
def test_stages_are_as_they_say(name: str) -> None:
    with torch.device("meta"):
        model = create_model(name, 5)
        check_stages(model, torch.empty(2, 3, 3, 96, 64))
        assert [stage.stride for stage in model.trunk.stages] == [4, 8, 16, 32]
