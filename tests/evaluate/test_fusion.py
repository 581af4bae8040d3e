from dataclasses import replace

import numpy as np
import pytest

from omnisrc.errors import UserError
from omnisrc.evaluate.fusion import fuse, softmax
from tests.evaluate.dumps import dump

RNG = np.random.default_rng(0)


def streams():
    first = dump([0] * 6, [0, 1, 2, 3, 0, 1])
    logits = [RNG.normal(size=(6, 4)).astype(np.float32) * scale for scale in (1, 20)]
    return [replace(first, logits=each, probabilities=softmax(each).astype(np.float32)) for each in logits]


def test_fusion_of_probabilities_by_hand():
    rgb, flow = streams()
    one = fuse([rgb, flow], [1, 1.5], ["rgb", "flow"], "probabilities")
    assert one.probabilities == pytest.approx((rgb.probabilities + 1.5 * flow.probabilities) / 2.5, abs=1e-6)
    assert one.probabilities.sum(1) == pytest.approx(np.ones(6), abs=1e-6) and one.logits is None
    # MMAction2's sum is not divided; its ranking is the same.
    assert (one.predicted == (rgb.probabilities + 1.5 * flow.probabilities).argmax(1)).all()


def test_fusion_of_logits_takes_one_softmax_after_the_sum():
    rgb, flow = streams()
    one = fuse([rgb, flow], [1, 1.5], ["rgb", "flow"], "logits")
    total = rgb.logits + 1.5 * flow.logits
    powers = np.exp(total - total.max(1, keepdims=True))
    assert one.logits == pytest.approx(total, rel=1e-6)
    assert one.probabilities == pytest.approx(powers / powers.sum(1, keepdims=True), abs=1e-6)


def test_a_larger_range_outvotes_only_where_the_softmax_comes_last():
    calm, loud = (dump([0], [0], logits=np.array([row], np.float32)) for row in ([2.2, 0, 0, 0], [0, 40, 0, 0]))
    calm, loud = (replace(each, probabilities=softmax(each.logits).astype(np.float32)) for each in (calm, loud))
    first, last = (fuse([calm, loud], [1.5, 1], ["calm", "loud"], of) for of in ("probabilities", "logits"))
    assert first.predicted.tolist() == [0] and last.predicted.tolist() == [1]


def test_three_of_a_kind_are_one():
    rgb = streams()[0]
    for of in ("probabilities", "logits"):
        one = fuse([rgb] * 3, [0.2, 0.3, 0.5], list("abc"), of)
        assert one.probabilities == pytest.approx(rgb.probabilities, abs=1e-6)


def test_what_cannot_be_summed_is_refused():
    rgb, flow = streams()
    with pytest.raises(UserError, match="2 dumps and 1 weights"):
        fuse([rgb, flow], [1], ["rgb", "flow"], "logits")
    for weight in (-1, 0, float("nan"), float("inf")):
        with pytest.raises(UserError, match=f"weight {weight:g} is not a positive number"):
            fuse([rgb, flow], [1, weight], ["rgb", "flow"], "logits")
    with pytest.raises(UserError, match="flow holds no logits"):
        fuse([rgb, replace(flow, logits=None)], [1, 1], ["rgb", "flow"], "logits")
