"""torchvision's video networks under our names: their counts, their cost, their logits, their names."""

from __future__ import annotations

import pytest
import torch
import torchvision
from torch.utils.flop_counter import FlopCounterMode

from omnisrc.errors import UserError
from omnisrc.models import Recogniser, create_model
from omnisrc.models.checkpoints.torchvision import adapt, matches, our_key, their_key
from tests.models.networks import check_stages, season

# parameters with 400 classes; entries of the state dict; the classifier's name
NETWORKS = {
    "s3d": (8_320_048, 464, "classifier.1"),
    "r3d_18": (33_371_472, 122, "fc"),
    "mc3_18": (11_695_440, 122, "fc"),
    "r2plus1d_18": (31_505_325, 224, "fc"),
    "mvit_v1_b": (36_610_672, 313, "head.1"),
    "mvit_v2_s": (34_537_744, 397, "head.1"),
    "swin3d_t": (28_158_070, 185, "head"),
    "swin3d_s": (49_816_678, 353, "head"),
    "swin3d_b": (88_048_984, 353, "head"),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_counts_and_names_are_torchvisions(name: str) -> None:
    parameters, entries, head = NETWORKS[name]
    with torch.device("meta"):
        model = create_model(name, 400)
        theirs = list(torchvision.models.get_model(name, weights=None).state_dict())
    assert sum(parameter.numel() for parameter in model.parameters()) == parameters
    assert len(theirs) == entries and matches(theirs)
    ours = [our_key(key) for key in theirs]
    assert set(ours) == set(model.state_dict()) and [their_key(str(key), head) for key in ours] == theirs


@pytest.mark.parametrize(
    ("name", "frames", "gflops"),
    [
        ("r3d_18", 16, 40.70),
        ("r2plus1d_18", 16, 40.52),
        ("swin3d_t", 32, 88.06),
        ("mvit_v2_s", 16, 64.22),
    ],
)
def test_cost_is_the_published_one(name: str, frames: int, gflops: float) -> None:
    """torchvision's model cards; Video Swin's at 32 frames from its paper."""
    with torch.device("meta"):
        model = create_model(name, 400).eval()
        side = model.input.crop_size
        clip = torch.empty(1, 1, 3, frames, side, side)
    with FlopCounterMode(display=False) as counter:
        model(clip)
    assert counter.get_total_flops() / 2e9 == pytest.approx(gflops, rel=0.01)


def given_torchvisions(name: str) -> tuple[Recogniser, torch.nn.Module]:
    theirs = torchvision.models.get_model(name, weights=None, num_classes=7).eval()
    with torch.no_grad():
        for module in theirs.modules():
            if isinstance(module, torch.nn.BatchNorm3d):
                module.running_var.uniform_(0.5, 1.5)
                module.weight.normal_(0.8, 0.2)
    model = create_model(name, 7).eval()
    model.load_state_dict(adapt({str(our_key(key)): value for key, value in theirs.state_dict().items()}))
    return model, theirs


@pytest.mark.parametrize("name", ["r3d_18", "mc3_18", "r2plus1d_18", "swin3d_t"])
def test_torchvisions_weights_give_torchvisions_logits(name: str) -> None:
    model, theirs = given_torchvisions(name)
    clips = torch.randn(2, 3, 8, 32, 32)
    with torch.no_grad():
        assert torch.allclose(model(clips[:, None]), theirs(clips), atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_torchvisions_weights_give_torchvisions_logits_at_full_size(name: str) -> None:
    model, theirs = given_torchvisions(name)
    side = 256 if name == "s3d" else model.input.crop_size  # S3D: more than one window in each direction
    frames = 24 if name == "s3d" else 16
    clips = torch.randn(1, 3, frames, side, side)
    with torch.no_grad():
        assert torch.allclose(model(clips[:, None]), theirs(clips), atol=1e-6)


def test_s3d_averages_windows_and_takes_small_clips() -> None:
    model = season(create_model("s3d", 5))
    maps = torch.randn(1, 1024, 3, 8, 7)
    counted = torch.zeros(3, 8, 7)
    for start in range(2):
        for row in range(2):
            counted[start : start + 2, row : row + 7] += 1
    by_hand = (maps[0] * counted / counted.sum()).sum((1, 2, 3))
    assert torch.allclose(model.head.embed(maps, 1)[0], by_hand, atol=1e-5)
    assert model(torch.randn(1, 1, 3, 8, 32, 32)).shape == (1, 5)


@pytest.mark.parametrize("name", NETWORKS)
def test_stages_are_as_they_say(name: str) -> None:
    with torch.device("meta"):
        model = create_model(name, 5)
        sides = (16, 224, 224) if model.input.fixed else (16, 64, 96)
        check_stages(model, torch.empty(1, 3, *sides))


def test_inputs_are_those_of_the_published_weights() -> None:
    """torchvision's transforms, of frames in 0..1, and its cards' clips and rates, for videos of 30 frames a second."""
    published = torchvision.models.video
    cards = {
        "r3d_18": (published.R3D_18_Weights, 16, 15),
        "s3d": (published.S3D_Weights, 128, 15),
        "swin3d_t": (published.Swin3D_T_Weights, 32, 15),
        "mvit_v2_s": (published.MViT_V2_S_Weights, 16, 7.5),
    }
    for name, (weights, frames, rate) in cards.items():
        with torch.device("meta"):
            spec = create_model(name, 5).input
        shown = weights.DEFAULT.transforms()
        assert spec.mean == pytest.approx([255 * value for value in shown.mean], abs=1e-3), name
        assert spec.std == pytest.approx([255 * value for value in shown.std], abs=1e-3), name
        assert (spec.crop_size, spec.short_side) == (shown.crop_size[0], shown.resize_size[0]), name
        assert (spec.clip_len, 30 / spec.frame_interval) == (frames, rate), name


def test_mvit_takes_clips_of_its_positions_alone() -> None:
    with torch.device("meta"):
        model = create_model("mvit_v2_s", 5)
        with pytest.raises(UserError, match=r"takes clips of 16 frames of 224 x 224 pixels and no others, not 8"):
            model(torch.empty(1, 1, 3, 8, 224, 224))
