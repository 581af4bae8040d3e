"""Two label sets, regions and windows of time, each on a 2-D trunk, a 3-D one and a transformer, as these are."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import cross_entropy

from omnisrc.models import Recogniser, create_model
from omnisrc.models.heads.linear import LinearHead
from omnisrc.models.heads.regions import RegionHead
from omnisrc.models.heads.several import SeveralHeads
from omnisrc.models.heads.windows import WindowHead
from omnisrc.models.trunks.trunk import Stage, Trunk
from tests.models.networks import seasoned
from tests.models.pretrained_folders import TINY

TRUNKS = ("tsn_r18", "slowonly_r18", "videomae_b")


def new_trunk(name: str) -> Trunk:
    if name == "videomae_b":
        pytest.importorskip("transformers")
        return create_model(name, 5, config={**TINY[name], "hidden_dropout_prob": 0.1}).trunk
    return seasoned(name).trunk


@pytest.fixture(params=TRUNKS)
def trunk(request: pytest.FixtureRequest) -> Trunk:
    return new_trunk(request.param).eval()


def two_headed(trunk: Trunk) -> Recogniser:
    heads = {"actions": LinearHead(trunk.channels, 7, 0.0), "sports": LinearHead(trunk.channels, 3, 0.0)}
    origin = create_model("tsn_r18", 7, width=4)
    return Recogniser(trunk, SeveralHeads(heads), origin.input, 7)


CLIPS = (4, 3, 4, 32, 32)


def test_two_label_sets_on_one_trunk(trunk: Trunk) -> None:
    model = two_headed(trunk).eval()
    views = torch.randn(4, 2, *CLIPS[1:])
    with torch.no_grad():
        logits = model(views)
        alone = Recogniser(trunk, model.head.heads["sports"], model.input, 3)
        assert torch.equal(logits["sports"], alone(views))
    assert {name: tuple(each.shape) for name, each in logits.items()} == {"actions": (4, 7), "sports": (4, 3)}


def test_a_batch_of_one_label_set_teaches_the_other_head_nothing(trunk: Trunk) -> None:
    model = two_headed(trunk).train()
    cross_entropy(model(torch.randn(4, 1, *CLIPS[1:]))["actions"], torch.arange(4)).backward()
    for parameter in model.head.heads["sports"].parameters():
        assert parameter.grad is None or not parameter.grad.any()
    assert all(parameter.grad.any() for parameter in model.head.heads["actions"].parameters())
    assert any(parameter.grad is not None and parameter.grad.any() for parameter in trunk.parameters())


def test_regions_on_any_stage(trunk: Trunk) -> None:
    """A box of exactly one cell, sampled once in its middle, is that cell of the map."""
    clips = torch.randn(CLIPS)
    with torch.no_grad():
        maps = trunk.maps(clips)
        for stage in trunk.stages:
            head = RegionHead(stage, 6, size=1, ratio=1).eval()
            rows, columns = maps[stage.name].shape[3:]
            row, column = rows - 1, columns // 2
            cell = torch.tensor([column, row, column + 1, row + 1.0]) * stage.stride
            boxes = [cell[None], torch.zeros(0, 4), cell.repeat(2, 1), torch.zeros(0, 4)]
            expected = maps[stage.name].mean(2)[[0, 2, 2], :, row, column]
            assert torch.allclose(head.embed(maps, boxes), expected, atol=1e-6)
            assert head(maps, boxes).shape == (3, 6)


def test_the_best_cell_of_a_region_counts() -> None:
    head = RegionHead(Stage("x", 1, 8), 2, size=2, ratio=1)
    picture = torch.tensor([[1.0, 5.0, 0.0], [2.0, 3.0, 0.0], [9.0, 0.0, 0.0]])
    found = head.embed({"x": picture[None, None, None]}, [torch.tensor([[0.0, 0.0, 16.0, 16.0]])])
    assert found.item() == 5


def test_boxes_are_aligned_to_the_middles_of_places() -> None:
    """On a ramp, the cells of a box from 32 to 96 at stride 16 are centred on 2.5 and 4.5; unaligned on 3 and 5."""
    head = RegionHead(Stage("x", 1, 16), 2, size=2, ratio=2)
    ramp = torch.arange(8.0).expand(1, 1, 1, 8, 8)
    assert head.embed({"x": ramp}, [torch.tensor([[32.0, 32.0, 96.0, 96.0]])]).item() == pytest.approx(4.5)


def test_windows_of_time_on_any_stage(trunk: Trunk) -> None:
    clips = torch.randn(CLIPS)
    with torch.no_grad():
        maps = trunk.maps(clips)
        for stage in trunk.stages:
            moments = maps[stage.name].mean((3, 4))
            each, half = WindowHead(stage, 6).eval(), WindowHead(stage, 6, windows=1).eval()
            assert each(maps).shape == (4, 4 // stage.temporal_stride, 6) and half(maps).shape == (4, 1, 6)
            assert torch.allclose(each.embed(maps)[2, -1], moments[2, :, -1], atol=1e-6)
            assert torch.allclose(half.embed(maps)[:, 0], moments.mean(2), atol=1e-6)
            assert torch.allclose(each.fc(each.embed(maps)).mean(1), each.fc(half.embed(maps))[:, 0], atol=1e-5)


def test_a_frame_changes_its_own_window_alone_on_a_2d_trunk() -> None:
    trunk = new_trunk("tsn_r18").eval()
    head = WindowHead(trunk.stages[1], 6).eval()
    clips = torch.randn(CLIPS)
    touched = clips.clone()
    touched[:, :, 2] += 1
    with torch.no_grad():
        changed = (head(trunk.maps(clips)) - head(trunk.maps(touched))).abs().amax((0, 2)) > 1e-6
    assert changed.tolist() == [False, False, True, False]


def test_a_frozen_trunk_stays_as_it_is_to_the_bit(trunk: Trunk) -> None:
    """Under all three heads at once, in train mode, with an optimiser that would move whatever has a gradient."""
    trunk.freeze()
    model, region = two_headed(trunk), RegionHead(trunk.stages[0], 4)
    window = WindowHead(trunk.stages[-1], 4)
    everything = torch.nn.ModuleList([model, region, window]).train()
    before = {key: value.clone() for key, value in trunk.state_dict().items()}
    clips = torch.randn(CLIPS) * 3 + 1
    answers = []
    optimiser = torch.optim.SGD((p for p in everything.parameters() if p.requires_grad), lr=0.1, weight_decay=0.1)
    for _ in range(3):
        optimiser.zero_grad()
        maps = trunk.maps(clips)
        answers.append(maps[trunk.stages[-1].name])
        logits = model(clips[:, None])
        boxes = [torch.tensor([[0.0, 0.0, 31.0, 31.0]])] * 4
        loss = sum(cross_entropy(each, torch.arange(4) % each.shape[1]) for each in logits.values())
        loss = loss + cross_entropy(region(maps, boxes), torch.arange(4)) + window(maps).square().mean()
        loss.backward()
        optimiser.step()
    assert all(torch.equal(value, before[key]) for key, value in trunk.state_dict().items())
    assert all(torch.equal(answer, answers[0]) for answer in answers)
    assert all(parameter.grad is not None for parameter in region.parameters())


def test_an_unfrozen_trunk_moves_its_statistics() -> None:
    trunk = new_trunk("tsn_r18").train()
    before = trunk.bn1.running_mean.clone()
    trunk(torch.randn(CLIPS))
    assert not torch.equal(trunk.bn1.running_mean, before)
