"""Files with two sets of weights, wrappers, other trainers' names and settings: what is taken, and what is said."""

from __future__ import annotations

import io
import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from omnisrc.errors import UserError
from omnisrc.models import create_model, load_checkpoint, load_model, save_weights
from omnisrc.models.convert import convert, names_in
from tests.models.networks import same, seasoned, views

State = dict[str, torch.Tensor]


def mmaction2(state: State) -> State:
    names = names_in("mmaction2", "slowonly_r50" if state["trunk.conv1.weight"].ndim == 5 else "tsn_r50", list(state))
    return {names[key]: value for key, value in state.items()}


def prefixed(prefix: str, state: State) -> State:
    return {f"{prefix}{key}": value for key, value in state.items()}


STEPS = {"steps": torch.tensor(7)}
TWO_SETS: dict[str, tuple[Any, bool]] = {
    "timm": (lambda plain, mean: {"state_dict": plain, "state_dict_ema": mean}, True),
    "torchvision": (lambda plain, mean: {"model": plain, "model_ema": prefixed("module.", mean)}, True),
    "pyslowfast": (lambda plain, mean: {"model_state": plain, "ema_state": mean}, True),
    # MMEngine's hook exchanges the two as it saves: the average is for use, under `state_dict`.
    "mmengine": (lambda plain, mean: {"state_dict": mean, "ema_state_dict": prefixed("module.", plain) | STEPS}, True),
}


@pytest.mark.parametrize("kind", TWO_SETS)
def test_of_weights_and_their_average_the_one_is_taken_that_is_asked_for(kind: str, tmp_path: Path) -> None:
    plain, mean = seasoned("tsn_r18"), seasoned("tsn_r18")
    write, _ = TWO_SETS[kind]
    torch.save(write(mmaction2(plain.state_dict()), mmaction2(mean.state_dict())), tmp_path / "x.pth")
    for averaged, origin, word in ((True, mean, "averaged"), (False, plain, "trained")):
        model, report = load_model(tmp_path / "x.pth", averaged=averaged)
        assert same(model, origin) and f"the {word} weights (" in str(report)


def test_an_average_alone_is_taken_and_said(tmp_path: Path) -> None:
    origin = seasoned("tsn_r18")
    torch.save({"state_dict_ema": mmaction2(origin.state_dict())}, tmp_path / "x.pth")
    model, report = load_model(tmp_path / "x.pth", averaged=False)
    assert same(model, origin) and "these are averaged weights (state_dict_ema)" in str(report)


@pytest.mark.parametrize("prefix", ["module.module.module.", "module._orig_mod.model.", "model.module._orig_mod."])
def test_three_prefixes_are_taken_off_and_said(prefix: str, tmp_path: Path) -> None:
    origin = seasoned("slowonly_r18")
    torch.save({"state_dict": prefixed(prefix, mmaction2(origin.state_dict()))}, tmp_path / "x.pth")
    model, report = load_model(tmp_path / "x.pth")
    assert same(model, origin) and f"the prefix {prefix} was taken off" in str(report)


def test_of_a_lightning_file_the_network_is_taken(tmp_path: Path) -> None:
    origin = seasoned("tsn_r18")
    state = prefixed("model.", mmaction2(origin.state_dict())) | {"criterion.weight": torch.ones(5)}
    torch.save({"state_dict": state, "pytorch-lightning_version": "2.5.0", "callbacks": {}}, tmp_path / "x.ckpt")
    model, _ = load_model(tmp_path / "x.ckpt")
    assert same(model, origin)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_narrow_weights_are_widened_and_said(dtype: torch.dtype, tmp_path: Path) -> None:
    origin = seasoned("tsn_r18").to(dtype)
    torch.save(mmaction2(origin.state_dict()), tmp_path / "x.pth")
    model, report = load_model(tmp_path / "x.pth")
    assert model.head.fc.weight.dtype is torch.float32 and same(model.to(dtype), origin)
    assert f"{str(dtype).removeprefix('torch.')} weights, held as the model's float32" in str(report)


