"""What one family says must equal what another says, or a closed form."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from omnisrc.models import Recogniser, create_model, load_checkpoint, save_weights
from omnisrc.models.trunks.convolutions import Factorised, matched_channels, solid
from omnisrc.models.trunks.shift import shift
from omnisrc.models.trunks.slowfast import SlowFast, slow_indices
from tests.models.networks import seasoned


def take(model: Recogniser, donor: Recogniser) -> list[str]:
    """Copies what has the same name; gives the names that the donor lacks."""
    found = model.load_state_dict(donor.state_dict(), strict=False)
    assert not found.unexpected_keys
    return found.missing_keys


def test_a_still_clip_gives_i3d_the_2d_map_away_from_its_ends(tmp_path: Path) -> None:
    flat = seasoned("tsn_r50").double()
    save_weights(flat, tmp_path / "flat.safetensors", {})
    deep = create_model("i3d_r50", 5, width=4).double().eval()
    report = load_checkpoint(deep, tmp_path / "flat.safetensors", strict=False)
    assert report.inflated and not report.missing and not report.unexpected and not report.left_out
    image = torch.randn(1, 3, 1, 32, 32, dtype=torch.float64)
    with torch.no_grad():
        # Zeros reach one place a temporal convolution: 4 before pool2, which makes 2 of them, and 6 behind it.
        still = deep.trunk(image.expand(-1, -1, 8 * 19, -1, -1))
        assert torch.allclose(still[:, :, 9], flat.trunk(image)[:, :, 0], atol=1e-12)
        assert not torch.allclose(still[:, :, 0], flat.trunk(image)[:, :, 0], atol=1e-3)


@pytest.mark.parametrize("name", ["i3d_nl_dot", "i3d_nl_embedded", "i3d_nl_gauss"])
def test_fresh_non_local_blocks_are_silent_and_others_are_not(name: str) -> None:
    plain, asking = seasoned("i3d_r50"), create_model(name, 5, width=4).eval()
    missing = take(asking, plain)
    assert missing and all(".non_local." in key for key in missing)
    clips = torch.randn(2, 1, 3, 16, 64, 64)
    with torch.no_grad():
        assert torch.equal(asking(clips), plain(clips))
        for block in (asking.trunk.layer2[1], asking.trunk.layer3[5]):
            block.non_local.bn.weight.fill_(0.5)
        assert not torch.allclose(asking(clips), plain(clips), atol=1e-4)


@pytest.mark.parametrize("pairwise", ["dot", "embedded", "gauss"])
def test_the_non_local_block_is_its_formula(pairwise: str) -> None:
    block = create_model(f"i3d_nl_{pairwise}", 5, width=4).trunk.layer2[1].non_local.double().eval()
    torch.nn.init.normal_(block.bn.weight)
    x = torch.randn(1, 32, 2, 4, 6, dtype=torch.float64)
    pooled = torch.nn.functional.max_pool3d

    def ask(conv: torch.nn.Conv3d, at: torch.Tensor) -> torch.Tensor:
        return conv.weight[:, :, 0, 0, 0] @ at + conv.bias

    with torch.no_grad():
        values = pooled(block.g(x), (1, 2, 2))[0].flatten(1)
        keys = pooled(x if pairwise == "gauss" else block.phi(x), (1, 2, 2))[0].flatten(1)
        out = block(x)
        for t, h, w in ((0, 0, 0), (1, 3, 5), (1, 2, 1)):
            place = x[0, :, t, h, w]
            query = place if pairwise == "gauss" else ask(block.theta, place)
            heard = torch.tensor([torch.dot(query, keys[:, at]) for at in range(keys.shape[1])])
            weights = heard / len(heard) if pairwise == "dot" else heard.exp() / heard.exp().sum()
            gathered = block.out.weight[:, :, 0, 0, 0] @ (values @ weights)
            wanted = place + gathered / (1 + block.bn.eps) ** 0.5 * block.bn.weight
            assert torch.allclose(out[0, :, t, h, w], wanted, atol=1e-6)


def test_without_shift_tsm_is_tsn() -> None:
    still, shifted = (create_model("tsm_r18", 5, width=8, shift=part).eval() for part in (0, 8))
    flat = seasoned("tsn_r18", width=8)
    assert not take(still, flat) and not take(shifted, flat)
    clips = torch.randn(2, 1, 3, 4, 32, 32)
    with torch.no_grad():
        assert torch.equal(still(clips), flat(clips))
        assert not torch.allclose(shifted(clips), flat(clips), atol=1e-4)


def test_the_shift_is_the_golden_one() -> None:
    frames = torch.arange(24.0).reshape(3, 8, 1, 1)  # 8t + c
    moved = shift(frames, 3, 8).flatten(1).tolist()
    assert moved == [
        [8, 0, *range(2, 8)],
        [16, 1, *range(10, 16)],
        [0, 9, *range(18, 24)],
    ]


def test_the_shift_keeps_the_layout_in_memory() -> None:
    frames = torch.randn(8, 64, 6, 6)
    last = frames.to(memory_format=torch.channels_last)
    assert shift(last, 4, 8).is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(shift(last, 4, 8), shift(frames, 4, 8)) and shift(frames, 4, 8).is_contiguous()


def test_the_shift_stays_within_a_clip_and_minds_the_order() -> None:
    model = seasoned("tsm_r18", width=8)
    clips = torch.randn(2, 1, 3, 4, 32, 32)
    with torch.no_grad():
        together = model(clips)
        alone = torch.cat([model(clips[[at]]) for at in range(2)])
        assert torch.allclose(together, alone, atol=1e-5)
        assert not torch.allclose(model(clips.flip(3)), together, atol=1e-4)


def test_tsm_shifts_every_second_block_of_the_deep_trunk() -> None:
    with torch.device("meta"):
        shallow, deep = (create_model(f"tsm_r{depth}", 5).trunk for depth in (50, 101))
    assert [block.part for block in shallow.layer3] == [8] * 6
    assert [block.part for block in deep.layer3] == [8, 0] * 11 + [8]


def test_of_a_still_the_omni_trunk_says_what_it_says_inside_a_still_clip() -> None:
    model = seasoned("omni_r50").double()
    image = torch.randn(1, 3, 1, 32, 32, dtype=torch.float64)
    with torch.no_grad():
        still = model.trunk(image)
        clip = model.trunk(image.expand(-1, -1, 23, -1, -1))
    assert still.shape == (1, 128, 1, 1, 1)
    assert torch.allclose(clip[:, :, 11], still[:, :, 0], atol=1e-12)
    assert not torch.allclose(clip[:, :, 0], still[:, :, 0], atol=1e-3)


def test_of_a_clip_the_omni_trunk_says_what_slowonly_says() -> None:
    model, plain = seasoned("omni_r18"), create_model("slowonly_r18", 5, width=4).eval()
    plain.trunk.load_state_dict(model.trunk.state_dict())
    clips = torch.randn(2, 3, 4, 32, 32)
    with torch.no_grad():
        assert torch.equal(model.trunk(clips), plain.trunk(clips))


def test_stills_have_a_head_of_their_own_and_leave_the_statistics_of_clips_alone() -> None:
    model = create_model("omni_r18", 5, width=4, image_classes=9).train()
    norm = model.trunk.layer3[0].bn1
    before = norm.running_mean.clone()
    stills = model(torch.randn(4, 1, 3, 1, 32, 32))
    assert stills.shape == (4, 9) and torch.equal(norm.running_mean, before)
    stills.sum().backward()
    assert model.head.fc.weight.grad is None and model.head.image_fc.weight.grad is not None
    clips = model(torch.randn(4, 1, 3, 4, 32, 32))
    assert clips.shape == (4, 5) and not torch.equal(norm.running_mean, before)


@pytest.mark.parametrize("frames", [1, 4])
def test_a_batch_of_one_can_be_learnt_from(frames: int) -> None:
    model = create_model("omni_r18", 5, width=4).train()
    model(torch.randn(1, 1, 3, frames, 64, 64)).logsumexp(1).sum().backward()
    norm = model.head.image_bn if frames == 1 else model.head.bn
    assert norm.running_mean.abs().sum() == 0 and model.trunk.conv1.weight.grad.any()


@pytest.mark.parametrize(
    ("alpha", "how", "wanted"),
    [
        (4, "linspace", [0, 4, 8, 13, 17, 22, 26, 31]),
        (8, "linspace", [0, 10, 20, 31]),
        (4, "stride", [0, 4, 8, 12, 16, 20, 24, 28]),
        (8, "stride", [0, 8, 16, 24]),
    ],
)
def test_the_slow_pathway_sees_the_frames_of_its_origin(alpha: int, how: str, wanted: list[int]) -> None:
    assert slow_indices(32, alpha, how) == wanted  # type: ignore[arg-type]
    assert slow_indices(1, alpha, how) == [0]  # type: ignore[arg-type]


def test_both_pathways_have_the_published_shapes() -> None:
    """Of 32 frames of 224 x 224: slow 8x8, with what comes from the fast pathway."""
    with torch.device("meta"):
        trunk = create_model("slowfast_r50", 400).trunk
        seen: dict[str, list[tuple[int, ...]]] = {"slow": [], "fast": []}
        for way, shapes in seen.items():
            for layer in ("layer1", "layer2", "layer3", "layer4"):
                getattr(getattr(trunk, way), layer).register_forward_hook(
                    lambda _module, given, out, shapes=shapes: shapes.extend([given[0].shape[1:], out.shape[1:]])
                )
        assert trunk(torch.empty(1, 3, 32, 224, 224)).shape == (1, 2304, 8, 7, 7)
    into, out = seen["slow"][::2], seen["slow"][1::2]
    assert into == [(80, 8, 56, 56), (320, 8, 56, 56), (640, 8, 28, 28), (1280, 8, 14, 14)]
    assert out[3] == (2048, 8, 7, 7)
    assert seen["fast"][0] == (8, 32, 56, 56)
    assert seen["fast"][1::2] == [(32, 32, 56, 56), (64, 32, 28, 28), (128, 32, 14, 14), (256, 32, 7, 7)]


def test_the_order_of_the_pathways_is_an_order_of_columns() -> None:
    one, other = seasoned("slowfast_r18", width=16), create_model("slowfast_r18", 5, width=16, order="fast-slow").eval()
    take(other, one)
    fast = one.trunk.fast.channels
    with torch.no_grad():
        other.head.fc.weight.copy_(one.head.fc.weight.roll(fast, 1))
        clips = torch.randn(1, 2, 3, 8, 32, 32)
        assert torch.allclose(other(clips), one(clips), atol=1e-5)


def test_the_joined_map_has_the_mean_of_both_pathways() -> None:
    trunk = seasoned("slowfast_r18", width=16).trunk
    assert isinstance(trunk, SlowFast)
    ends: list[torch.Tensor] = []
    for way in (trunk.slow, trunk.fast):
        way.layer4.register_forward_hook(lambda _module, _given, out: ends.append(out))
    with torch.no_grad():
        joined = trunk(torch.randn(2, 3, 8, 64, 64))
    assert joined.shape[2] == 2 and [end.shape[2] for end in ends] == [2, 8]
    both = torch.cat([end.mean((2, 3, 4)) for end in ends], 1)
    assert torch.allclose(joined.mean((2, 3, 4)), both, atol=1e-5)


@pytest.mark.parametrize("frames", [1, 3, 5, 10])
@pytest.mark.parametrize("name", ["slowfast_r18", "i3d_r50", "ircsn_r50", "tsm_r18"])
def test_short_and_odd_clips_pass(name: str, frames: int) -> None:
    with torch.no_grad():
        assert seasoned(name)(torch.randn(1, 1, 3, frames, 32, 32)).isfinite().all()


def test_a_factorised_convolution_has_the_parameters_of_the_solid_one() -> None:
    for inputs, outputs in ((64, 64), (64, 128), (256, 512)):
        whole = solid(inputs, outputs, (3, 3, 3), (1, 1, 1)).weight.numel()
        both = Factorised(inputs, outputs, (3, 3, 3), (1, 1, 1))
        parts = both.conv_s.weight.numel() + both.conv_t.weight.numel()
        assert 0 <= whole - parts < 9 * inputs + 3 * outputs  # rounded down to whole channels
    assert matched_channels(64, 64, (3, 3, 3)) == 144


def test_depthwise_convolutions_start_with_the_deviation_of_their_own_fan_out() -> None:
    weight = create_model("ircsn_r50", 5).trunk.layer4[2].conv2.weight
    assert weight.shape == (512, 1, 3, 3, 3)
    assert weight.std().item() == pytest.approx((2 / 27) ** 0.5, rel=0.02)
