import numpy as np
import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from omnisrc.errors import UserError
from omnisrc.tasks.create import TASKS, create_task
from omnisrc.tasks.multi_label import MultiLabel

TASK = MultiLabel(("dive", "jump", "run"))
LOGITS = torch.tensor([[2.0, -1.0, 0.5], [0.0, 1.0, 3.0]])
NAN = float("nan")


def test_loss_is_torchs_where_all_is_known():
    labels = TASK.collate([[1, 0, 1], [0, 0, 1]])
    assert TASK.loss(LOGITS, labels).item() == pytest.approx(binary_cross_entropy_with_logits(LOGITS, labels).item())
    weighted = TASK.loss(LOGITS, labels, torch.tensor([1.0, 0.0])).item()
    assert weighted == pytest.approx(binary_cross_entropy_with_logits(LOGITS[:1], labels[:1]).item() / 2)
    soft = 0.8 * labels + 0.1
    assert TASK.loss(LOGITS, labels, smoothing=0.2).item() == pytest.approx(TASK.loss(LOGITS, soft).item())


def test_what_nobody_has_said_costs_nothing_and_moves_nothing():
    logits = LOGITS.clone().requires_grad_()
    loss = TASK.loss(logits, TASK.collate([[1, NAN, NAN], [0, 0, 1]]), smoothing=0.1)
    loss.backward()
    assert torch.isfinite(logits.grad).all() and (logits.grad[0, 1:] == 0).all() and (logits.grad[0, 0] != 0)
    whole = LOGITS.clone().requires_grad_()
    TASK.loss(whole, TASK.collate([[1, 0, 0], [0, 0, 1]]), smoothing=0.1).backward()
    assert torch.equal(whole.grad[0, 0], logits.grad[0, 0]), "an answer weighs the same beside others and alone"


def test_mixed_with_the_unknown_it_is_unknown():
    known, unknown = TASK.collate([[1, 0, 0]]), TASK.collate([[1, NAN, NAN]])
    mixed = torch.lerp(TASK.soft(known), TASK.soft(unknown), 0.25)
    assert mixed[0, 0] == 1 and mixed[0, 1:].isnan().all()


def test_hits_are_rows_whose_best_class_is_one_of_theirs():
    assert TASK.right(LOGITS, TASK.collate([[1, 1, 0], [1, 1, NAN]])).item() == 1


def test_payload_and_label_are_inverse_and_check_names():
    assert TASK.label(TASK.payload([0, 2])) == (0, 2)
    for payload in ({"labels": [3]}, {"labels": 1}, {"labels": [0], "classes": ["run"]}):
        with pytest.raises(ValueError, match="labels"):
            TASK.label(payload)


def test_scores_are_of_each_class_for_itself_and_the_log_loss_is_the_loss_of_the_logits():
    labels = TASK.collate([[1, 0, 1], [0, 0, 1]])
    scores = TASK.scores(LOGITS)
    assert scores.sum(1).max() > 1
    assert TASK.log_loss(scores.numpy(), labels.numpy()) == pytest.approx(TASK.loss(LOGITS, labels).item(), rel=1e-6)
    assert TASK.decode(scores.numpy(), 2)[1][0] == ("run", pytest.approx(0.9526, abs=1e-4))


def test_map_leaves_out_classes_without_a_clip():
    scores = np.array([[0.9, 0.1, 0.2], [0.8, 0.4, 0.1], [0.1, 0.7, 0.6]])
    figures = TASK.metrics(scores, np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0]]))
    assert figures == {"map": pytest.approx((1 / 2 + 1) / 2), "samples": 3}


def test_tasks_are_made_by_name():
    assert all(create_task(name, ["a", "b"]).name == name for name in TASKS)
    with pytest.raises(UserError, match=r"no task .multilabel.*multi-label"):
        create_task("multilabel", ["a"])
