from dataclasses import replace

import numpy as np
import pytest

from omnisrc.errors import UserError
from omnisrc.evaluate.scores import aligned, read_scores, write_scores
from omnisrc.evaluate.several import compare_several, figures_of, resampled_map, weighted_map
from omnisrc.tasks.average_precision import class_average_precision
from tests.evaluate.dumps import dump

CLASSES = ("a", "b", "c", "d", "e")


def rows():
    """60 clips of 5 classes, of which the fourth has none; scores with many ties."""
    rng = np.random.default_rng(7)
    scores = np.round(rng.random((60, 5)), 1).astype(np.float32)
    return rng, scores, (rng.random((60, 5)) < [0.5, 0.3, 0.1, 0.0, 0.7]).astype(np.int8)


def several(scores, labels, **more):
    logits = np.log(scores + 1e-3) - np.log(1 + 1e-3 - scores)
    facts = {"probabilities": scores, "logits": logits, "classes": CLASSES, **more}
    return replace(dump([0] * len(labels), [0] * len(labels), **facts), labels=np.asarray(labels, np.int8))


def test_figures_are_scikit_learns():
    # sklearn.metrics.average_precision_score (1.9.1) of the same rows, class by class, and its mean.
    _, scores, labels = rows()
    each = class_average_precision(scores, labels > 0)
    wanted = [0.6092609060024391, 0.39655918692500086, 0.09523809523809523, np.nan, 0.7067868195171398]
    assert np.allclose(each, wanted, atol=1e-12, equal_nan=True)
    figures = figures_of(several(scores, labels))
    assert figures["map"] == pytest.approx(0.45196125192066877) and figures["without_positives"] == ["d"]
    low, high = figures["map_interval"]
    assert low < figures["map"] < high and "top1" not in figures


def test_weighted_clips_give_scikit_learns_weighted_figures():
    rng, scores, labels = rows()
    weights = rng.multinomial(60, np.full(60, 1 / 60), size=3)
    found = weighted_map(several(scores, labels), weights)
    assert np.allclose(found, [0.49014033541522645, 0.5124299945136672, 0.4530769641949527], atol=1e-12)


def test_a_class_that_a_resample_lacks_is_in_none_of_its_means():
    scores = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.7]], np.float32)
    table = several(np.pad(scores, ((0, 0), (0, 3))), np.pad([[1, 0], [0, 1], [0, 0]], ((0, 0), (0, 3))))
    assert weighted_map(table, np.array([[3, 0, 0], [0, 0, 3], [1, 1, 1]]))[[0, 2]].tolist() == [1.0, 1.0]
    assert np.isnan(weighted_map(table, np.array([[0, 0, 3]])))[0]


def test_clips_of_a_group_are_drawn_together():
    _, scores, labels = rows()
    alone = resampled_map([several(scores, labels)], resamples=300)
    in_pairs = [f"video {at // 2}" for at in range(120)]
    twice = several(np.repeat(scores, 2, 0), np.repeat(labels, 2, 0), groups=in_pairs)
    assert np.allclose(resampled_map([twice], resamples=300).std(), alone.std(), rtol=1e-9)


def test_the_better_of_two_is_told_and_equals_are_not():
    _, scores, labels = rows()
    plain = several(scores, labels)
    better = several(np.clip(scores + 0.4 * labels, 0, 1), labels)
    found = compare_several(plain, better, ("base", "omni"))
    assert (
        found.p < 0.01 and found.difference_interval.low > 0 and found.sentence.startswith("omni is better than base")
    )
    assert "paired bootstrap" in found.sentence and np.isnan(found.by_class[3, 1])
    back = compare_several(better, plain, ("omni", "base"))
    assert back.difference == -found.difference and back.sentence.startswith("base is worse than omni")
    assert compare_several(plain, plain, ("a", "b")).p == 1.0


def test_a_dump_keeps_multi_hot_labels_and_does_not_mix_with_others(tmp_path):
    _, scores, labels = rows()
    table = several(scores, labels)
    write_scores(table, tmp_path / "predictions.parquet")
    again = read_scores(tmp_path)
    assert again.labels.tolist() == labels.tolist() and again.fingerprint == table.fingerprint and again.multi_label
    other = labels.copy()
    other[4] = [1, 1, 0, 0, 0] if labels[4].tolist() != [1, 1, 0, 0, 0] else [0, 1, 0, 0, 0]
    assert several(scores, other).fingerprint != table.fingerprint
    with pytest.raises(UserError, match=r"labels 1 clip otherwise than x, such as class/4 \((a \+ )?b, not"):
        aligned([table, several(scores, other)], ["x", "y"])
    single = dump([0] * 60, [0] * 60, probabilities=scores, classes=CLASSES)
    with pytest.raises(UserError, match="x was scored with several classes a clip and y with one class"):
        aligned([table, single], ["x", "y"])
