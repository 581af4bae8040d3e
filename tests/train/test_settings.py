import pytest

from omnisrc import config
from omnisrc.errors import UserError
from omnisrc.train.settings import TrainSettings, batch_sizes, loss_weights, parse_mix


def test_web_means_both_web_sources_at_half_the_target_each():
    mix = parse_mix("web,target")
    assert mix == {"target": 2.0, "web-image": 1.0, "web-clip": 1.0}
    assert list(mix) == ["target", "web-image", "web-clip"]
    assert batch_sizes(12, mix) == {"target": 12, "web-image": 6, "web-clip": 6}


def test_ratios_come_from_the_mix_then_the_settings():
    assert parse_mix("target:1,web:1") == {"target": 1.0, "web-image": 1.0, "web-clip": 1.0}
    assert parse_mix("web-clip,target", {"web": 3, "target": 4}) == {"target": 4.0, "web-clip": 3.0}
    assert parse_mix("web-clip:0.5,target", {"web": 3}) == {"target": 2.0, "web-clip": 0.5}
    assert batch_sizes(16, parse_mix("web-image")) == {"web-image": 16}
    assert batch_sizes(16, parse_mix("web-image:1,web-clip:3")) == {"web-image": 16, "web-clip": 48}


@pytest.mark.parametrize(
    ("mix", "sentence"),
    [
        ("targt", "Did you mean target"),
        ("web,web-image", "twice"),
        ("target,target", "twice"),
        ("target:0", "above 0"),
        ("target:x", "above 0"),
        ("target:inf", "above 0"),
        ("target:nan", "above 0"),
        (",", "names no source"),
    ],
)
def test_impossible_mixes_are_refused(mix, sentence):
    with pytest.raises(UserError, match=sentence):
        parse_mix(mix)


def test_a_ratio_that_leaves_a_source_empty_is_refused():
    with pytest.raises(UserError, match="leaves none of web-image"):
        batch_sizes(4, parse_mix("target:10,web-image:1"))


def test_loss_weights_are_one_unless_named():
    settings = config.build(TrainSettings, {"loss_weights": {"web": 0.5, "web-clip": 0.25}})
    assert loss_weights(settings, ("target", "web-image", "web-clip")) == {
        "target": 1.0, "web-image": 0.5, "web-clip": 0.25
    }  # fmt: skip


@pytest.mark.parametrize(
    "values",
    [
        {"lr": 0}, {"batch_size": 0}, {"flip": 1.5}, {"steps": -1}, {"epochs": 0}, {"crop_area": [0.5, 0.2]},
        {"ratios": {"targt": 1}}, {"ratios": {"target": 0}}, {"loss_weights": {"web": -1}}, {"schedule": "linear"},
        {"warp": {"mean": 3, "sigma": 1}}, {"learning_rate": 1}, {"mixup": "yes"}, {"crop_size": "large"},
    ],
)  # fmt: skip
def test_settings_that_make_no_sense_are_refused(values):
    with pytest.raises(UserError):
        config.build(TrainSettings, values, "train")