def as_pyslowfast(state: State) -> State:
    """Written from PySlowFast's module tree: s1 to s5 of pathway 0, blocks with lettered convolutions, head."""
    renamed = {}
    for key, value in state.items():
        place = re.match(r"trunk\.layer(\d)\.(\d+)\.(\w+?)(\d?)\.(?:(\d)\.)?(\w+)$", key)
        if place is None:
            stem = key.replace("trunk.conv1", "s1.pathway0_stem.conv").replace("trunk.bn1", "s1.pathway0_stem.bn")
            renamed[stem.replace("head.fc", "head.projection")] = value
            continue
        stage, block, kind, number, part, what = place.groups()
        if kind == "downsample":
            name = "branch1" if part == "0" else "branch1_bn"
        else:
            name = f"branch2.{'abc'[int(number) - 1]}{'_bn' if kind == 'bn' else ''}"
        renamed[f"s{int(stage) + 1}.pathway0_res{block}.{name}.{what}"] = value
    return renamed


CONFIG = {
    "DATA": {"MEAN": [0.4, 0.45, 0.5], "STD": [0.2, 0.225, 0.25], "NUM_FRAMES": 4, "SAMPLING_RATE": 16},
    "MODEL": {"ARCH": "slow"},
}


def test_pyslowfasts_file_and_its_settings_are_read(tmp_path: Path) -> None:
    origin = seasoned("slowonly_r50")
    content = {"epoch": 3, "model_state": as_pyslowfast(origin.state_dict()), "cfg": yaml.safe_dump(CONFIG)}
    known = {"s1.pathway0_stem.bn.bias", "s5.pathway0_res2.branch2.c_bn.running_var", "s2.pathway0_res0.branch1.weight"}
    assert known <= set(content["model_state"])
    torch.save(content, tmp_path / "checkpoint_epoch_00003.pyth")
    model, report = load_model(tmp_path / "checkpoint_epoch_00003.pyth")
    assert same(model, origin) and report.format == "pyslowfast"
    assert model.input.mean == pytest.approx((102, 114.75, 127.5)) and model.input.clip_len == 4
    assert (model.input.frame_interval, model.name) == (16, "slowonly_r50")


def test_a_pickled_config_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Older files hold fvcore's CfgNode, a dict with code behind it: it is read as nothing."""
    import sys
    from types import ModuleType

    origin = seasoned("slowonly_r50")
    with monkeypatch.context() as patch:
        for name in ("fvcore", "fvcore.common", "fvcore.common.config"):
            patch.setitem(sys.modules, name, ModuleType(name))
        CfgNode = type("CfgNode", (dict,), {"__module__": "fvcore.common.config"})
        sys.modules["fvcore.common.config"].CfgNode = CfgNode  # type: ignore[attr-defined]
        config = CfgNode(DATA=CfgNode(NUM_FRAMES=8))
        config.__dict__["__immutable__"] = True
        torch.save({"model_state": as_pyslowfast(origin.state_dict()), "cfg": config}, tmp_path / "x.pyth")
    model, _ = load_model(tmp_path / "x.pyth")
    assert same(model, origin) and "fvcore" not in sys.modules


def mmaction2_config(order: str, eps: str = "") -> str:
    return f"""img_norm_cfg = dict(mean=[104.0, 117.0, 128.0], std=[1.0, 2.0, 4.0], {order})
model = dict(backbone=dict(type='ResNet3dSlowOnly', norm_cfg=dict(type='BN3d', requires_grad=True{eps})))
pipeline = [dict(type='SampleFrames', clip_len=4, frame_interval=16, num_clips=1), __import__('os').abort()]
"""


