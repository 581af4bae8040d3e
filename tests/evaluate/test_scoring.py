import numpy as np
import pytest
import torch

from omnisrc.data.samples import SampleReader, SampleTable
from omnisrc.evaluate.protocols import Protocol
from omnisrc.evaluate.scoring import Scorer, merge
from omnisrc.models import create_model
from omnisrc.tasks.recognition import Recognition
from tests.mixed_world import CLASSES, write_world

CPU = torch.device("cpu")
PROTOCOL = Protocol(2, 3, "prob", 4, 2, 32, 32)
TASK = Recognition(CLASSES)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    root = tmp_path_factory.mktemp("world")
    return root, write_world(root, {("target", "test"): 7}, broken={("target", "test"): 2})


def reader_of(world):
    root, manifest = world
    return SampleReader(SampleTable.of(manifest, root), 32)


def student(name="slowonly_r18"):
    torch.manual_seed(0)
    return create_model(name, 4, width=8)


def test_chunks_workers_and_ranks_give_equal_scores(world):
    model = student()
    whole = merge(Scorer(reader_of(world), PROTOCOL, TASK)(model, CPU))
    assert whole.scores.shape == (5, 4) and np.allclose(whole.scores.sum(1), 1, atol=1e-5)
    assert whole.labels.tolist() == [2, 3, 0, 1, 2] and whole.ids.tolist() == list(range(10_002, 10_007))
    assert {skip.sample for skip in whole.unreadable} == {10_000, 10_001}
    ranks = [Scorer(reader_of(world), PROTOCOL, TASK, rank=rank, world=3) for rank in range(3)]
    others = [
        merge(Scorer(reader_of(world), PROTOCOL, TASK, batch=2, views=5)(model, CPU)),
        merge(Scorer(reader_of(world), PROTOCOL, TASK, workers=2)(model, CPU)),
        merge(part for scorer in ranks for part in scorer(model, CPU)),
    ]
    for other in others:
        assert other.ids.tolist() == whole.ids.tolist() and len(other.unreadable) == 2
        assert np.allclose(other.scores, whole.scores, atol=1e-5)


def test_the_scores_are_those_of_the_views_one_by_one(world):
    model = student().eval()
    reader = reader_of(world)
    views = np.empty((6, 4, 32, 32, 3), np.uint8)
    PROTOCOL.render(reader, 4, views)
    frames = torch.from_numpy(views).permute(0, 4, 1, 2, 3).float()
    mean, std = (torch.tensor(x).view(3, 1, 1, 1) for x in (model.input.mean, model.input.std))
    with torch.no_grad():
        single = torch.stack([torch.softmax(model(((view - mean) / std)[None, None])[0], 0) for view in frames])
    scored = merge(Scorer(reader, PROTOCOL, TASK)(model, CPU))
    assert np.allclose(scored.scores[2], single.mean(0), atol=1e-5)
    assert (views.reshape(3, 2, -1)[0] != views.reshape(3, 2, -1)[1]).any()  # crop by crop, then clip by clip


def test_frames_of_a_2d_student_average_before_the_softmax(world):
    model = student("tsn_r18").eval()
    protocol = Protocol(5, 1, "score", 1, 1, 32, 32)
    reader = reader_of(world)
    views = np.empty((5, 1, 32, 32, 3), np.uint8)
    protocol.render(reader, 3, views)
    frames = torch.from_numpy(views).permute(0, 4, 1, 2, 3).float()
    mean, std = (torch.tensor(x).view(3, 1, 1, 1) for x in (model.input.mean, model.input.std))
    with torch.no_grad():
        together = torch.softmax(model(((frames - mean) / std)[None]), 1)[0]  # features averaged, then classified
    assert np.allclose(merge(Scorer(reader, protocol, TASK)(model, CPU)).scores[1], together, atol=1e-5)


def test_mirrored_views_are_mirrors(world):
    reader = reader_of(world)
    views = np.empty((10, 4, 32, 32, 3), np.uint8)
    Protocol(1, 10, "prob", 4, 2, 32, 36).render(reader, 3, views)
    assert (views[1::2] == views[0::2, :, :, ::-1]).all()


def test_the_student_is_left_in_its_mode_and_untouched(world):
    model = student()
    model.train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    list(Scorer(reader_of(world), PROTOCOL, TASK, workers=1)(model, CPU))
    assert torch.equal(torch.rand(1), expected)  # nothing was drawn from the run's generator
    assert model.training and all(torch.equal(before[key], value) for key, value in model.state_dict().items())


def test_views_are_kept_where_they_fit(world, monkeypatch):
    model = student()
    scorer = Scorer(reader_of(world), PROTOCOL, TASK, keep_bytes=1 << 24)
    first = merge(scorer(model, CPU))
    (world[0] / "shards/target-test-0.tar").rename(world[0] / "away.tar")
    try:
        again = merge(scorer(model, CPU))
        forgetful = merge(Scorer(reader_of(world), PROTOCOL, TASK, keep_bytes=10)(model, CPU))
    finally:
        (world[0] / "away.tar").rename(world[0] / "shards/target-test-0.tar")
    assert (again.scores == first.scores).all() and len(forgetful.ids) == 0


def test_cross_entropy_by_hand():
    scores = np.array([[0.25, 0.75], [0.5, 0.5]], np.float32)
    assert TASK.log_loss(scores, np.array([0, 1])) == pytest.approx((np.log(4) + np.log(2)) / 2)
    assert np.isnan(TASK.log_loss(scores[:0], np.zeros(0, int)))


@pytest.mark.parametrize(("name", "protocol"), [
    ("slowonly_r18", Protocol(2, 3, "prob", 4, 2, 32, 32)), ("slowonly_r18", Protocol(2, 3, "score", 4, 2, 32, 32)),
    ("tsn_r18", Protocol(5, 10, "score", 1, 1, 32, 36)),
])  # fmt: skip
def test_views_in_chunks_of_any_size_give_the_same_figures(world, name, protocol):
    model = student(name)
    reader = reader_of(world)
    whole = merge(Scorer(reader, protocol, TASK, views=10_000)(model, CPU))
    for views in (1, 4, 7, 64):
        chunked = merge(Scorer(reader, protocol, TASK, views=views)(model, CPU))
        assert np.allclose(chunked.scores, whole.scores, atol=1e-6) and np.allclose(
            chunked.logits, whole.logits, atol=1e-6
        )
        assert (chunked.scores.argsort(1) == whole.scores.argsort(1)).all()


def test_the_dump_holds_the_mean_logits_of_the_views(world):
    model = student().eval()
    score = Protocol(2, 3, "score", 4, 2, 32, 32)
    by_score, by_prob = (merge(Scorer(reader_of(world), p, TASK)(model, CPU)) for p in (score, PROTOCOL))
    assert np.allclose(torch.softmax(torch.from_numpy(by_score.logits), 1), by_score.scores, atol=1e-6)
    assert np.allclose(by_score.logits, by_prob.logits)
    assert np.abs(by_score.scores - by_prob.scores).max() > 5e-7
