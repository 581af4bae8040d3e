import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from omnisrc.errors import UserError
from omnisrc.evaluate.protocols import Sampling, averaged, evaluation_protocol, validation_protocol
from omnisrc.evaluate.settings import EvalSettings

TSN = Sampling("2d", 1, 1, 3, 224, 256)
SLOWONLY = Sampling("3d", 8, 8, 1, 224, 256)
RNG = np.random.default_rng(0)


def test_the_families_customs():
    tsn, slowonly = (evaluation_protocol(s, EvalSettings()) for s in (TSN, SLOWONLY))
    assert (tsn.clips, tsn.crops, tsn.average, tsn.size, tsn.views) == (25, 10, "score", 224, 250)
    assert (slowonly.clips, slowonly.crops, slowonly.average, slowonly.size, slowonly.views) == (10, 3, "prob", 256, 30)
    assert tsn.name == "25x10-score" and slowonly.name == "10x3-prob"


def test_settings_go_before_customs():
    asked = EvalSettings(clips=2, crops=1, average="score", crop_size=64, short_side=80, sampling="0.x")
    protocol = evaluation_protocol(SLOWONLY, asked)
    assert (protocol.clips, protocol.crops, protocol.average, protocol.size) == (2, 1, "score", 64)
    assert (protocol.short_side, protocol.rule) == (80, "0.x")


def test_validation_looks_once_at_what_training_looks_at():
    assert validation_protocol(TSN).name == "3x1-score" and validation_protocol(SLOWONLY).name == "1x1-prob"
    assert validation_protocol(SLOWONLY).size == 224


def test_both_generations_place_their_clips_by_their_rule():
    # research/omnisource-mmaction2.md 3.3: starts of 10 clips of 8 x 8 in 300 frames.
    new, old = (evaluation_protocol(SLOWONLY, EvalSettings(sampling=rule)) for rule in ("1.x", "0.x"))
    starts = [protocol.sampler(300, RNG).reshape(10, 8)[:, 0].tolist() for protocol in (new, old)]
    assert starts[0] == [round(k * (300 - 57) / 9) for k in range(10)]
    assert starts[1] == [int(k * 23.7 + 11.85) for k in range(10)]


def test_tsn_takes_the_middles_of_25_parts():
    frames = evaluation_protocol(TSN, EvalSettings()).sampler(300, RNG)
    assert frames.tolist() == [math.floor(k * 12 + 6) for k in range(25)]


def test_ten_crops_are_five_and_their_mirrors():
    boxes = evaluation_protocol(TSN, EvalSettings()).boxes(340, 256)
    assert len(boxes) == 10 and len({box for box, _ in boxes}) == 5
    assert [mirrored for _, mirrored in boxes] == [False, True] * 5
    assert {(box.width, box.height) for box, _ in boxes} == {(224, 224)}


def test_the_two_averages_by_hand():
    logits = torch.tensor([[[0.0, 2.0], [1.0, 0.0]]])
    prob, score = averaged(logits, "prob"), averaged(logits, "score")
    softmax = [1 / (1 + math.exp(2)), 1 / (1 + math.exp(-1))]
    assert prob[0, 0].item() == pytest.approx(sum(softmax) / 2)
    assert score[0, 0].item() == pytest.approx(1 / (1 + math.exp(0.5)))
    assert torch.allclose(prob.sum(1), torch.ones(1)) and torch.allclose(score.sum(1), torch.ones(1))


