import numpy as np
import pytest
import torch

from omnisrc.data.batch import Batch
from omnisrc.data.draws import seeds_at
from omnisrc.models import create_model
from omnisrc.tasks.recognition import Recognition
from omnisrc.train.distribution import Place
from omnisrc.train.mixed_step import MixedStep
from omnisrc.train.settings import TrainSettings
from omnisrc.train.student import Student

TASK = Recognition(("a", "b", "c"))
CPU = Place(0, 1, torch.device("cpu"))


def batch_of(source, count, length=4, views=1, seed=0, classes=3):
    rng = np.random.default_rng(seed)
    pixels = torch.from_numpy(rng.integers(0, 256, (count, views, length, 32, 32, 3), dtype=np.uint8))
    return Batch(
        source, pixels.permute(0, 1, 5, 2, 3, 4), {"recognition": torch.from_numpy(rng.integers(0, classes, count))},
        torch.ones(count), torch.arange(count), seeds_at(seed, np.arange(count)),
    )  # fmt: skip


def parts(name="slowonly_r18", weights=None, **settings):
    torch.manual_seed(0)
    model = create_model(name, 3, width=8, dropout=0.0)
    clip_len = 1 if name.startswith("tsn") else 4
    settings = TrainSettings(clip_len=clip_len, steps=10, channels_last=False, **settings)
    sources = ("target", "web-image", "web-clip")
    weights = {source: 1.0 for source in sources} | (weights or {})
    return model, MixedStep(TASK, model.input, settings, weights, 0, CPU, "float32")


def gradient(model, mixed, batches):
    model.zero_grad()
    loss, _ = mixed(Student(model), batches, 0)
    loss.backward()
    return loss.item(), torch.cat([p.grad.flatten().clone() for p in model.parameters()])


@pytest.mark.parametrize("name", ["slowonly_r18", "tsn_r18"])
def test_the_step_is_the_weighted_sum_over_sources(name):
    video = 1 if name == "tsn_r18" else 4
    batches = [
        batch_of("target", 4, video, seed=1),
        batch_of("web-image", 2, 1, seed=2),
        batch_of("web-clip", 3, video, seed=3),
    ]
    weights = {"target": 1.0, "web-image": 0.5, "web-clip": 2.0}
    model, mixed = parts(name, weights)
    plain = parts(name)[1]
    model.train()
    loss, whole = gradient(model, mixed, batches)
    single = [gradient(model, plain, [batch]) for batch in batches]
    assert loss == pytest.approx(sum(w * part for w, (part, _) in zip(weights.values(), single, strict=True)), rel=1e-5)
    summed = sum(w * part for w, (_, part) in zip(weights.values(), single, strict=True))
    assert torch.allclose(whole, summed, rtol=1e-3, atol=1e-5 * summed.abs().max())
    assert not torch.allclose(whole, single[0][1], rtol=1e-2)


def test_the_tallies_are_sums_by_source():
    model, mixed = parts()
    batches = [batch_of("target", 4, seed=1), batch_of("web-image", 2, 1, seed=2)]
    loss, tallies = mixed(Student(model), batches, 0)
    means = [tally[0] / tally[2] for tally in tallies]
    assert [tally[2].item() for tally in tallies] == [4, 2]
    assert loss.item() == pytest.approx((means[0] + means[1]).item(), rel=1e-6)
    assert all(0 <= tally[1] <= tally[2] for tally in tallies)


def test_a_still_counts_as_the_same_frame_again_and_again():
    model, mixed = parts(flip=0.0)
    model.eval()
    still = batch_of("web-image", 2, 1, seed=2)
    frames = still.frames.repeat(1, 1, 1, 4, 1, 1)
    clip = Batch("web-clip", frames, still.labels, still.weights, still.ids, still.seeds)
    losses = [mixed(Student(model), [batch], 0)[0].item() for batch in (still, clip)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


@pytest.mark.parametrize(("setting", "expected"), [("target", "target"), ("all", "both")])
def test_running_statistics_follow_the_target(setting, expected):
    def statistics(batches):
        model, mixed = parts(norm_statistics=setting)
        model.train()
        mixed(Student(model), batches, 0)
        return [b.clone() for n, b in model.named_buffers() if "running" in n], model

    target, web = batch_of("target", 4, seed=1), batch_of("web-clip", 4, seed=2)
    alone, _ = statistics([target])
    mixed, model = statistics([target, web])
    same = all(torch.equal(a, b) for a, b in zip(alone, mixed, strict=True))
    assert same == (expected == "target")
    assert all(m.track_running_stats for m in model.modules() if isinstance(m, torch.nn.BatchNorm3d))
    without_target, _ = statistics([web])
    fresh = [b for n, b in create_model("slowonly_r18", 3, width=8).named_buffers() if "running" in n]
    assert not any(torch.equal(a, b) for a, b in zip(without_target, fresh, strict=True))


def test_frozen_norms_keep_normalising_by_their_own_statistics():
    model, mixed = parts()
    model.train()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm3d):
            module.eval()
    web, target = batch_of("web-clip", 2, seed=2), batch_of("target", 2, seed=1)
    before = [b.clone() for b in model.buffers()]
    _, tallies = mixed(Student(model), [target, web], 0)
    model.eval()
    _, evaluated = mixed(Student(model), [target, web], 0)
    assert torch.allclose(tallies[1], evaluated[1], rtol=1e-5)
    assert all(torch.equal(a, b) for a, b in zip(before, model.buffers(), strict=True))


@pytest.mark.parametrize("where", ["within", "across"])
def test_mixup_changes_the_loss_alike_each_time(where):
    batches = [batch_of("target", 4, seed=1), batch_of("web-image", 2, 1, seed=2)]
    model, plain = parts()
    _, mixing = parts(mixup=where, mixup_alpha=1.0)
    first, again = (mixing(Student(model), batches, 5)[0].item() for _ in range(2))
    assert first == again
    assert first != mixing(Student(model), batches, 6)[0].item()
    assert first != plain(Student(model), batches, 5)[0].item()


def test_dropout_is_a_function_of_the_step():
    model, mixed = parts()
    model.head.dropout = torch.nn.Dropout(0.5)
    model.train()
    batches = [batch_of("target", 4, seed=1)]
    losses = [mixed(Student(model), batches, step)[0].item() for step in (1, 2, 1)]
    assert losses[0] == losses[2]
