"""Late fusion, LRCN and TRN: heads over the frames of a 2-D trunk."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from omnisrc.errors import UserError
from omnisrc.models import create_model
from omnisrc.models.checkpoints import mmaction2_trn
from omnisrc.models.heads.relations import RelationHead
from tests.models.goldens import fill, noise
from tests.models.networks import season


@pytest.mark.parametrize(
    ("name", "classes", "parameters", "trainable"),
    [
        ("latefusion_r152", 101, 59_244_709, 1_100_901),
        ("lrcn_r152", 101, 62_398_629, 4_254_821),
        ("trn_r50", 174, 26_641_154, 26_641_154),
    ],
)
def test_parameter_counts(name: str, classes: int, parameters: int, trainable: int) -> None:
    """Late fusion and LRCN: those of the reference; TRN: ResNet-50's 23,508,032 and 3,133,122 of MMAction2's head."""
    with torch.device("meta"):
        model = create_model(name, classes)
    assert sum(p.numel() for p in model.parameters()) == parameters
    assert sum(p.numel() for p in model.parameters() if p.requires_grad) == trainable


@pytest.mark.parametrize("name", ["latefusion_r18", "lrcn_r18"])
def test_a_frozen_trunk_stays_bit_for_bit_while_the_head_learns(name: str) -> None:
    model = create_model(name, 5, width=4).train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    optimiser = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    for _ in range(3):
        nn.functional.cross_entropy(model(torch.randn(4, 1, 3, 5, 32, 32)), torch.arange(4)).backward()
        optimiser.step()
    after = model.state_dict()
    assert all(torch.equal(after[key], before[key]) for key in before if key.startswith("trunk."))
    assert all(not torch.equal(after[key], before[key]) for key in before if key.startswith("head.fc"))
    loose = create_model(name, 5, width=4, frozen=False).train()
    moving = loose.trunk.bn1.running_mean.clone()
    loose(torch.randn(2, 1, 3, 5, 32, 32)).sum().backward()
    assert not torch.equal(loose.trunk.bn1.running_mean, moving) and loose.trunk.conv1.weight.grad is not None


def test_late_fusion_is_the_mean_over_frames_in_any_order_and_as_views_or_time() -> None:
    model = season(create_model("latefusion_r18", 5, width=4))
    clip = torch.randn(1, 1, 3, 5, 32, 32)
    with torch.no_grad():
        logits = model(clip)
        assert logits.shape == (1, 5)
        assert torch.allclose(model(clip[:, :, :, [3, 1, 4, 0, 2]]), logits, atol=1e-5)
        assert torch.allclose(model(clip.transpose(1, 3)), logits, atol=1e-5)
        frames = model.trunk(clip[:, 0]).mean((3, 4))[0].T  # (5, D)
        by_hand = model.head.fc(torch.relu(model.head.fc1(frames)).mean(0))
    assert torch.allclose(logits[0], by_hand, atol=1e-5)


def test_lrcn_hears_all_frames_in_both_directions() -> None:
    model = season(create_model("lrcn_r18", 5, width=4))
    clip = torch.randn(1, 1, 3, 5, 32, 32)
    with torch.no_grad():
        logits, state = model(clip), model.features(clip)
        assert not torch.allclose(model(clip.flip(3)), logits, atol=1e-4)
        for frame in range(5):
            other = clip.clone()
            other[:, :, :, frame] = 0
            heard = (model.features(other) - state).abs()[0]
            assert heard[:256].max() > 1e-6 and heard[256:].max() > 1e-6, frame
    one_way = create_model("lrcn_r18", 5, width=4, bidirectional=False)
    assert one_way.head.fc.in_features == 256
    assert sum(p.numel() for p in one_way.parameters()) < sum(p.numel() for p in model.parameters())


def test_trn_sees_the_order_of_frames_and_scores_without_chance() -> None:
    model = season(create_model("trn_r18", 5, width=4))
    clip = torch.randn(2, 1, 3, 8, 32, 32)
    with torch.no_grad():
        logits = model(clip)
        assert torch.equal(model(clip), logits)
        assert not torch.allclose(model(clip.flip(3)), logits, atol=1e-5)
        views = torch.cat([clip, clip.flip(3)], dim=1)
        assert torch.allclose(model(views), (logits + model(clip.flip(3))) / 2, atol=1e-5)


def test_trn_of_other_frames_is_refused_in_a_sentence() -> None:
    with pytest.raises(UserError, match="relates 8 frames, not 5: set clip_len=8"):
        create_model("trn_r18", 5, width=4)(torch.randn(1, 1, 3, 5, 32, 32))
    with pytest.raises(UserError, match="at least 2 frames, not 1"):
        create_model("trn_r18", 5, width=4, frames=1)


def related(frames: int) -> RelationHead:
    """A head with the golden weights."""
    head = RelationHead(2048, 174, 0.0, frames).double().eval()
    fill({mmaction2_trn.their_key(f"head.{key}"): value for key, value in head.state_dict().items()})
    return head


@pytest.mark.parametrize(
    ("frames", "first", "best", "of_logits"),
    [
        (3, (0.03724, -2.5354, 2.03311, -0.20326), 61, (-0.073787, 1.534128)),
        (8, (0.146, 6.19224, -1.41151, 1.23177), 39, (-0.070818, 3.599815)),
    ],
)
def test_relations_are_mmaction2s(
    frames: int, first: tuple[float, ...], best: int, of_logits: tuple[float, float]
) -> None:
    """MMAction2 1.2.0's TRNHead in float64. Of 3 frames it sums all relations; of 8 it draws, and this is the mean
    over all that it may draw, computed from its own layers."""
    head = related(frames)
    maps = noise(2 * frames, 2048, 2, 2).abs().reshape(2, frames, 2048, 2, 2).transpose(1, 2)
    with torch.no_grad():
        logits = head(head.embed(maps, 1))
    assert logits[0, :4].tolist() == pytest.approx(first, abs=5.1e-6)
    assert logits[0].argmax().item() == best
    assert (logits.mean().item(), logits.std().item()) == pytest.approx(of_logits, abs=5.1e-7)


def test_training_draws_three_relations_of_a_scale_whose_mean_is_the_score() -> None:
    head = RelationHead(16, 4, 0.0, frames=4, features=8, hidden=8).double()
    maps = torch.randn(1, 16, 4, 1, 1, dtype=torch.float64)
    assert [len(choices) for choices in head.choices] == [1, 4, 6]
    with torch.no_grad():
        score = head.eval()(head.embed(maps, 1))
        head.train()
        drawn = torch.stack([head(head.embed(maps, 1)) for _ in range(4000)])
    assert len(drawn[:, 0].round(decimals=9).unique(dim=0)) == 4 * 20  # 3 of 4, and 3 of 6
    assert torch.allclose(drawn.mean(0), score, atol=5 * drawn.std(0).max().item() / 4000**0.5)


def test_mmaction2s_names_of_trn_are_read_and_written() -> None:
    with torch.device("meta"):
        keys = list(create_model("trn_r50", 174).state_dict())
    theirs = [mmaction2_trn.their_key(key) for key in keys]
    assert mmaction2_trn.matches(theirs) and [mmaction2_trn.our_key(key) for key in theirs] == keys
    assert {"cls_head.fc_cls.weight", "cls_head.consensus.fc_fusion_scales.6.3.bias"} <= set(theirs)
    assert "backbone.layer4.2.conv3.bn.running_var" in theirs