def test_bgr_networks_become_rgb_ones_with_the_same_outputs(tmp_path: Path) -> None:
    origin = seasoned("slowonly_r50")
    config = mmaction2_config("to_bgr=True", ", eps=1e-3")
    torch.save({"meta": {"config": config}, "state_dict": mmaction2(origin.state_dict())}, tmp_path / "x.pth")
    model, report = load_model(tmp_path / "x.pth")
    assert model.input.mean == (128.0, 117.0, 104.0) and model.input.std == (4.0, 2.0, 1.0)
    assert model.input.clip_len == 4 and "BGR" in str(report) and "eps 0.001, not 1e-05" in str(report)
    frames = views(origin) * 20
    for norm in origin.modules():
        if isinstance(norm, torch.nn.BatchNorm3d):
            norm.eps = 1e-3
    with torch.no_grad():
        assert torch.allclose(model.eval()(frames.flip(2)), origin(frames), atol=1e-5)


@pytest.mark.parametrize("text", [mmaction2_config("to_bgr=False"), "mean=[1, 2, 3], std=[4, 5, 6], mean=[7, 8, 9]"])
def test_settings_are_read_as_text_and_only_where_they_say_one_thing(text: str, tmp_path: Path) -> None:
    torch.save(
        {"meta": {"cfg": text}, "state_dict": mmaction2(seasoned("slowonly_r50").state_dict())}, tmp_path / "x.pth"
    )
    model, report = load_model(tmp_path / "x.pth")
    assert model.input.mean == ((104.0, 117.0, 128.0) if "img_norm" in text else (123.675, 116.28, 103.53))
    assert "BGR" not in str(report)


def test_eps_travels_with_our_files(tmp_path: Path) -> None:
    origin = seasoned("tsn_r18")
    for module in origin.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eps = 1e-3
    save_weights(origin, tmp_path / "x.safetensors", {})
    model, report = load_model(tmp_path / "x.safetensors")
    frames = views(origin)
    with torch.no_grad():
        assert torch.equal(model.eval()(frames), origin(frames)) and report.meta["bn_eps"] == 1e-3
    save_weights(origin, tmp_path / "y.safetensors", {"bn_eps": "small"})
    with pytest.raises(UserError, match="damaged metadata"):
        load_model(tmp_path / "y.safetensors")


@pytest.mark.parametrize(
    ("theirs", "sentence"),
    [
        ("abdce", "the same names in another order, first at 2: `d` there, `c` here"),
        ("abcdx", "`x` is only there and `e` is only here"),
    ],
)
def test_other_classes_are_named_and_a_start_leaves_their_head(theirs: str, sentence: str, tmp_path: Path) -> None:
    origin = seasoned("tsn_r18")
    save_weights(origin, tmp_path / "x.safetensors", {"classes": list(theirs)})
    model = create_model("tsn_r18", 5, width=4)
    before = model.head.fc.weight.clone()
    with pytest.raises(UserError, match=re.escape(sentence)):
        load_checkpoint(model, tmp_path / "x.safetensors", classes="abcde")
    assert torch.equal(model.head.fc.weight, before)
    report = load_checkpoint(model, tmp_path / "x.safetensors", strict=False, classes="abcde")
    assert set(report.left_out) == {"head.fc.weight", "head.fc.bias"} and sentence in str(report)
    assert torch.equal(model.head.fc.weight, before)
    assert torch.equal(model.trunk.conv1.weight, origin.trunk.conv1.weight)
    assert not load_checkpoint(model, tmp_path / "x.safetensors", strict=False, classes=theirs).left_out


def test_a_file_of_an_object_array_is_no_way_in(tmp_path: Path) -> None:
    stream = io.BytesIO()
    pickle.dump({"blobs": {"conv1_w": np.array([{"a": 1}], dtype=object), "pred_w": np.ones(2)}}, stream, 2)
    (tmp_path / "x.pkl").write_bytes(stream.getvalue())
    with pytest.raises(UserError, match="unknown kind"):
        convert(tmp_path / "x.pkl", "safetensors")
