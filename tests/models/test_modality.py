"""Recognisers of flow: the entrance, the stack, weights from RGB, partial batch norm."""

import numpy as np
import pytest
import torch
from torch import nn

from omnisrc.data.augment import Augmentation, augment
from omnisrc.data.transforms import mirror
from omnisrc.errors import UserError
from omnisrc.media.flow import quantise
from omnisrc.models import create_model, load_checkpoint, load_model, save_weights
from omnisrc.models.checkpoints.mmaction2 import their_key
from omnisrc.models.modality import stacked
from omnisrc.train.optimisation import parameter_groups
from omnisrc.train.settings import TrainSettings
from tests.models.networks import same, seasoned


@pytest.mark.parametrize(("args", "channels", "more"), [
    ({"modality": "flow"}, 10, 21_952), ({"in_channels": 10}, 10, 21_952), ({"in_channels": 20}, 20, 53_312),
])  # fmt: skip
def test_a_flow_stem_adds_the_published_number_of_parameters(args, channels, more):
    with torch.device("meta"):
        rgb, flow = create_model("tsn_r50", 101), create_model("tsn_r50", 101, **args)
    count = [sum(p.numel() for p in model.parameters()) for model in (rgb, flow)]
    assert count[1] - count[0] == more
    spec = flow.input
    assert (spec.modality, spec.channels, spec.clip_len, spec.frame_interval) == ("flow", channels, channels // 2, 1)
    assert spec.mean == (128.0, 128.0) and spec.std == (128.0, 128.0) and rgb.input.channels == 3


def test_the_new_entrance_is_drawn_as_the_old_one_was():
    torch.manual_seed(0)
    weight = create_model("tsn_r18", 4, modality="flow").trunk.conv1.weight
    assert weight.shape[1] == 10
    assert weight.std().item() == pytest.approx((2 / (64 * 49)) ** 0.5, rel=0.05)  # He, by fan-out


def test_models_that_cannot_see_flow_so_say_it_in_one_sentence():
    for args, said in [
        ({"in_channels": 9}, "an even number of channels"),
        ({"modality": "rgb", "in_channels": 10}, "sees RGB through 3 channels"),
        ({"modality": "flwo"}, "did you mean flow"),
    ]:
        with pytest.raises(UserError, match=said):
            create_model("tsn_r18", 4, width=8, **args)
    with pytest.raises(UserError, match="2 channels, x and y"):
        create_model("slowonly_r18", 4, width=8, in_channels=10)


def test_a_three_dimensional_network_sees_x_and_y_of_every_field():
    model = create_model("slowonly_r18", 4, width=8, modality="flow").eval()
    assert model.input.channels == 2 and model.input.clip_len == 8
    frames = torch.randn(1, 2, 2, 8, 32, 32)
    assert stacked(frames, model.input) is frames and model(frames).shape == (1, 4)


def test_fields_are_stacked_x_and_y_in_turn():
    spec = create_model("tsn_r18", 4, width=8, modality="flow").input
    frames = torch.arange(20).view(2, 10).repeat(3, 2, 1, 1)[..., None, None]  # x of field t is t, y is 10 + t
    made = stacked(frames, spec)
    assert made.shape == (3, 2, 10, 2, 1, 1)
    assert made[0, 0, :, 0, 0, 0].tolist() == [0, 10, 1, 11, 2, 12, 3, 13, 4, 14]
    assert made[0, 0, :, 1, 0, 0].tolist() == [5, 15, 6, 16, 7, 17, 8, 18, 9, 19]
    with pytest.raises(ValueError, match="4 frames of 2 channels"):
        stacked(frames[:, :, :, :4], spec)


@pytest.mark.parametrize("fields", [5, 10])
def test_weights_of_rgb_start_a_network_of_flow_with_the_known_gain(tmp_path, fields):
    rgb = seasoned("tsn_r18")
    save_weights(rgb, tmp_path / "rgb.safetensors", {"classes": ["x"] * 5})
    flow = create_model("tsn_r18", 7, width=4, in_channels=2 * fields)
    report = load_checkpoint(flow, tmp_path / "rgb.safetensors", strict=False)
    assert set(report.left_out) == {"head.fc.bias", "head.fc.weight"}
    assert flow.input.mean == (128.0, 128.0) and flow.input.std == (128.0, 128.0)  # not those of the RGB file
    grey = torch.full((1, 1, 32, 32), 0.7)
    theirs, ours = (model.trunk.conv1(grey.expand(-1, n, -1, -1)) for model, n in ((rgb, 3), (flow, 2 * fields)))
    torch.testing.assert_close(ours, theirs * (2 * fields / 3), rtol=1e-4, atol=1e-5)
    for key, value in rgb.trunk.state_dict().items():
        if key != "conv1.weight":
            assert torch.equal(flow.trunk.state_dict()[key], value), key
    with pytest.raises(UserError, match="conv1"):
        load_checkpoint(create_model("tsn_r18", 5, width=4, modality="flow"), tmp_path / "rgb.safetensors")


def test_a_flow_checkpoint_comes_back_as_it_was(tmp_path):
    model = seasoned("tsn_r18", in_channels=10)
    save_weights(model, tmp_path / "flow.safetensors", {})
    again, _ = load_model(tmp_path / "flow.safetensors")
    assert same(model, again) and again.input == model.input and again.args == model.args
    torch.save({"state_dict": {their_key(key): value for key, value in model.state_dict().items()}}, tmp_path / "f.pth")
    theirs, report = load_model(tmp_path / "f.pth")
    assert report.format == "mmaction2" and same(model, theirs)
    assert theirs.input.modality == "flow" and theirs.input.clip_len == 5 and theirs.input.std == (128.0, 128.0)


def test_a_mirrored_field_moves_the_other_way_by_one_level_less():
    field = np.zeros((1, 4, 6, 2), np.float32)
    field[..., 0], field[0, :, 0, 0], field[..., 1] = 5.0, -2.0, 3.0
    levels, mirrored = quantise(field), mirror(quantise(field))
    assert np.array_equal(mirrored[..., 1], levels[:, :, ::-1, 1])  # y stays
    assert mirrored[0, 0, 0].tolist() == [96, 146] and quantise(-field)[0, 0, -1].tolist()[0] == 95
    assert mirrored[0, 0, -1, 0] == 255 - levels[0, 0, 0, 0]
    rgb = np.arange(24, dtype=np.uint8).reshape(1, 2, 4, 3)
    assert np.array_equal(mirror(rgb), rgb[:, :, ::-1])

    frames = torch.from_numpy(levels).permute(3, 0, 1, 2)[None, None].contiguous()  # (1, 1, 2, T, H, W)
    given = augment(frames, np.zeros(1, np.uint64), Augmentation(flip=1.0), (128.0, 128.0), (128.0, 128.0))
    expected = (mirrored.astype(np.float32) - 128) / 128
    np.testing.assert_allclose(given[0, 0].permute(1, 2, 3, 0).numpy(), expected, atol=1e-6)


@pytest.mark.parametrize("affine", [False, True])
def test_partial_batch_norm_moves_the_first_statistics_alone(affine):
    torch.manual_seed(0)
    model = create_model("tsn_r18", 3, width=4, modality="flow")
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    model.trunk.keep_statistics(affine=affine)
    before = [{key: value.clone() for key, value in norm.state_dict().items()} for norm in norms]
    model.train().eval()
    model.train()
    optimiser = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    for _ in range(3):
        optimiser.zero_grad()
        model(torch.randn(4, 2, 10, 1, 32, 32)).logsumexp(1).sum().backward()
        optimiser.step()
    first, *others = [
        {key for key, value in norm.state_dict().items() if not torch.equal(value, old[key])}
        for norm, old in zip(norms, before, strict=True)
    ]
    assert first >= {"running_mean", "running_var", "num_batches_tracked", "weight", "bias"}
    statistics = {"running_mean", "running_var", "num_batches_tracked"}
    assert not any(changed & statistics for changed in others)
    assert (not any(others)) == affine
    assert len(others) == 19 and all(not norm.training for norm in norms[1:]) and norms[0].training


def test_both_pathways_of_slowfast_see_flow_and_start_from_rgb(tmp_path):
    rgb = seasoned("slowfast_r18", width=16)
    save_weights(rgb, tmp_path / "rgb.safetensors", {})
    flow = create_model("slowfast_r18", 5, width=16, modality="flow")
    load_checkpoint(flow, tmp_path / "rgb.safetensors", strict=False)
    assert flow.input.channels == 2 and flow.input.clip_len == 32
    for name in ("slow", "fast"):
        theirs, ours = (getattr(model.trunk, name).conv1.weight for model in (rgb, flow))
        assert torch.equal(ours, theirs.mean(1, keepdim=True).expand(-1, 2, -1, -1, -1)), name
    save_weights(flow, tmp_path / "flow.safetensors", {})
    again, _ = load_model(tmp_path / "flow.safetensors")
    assert same(flow, again) and again.input == flow.input
    torch.save({"state_dict": dict(flow.state_dict())}, tmp_path / "bare.pth")
    assert load_model(tmp_path / "bare.pth")[0].input.modality == "flow"

    clips = torch.randn(1, 1, 2, 32, 32, 32)
    flow.eval()
    with torch.no_grad():
        before, flow.trunk.slow.conv1.weight[:] = flow(clips), 0
    assert not torch.equal(before, flow(clips)), "the slow pathway sees the fields too"
    faster = parameter_groups(flow, TrainSettings(first_conv_lr=5))[1:]
    assert [(group["params"][0].shape[0], group["times"]) for group in faster] == [(2, 5), (16, 5)]


def test_a_transformer_s_patches_take_x_and_y():
    pytest.importorskip("transformers")
    with torch.device("meta"):
        model = create_model("videomae_s", 5, modality="flow").eval()
        assert model(torch.zeros(1, 1, 2, 16, 224, 224)).shape == (1, 5)
