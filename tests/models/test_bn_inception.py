"""BN-Inception by the sizes of the published network, and its names in tsn-pytorch's and TRN-pytorch's files."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from omnisrc.models import create_model
from omnisrc.models.checkpoints import tsn_pytorch
from tests.models.networks import check_stages, season


@pytest.mark.parametrize(("classes", "parameters"), [(101, 10_373_765), (1000, 11_295_240)])
def test_counts_are_the_published_networks(classes: int, parameters: int) -> None:
    with torch.device("meta"):
        model = create_model("tsn_bninception", classes)
    assert sum(parameter.numel() for parameter in model.parameters()) == parameters
    assert sum(parameter.numel() for parameter in model.trunk.parameters()) == 10_270_240
    for kind in (nn.Conv2d, nn.BatchNorm2d):
        assert sum(isinstance(module, kind) for module in model.modules()) == 69


@pytest.mark.parametrize(("channels", "more"), [(10, 21_952), (20, 53_312)])
def test_a_stem_of_flow_has_so_many_weights_more(channels: int, more: int) -> None:
    with torch.device("meta"):
        model = create_model("tsn_bninception", 101, in_channels=channels)
        assert model(torch.empty(2, 3, channels, 1, 224, 224)).shape == (2, 101)
    assert sum(parameter.numel() for parameter in model.trunk.parameters()) == 10_270_240 + more


def test_maps_have_the_published_channels_at_the_published_sizes() -> None:
    with torch.device("meta"):
        trunk = create_model("tsn_bninception", 101).trunk
        seen = {}
        for name, module in trunk.named_children():
            module.register_forward_hook(lambda _m, _x, out, name=name: seen.update({name: tuple(out.shape[1:])}))
        trunk(torch.empty(1, 3, 1, 224, 224))
    published = {"3a": (256, 28), "3b": (320, 28), "3c": (576, 14), "4a": (576, 14), "4b": (576, 14), "4c": (608, 14),
                 "4d": (608, 14), "4e": (1056, 7), "5a": (1024, 7), "5b": (1024, 7)}  # fmt: skip
    assert {name: seen[f"inception_{name}"] for name in published} == {
        name: (channels, side, side) for name, (channels, side) in published.items()
    }
    assert seen["pool1"] == (64, 56, 56) and seen["pool2"] == (192, 28, 28)  # rounded down, they would be 55 and 27


@pytest.mark.parametrize("side", [64, 240])
def test_stages_agree_at_even_and_odd_sides(side: int) -> None:
    """At 240 pixels the maps are 15 wide before block 4e, where the pooling alone would round the other way."""
    check_stages(season(create_model("tsn_bninception", 5, width=8)), torch.randn(1, 3, 2, side, side))


def test_tsn_pytorchs_names_are_read_and_written() -> None:
    with torch.device("meta"):
        state = create_model("tsn_bninception", 101).state_dict()
    theirs = {tsn_pytorch.their_key(key): value for key, value in state.items()}
    assert tsn_pytorch.matches(theirs) and [tsn_pytorch.our_key(key) for key in theirs] == list(state)
    assert tsn_pytorch.matches(key.removeprefix("base_model.") for key in theirs)
    assert [tsn_pytorch.our_key(key.removeprefix("base_model.")) for key in theirs] == list(state)
    assert {
        "base_model.conv1_7x7_s2_bn.running_mean",
        "base_model.conv2_3x3_reduce.bias",
        "new_fc.weight",
        "base_model.inception_3c_double_3x3_2.weight",
        "base_model.inception_5b_pool_proj_bn.bias",
    } <= set(theirs)
    assert "base_model.inception_3c_1x1.weight" not in theirs and "base_model.inception_4e_pool_proj.bias" not in theirs


def test_old_files_of_trn_pytorch_fit() -> None:
    """Their norms are rows, and their new_fc is the features of a frame."""
    origin = season(create_model("trn_bninception", 5, width=8))
    theirs = {tsn_pytorch.their_key(key): value for key, value in origin.state_dict().items()}
    theirs = {key: value[None] if "_bn." in key and value.ndim == 1 else value for key, value in theirs.items()}
    assert theirs["new_fc.weight"].shape == (256, 128)
    assert "consensus.fc_fusion_scales.0.1.weight" in theirs
    model = create_model("trn_bninception", 5, width=8)
    model.load_state_dict(tsn_pytorch.adapt({str(tsn_pytorch.our_key(key)): value for key, value in theirs.items()}))
    clip = torch.randn(1, 1, 3, 8, 32, 32)
    with torch.no_grad():
        assert torch.equal(model.eval()(clip), origin(clip))