def test_averages_of_one_view_agree_and_may_differ_in_rank_for_several():
    one = torch.randn(5, 1, 4, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(averaged(one, "prob"), averaged(one, "score"))
    sure_and_unsure = torch.tensor([[[9.0, 0.0], [0.0, 3.0], [0.0, 3.0]]])
    assert averaged(sure_and_unsure, "prob").argmax().item() == 1
    assert averaged(sure_and_unsure, "score").argmax().item() == 0


@pytest.mark.parametrize(
    ("name", "student", "want"),
    [
        ("tsn-25x10", TSN, (25, 10, "score", 224)),
        ("tsn-25x3", TSN, (25, 3, "score", 256)),
        ("3d-10x3", SLOWONLY, (10, 3, "prob", 256)),
        ("1x1", SLOWONLY, (1, 1, "prob", 224)),
        ("1x1", TSN, (1, 1, "prob", 224)),
    ],
)
@pytest.mark.parametrize("rule", ["1.x", "0.x"])
def test_protocols_by_name(name, student, want, rule):
    # research/omnisource-mmaction2.md 3.3: TenCrop 224 and ThreeCrop 256 from a short side of 256.
    protocol = evaluation_protocol(student, EvalSettings(protocol=name, sampling=rule))
    assert (protocol.clips, protocol.crops, protocol.average, protocol.size) == want
    assert protocol.short_side == 256 and protocol.rule == rule and len(protocol.boxes(340, 256)) == want[1]
    assert len(protocol.sampler(300, RNG)) == want[0] * student.clip_len


def test_a_named_protocol_takes_other_averages_and_numbers():
    asked = EvalSettings(protocol="3d-10x3", average="score", clips=4)
    protocol = evaluation_protocol(SLOWONLY, asked)
    assert (protocol.clips, protocol.crops, protocol.average, protocol.size) == (4, 3, "score", 256)
    assert evaluation_protocol(SLOWONLY, EvalSettings(protocol="3d-10x3", crops=1)).size == 224


@pytest.mark.parametrize(("name", "student"), [("tsn-25x10", SLOWONLY), ("tsn-25x3", SLOWONLY), ("3d-10x3", TSN)])
def test_a_protocol_of_the_other_kind_of_student_is_refused(name, student):
    with pytest.raises(UserError, match=f"{name} is not for a {student.dims} student; choose one of .*1x1"):
        evaluation_protocol(student, EvalSettings(protocol=name))


def test_the_single_clip_lies_in_the_middle_by_either_rule():
    starts = [
        evaluation_protocol(SLOWONLY, EvalSettings(protocol="1x1", sampling=rule)).sampler(300, RNG)[0]
        for rule in ("1.x", "0.x")
    ]
    assert starts == [(300 - 57) // 2, int((300 - 64 + 1) / 2)]


def test_a_student_of_fixed_size_is_shown_whole_squares_at_its_own_size():
    protocol = evaluation_protocol(replace(SLOWONLY, fixed=True), EvalSettings())
    assert protocol.name == "10x3-prob" and protocol.size == 224
    assert {(box.width, box.height) for box, _ in protocol.boxes(340, 256)} == {(256, 256)}


def test_segments_of_one_clip_are_spread_over_the_video():
    protocol = evaluation_protocol(Sampling("3d", 8, 0, 1, 224, 256), EvalSettings(clips=2))
    first, second = protocol.sampler(100, RNG).reshape(2, 8).tolist()
    assert first == [6, 18, 31, 43, 56, 68, 81, 93] and second == [0, 12, 25, 37, 50, 62, 75, 87]


def frames_of(protocol, count=100):
    return protocol.sampler(count, np.random.default_rng(0)).tolist()


def test_a_student_of_another_sampler_is_scored_with_it():
    spread = Sampling("3d", 8, 0, 1, 224, 256, sampler="uniform")
    assert frames_of(evaluation_protocol(spread, EvalSettings(clips=1))) == [6, 18, 31, 43, 56, 68, 80, 93]
    assert frames_of(validation_protocol(spread)) == [6, 18, 31, 43, 56, 68, 80, 93]
    dense = Sampling("3d", 8, 0, 1, 224, 256, sampler="dense")
    assert frames_of(evaluation_protocol(dense, EvalSettings(clips=2))) == [*range(0, 57, 8), *range(36, 93, 8)]
    assert evaluation_protocol(dense, EvalSettings()).clips == 10 and validation_protocol(dense).clips == 3
    flat = Sampling("2d", 1, 1, 3, 224, 256, sampler="dense", sample_range=32)
    assert evaluation_protocol(flat, EvalSettings()).clips == 30
    assert frames_of(evaluation_protocol(flat, EvalSettings(protocol="1x1"))) == [0, 10, 20]
    assert evaluation_protocol(SLOWONLY, EvalSettings(sampler="uniform")).kind == "uniform"
    assert evaluation_protocol(dense, EvalSettings(sampler="clips")).kind == "clips"


@pytest.mark.parametrize(
    ("sampling", "settings", "sentence"),
    [
        (TSN, {"sampler": "dense", "clips": 25}, "eval.clips=25 is no multiple"),
        (SLOWONLY, {"sampler": "uniform", "sampling": "0.x"}, "a rule for the sampler clips"),
        (replace(SLOWONLY, target_fps=15.0), {"sampler": "dense"}, "knows no rate"),
    ],
)
def test_what_a_sampler_knows_nothing_of_is_refused(sampling, settings, sentence):
    with pytest.raises(UserError, match=sentence):
        evaluation_protocol(sampling, EvalSettings(**settings))
