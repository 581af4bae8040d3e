"""`omnisrc train --model X`, and `omnisrc eval` after it, with one model of each kind."""

from __future__ import annotations

import pytest

from tests.cli.test_train import omnisrc, world  # noqa: F401  (a fixture)

SMALL = ["train.batch_size=4", "train.threads=1", "train.device=cpu", "train.eval_every=2", "train.lr=0.005"]
TINY = ["train.crop_size=32", "train.clip_len=4", "train.frame_interval=2"]
SCORED = ["eval.clips=1", "eval.crops=1", "eval.device=cpu"]

# name: settings
KINDS = {
    "x3d_xs": [*TINY, "train.model_args={width: 8}"],
    "c3d": ["train.model_args={width: 2}"],
    "latefusion_r18": [*TINY, "train.clip_len=1", "train.model_args={width: 8}"],
    "lrcn_r18": [*TINY, "train.model_args={width: 8}"],
    "trn_r18": [*TINY, "train.model_args={width: 8, frames: 4}"],
    "tsn_torchvision.mobilenet_v3_small": [*TINY, "train.clip_len=1"],
    "tsn_timm.test_resnet": [*TINY, "train.clip_len=1"],
    "r3d_18": TINY,
    "swin3d_t": TINY,
}


def trained(capsys, study, name, sets):
    return omnisrc(
        capsys, study, "train", "--mix", "target", "--steps", "2", "--name", "one", "--model", name,
        sets=[*SMALL, *sets],
    )  # fmt: skip


def test_a_2d_trunk_of_its_own_is_trained_and_scored(world, capsys):  # noqa: F811
    code, _, said = trained(
        capsys, world, "tsn_bninception", [*TINY, "train.clip_len=1", "train.model_args={width: 8}"]
    )
    assert code == 0, said
    code, scored, said = omnisrc(capsys, world, "eval", "--run", "one", "--split", "test", sets=SCORED)
    assert code == 0 and scored["samples"] == 5, said


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_each_kind_is_trained_and_scored(name, world, capsys):  # noqa: F811
    code, _, said = trained(capsys, world, name, KINDS[name])
    assert code == 0, said
    code, scored, said = omnisrc(capsys, world, "eval", "--run", "one", "--split", "test", sets=SCORED)
    assert code == 0 and scored["samples"] == 5, said


def test_a_size_that_a_network_cannot_take_is_said_before_training(world, capsys):  # noqa: F811
    code, _, said = trained(capsys, world, "c3d", ["train.crop_size=32", "train.model_args={width: 2}"])
    assert code == 2
    assert "c3d takes clips of 16 frames of 112 x 112 pixels and no others, not 16 of 32 x 32" in said
