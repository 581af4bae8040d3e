import math

import numpy as np
import pytest
import torch

from omnisrc.tasks.recognition import Recognition

TASK = Recognition(("dive", "jump", "run"))


def test_loss_is_the_weighted_mean_of_cross_entropy():
    logits = torch.tensor([[2.0, 0.0, 0.0], [0.0, 1.0, 3.0]])
    labels = TASK.collate([0, 1])
    first = -math.log(math.exp(2) / (math.exp(2) + 2))
    second = -math.log(math.exp(1) / (1 + math.exp(1) + math.exp(3)))
    assert TASK.loss(logits, labels).item() == pytest.approx((first + second) / 2)
    assert TASK.loss(logits, labels, torch.tensor([1.0, 0.5])).item() == pytest.approx((first + second / 2) / 2)


def test_soft_labels_cost_the_mixture_of_hard_ones():
    logits = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    hard = TASK.collate([0, 2, 1, 1])
    assert TASK.loss(logits, TASK.soft(hard)).item() == pytest.approx(TASK.loss(logits, hard).item())
    other = TASK.collate([1, 1, 0, 2])
    blend = 0.3 * TASK.soft(hard) + 0.7 * TASK.soft(other)
    wanted = 0.3 * TASK.loss(logits, hard) + 0.7 * TASK.loss(logits, other)
    assert TASK.loss(logits, blend).item() == pytest.approx(wanted.item(), rel=1e-5)


def test_loss_of_an_untrained_student_is_log_k():
    assert TASK.loss(torch.zeros(5, 3), TASK.collate([0, 1, 2, 0, 1])).item() == pytest.approx(math.log(3))


def test_right_counts_hard_and_soft_labels():
    logits = torch.tensor([[2.0, 0, 0], [0, 1, 3], [0, 2, 1]])
    assert TASK.right(logits, TASK.collate([0, 1, 1])).item() == 2
    assert TASK.right(logits, torch.tensor([[0.9, 0.1, 0], [0, 0.4, 0.6], [0.5, 0, 0.5]])).item() == 2


def test_payloads_come_back_as_labels():
    assert [TASK.label(TASK.payload(k)) for k in range(3)] == [0, 1, 2]


@pytest.mark.parametrize("payload", [{}, {"label": 3}, {"label": -1}, {"label": "1"}, {"label": 1, "class": "run"}])
def test_payloads_of_another_class_list_are_refused(payload):
    with pytest.raises(ValueError):
        TASK.label(payload)


def test_decode_and_metrics():
    scores = np.array([[0.2, 0.5, 0.3], [0.6, 0.2, 0.2]])
    assert TASK.decode(scores, 2) == [[("jump", 0.5), ("run", 0.3)], [("dive", 0.6), ("jump", 0.2)]]
    figures = TASK.metrics(scores, np.array([1, 2]))
    assert figures == {"top1": 0.5, "top5": 1.0, "mean_class_accuracy": 0.5, "samples": 2}
    assert TASK.head == {"num_classes": 3}
