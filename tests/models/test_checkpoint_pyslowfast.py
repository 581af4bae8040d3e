"""PySlowFast's files answer here as its networks do (written again in `pyslowfast_networks`), and go back."""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from torch import nn

from omnisrc.errors import UserError
from omnisrc.models import load_model
from omnisrc.models.convert import convert
from tests.models.pyslowfast_networks import I3D, X3D, SlowFast

CLASSES = 7


def seasoned(network: nn.Module) -> nn.Module:
    """Norms with statistics and gammas as after training, biases too."""
    torch.manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm3d):
            module.running_var.uniform_(0.5, 1.5)
            module.running_mean.normal_(0, 0.1)
            nn.init.normal_(module.weight, 0.9, 0.1)
            nn.init.normal_(module.bias, 0, 0.1)
    return network.eval()


def saved(network: nn.Module, path: Path, **config: dict[str, Any]) -> Path:
    torch.save({"epoch": 1, "model_state": network.state_dict(), "cfg": yaml.safe_dump(config)}, path)
    return path


def clip(frames: int, side: int = 64) -> torch.Tensor:
    return torch.randn(2, 3, frames, side, side, generator=torch.Generator().manual_seed(1))


def alike(ours: torch.Tensor, theirs: torch.Tensor) -> bool:
    assert theirs.std() > 0.01
    return torch.allclose(ours, theirs, atol=1e-5, rtol=1e-5)


# file, its config, the reference's arguments, the slow pathway's frames of 32, the model and its arguments
TWO_PATHWAYS: list[tuple[str, dict[str, Any], dict[str, Any], list[int], str, dict[str, Any]]] = [
    ("SLOWFAST_8x8_R50.pyth", {}, {"depth": 50, "alpha": 4, "kernel": 7}, [0, 4, 8, 13, 17, 22, 26, 31],
     "slowfast_r50", {"alpha": 4, "lateral_kernel": 7, "width": 16}),
    ("SLOWFAST_4x16_R50.pyth", {}, {"depth": 50, "alpha": 8, "kernel": 5}, [0, 10, 20, 31],
     "slowfast_r50", {"alpha": 8, "lateral_kernel": 5, "width": 16}),
    ("checkpoint_epoch_00196.pyth", {"SLOWFAST": {"ALPHA": 8}, "DATA": {"NUM_FRAMES": 32, "SAMPLING_RATE": 2}},
     {"depth": 50, "alpha": 8, "kernel": 7}, [0, 10, 20, 31],
     "slowfast_r50", {"alpha": 8, "lateral_kernel": 7, "width": 16}),
    ("SLOWFAST_8x8_R101_101_101.pyth", {}, {"depth": 101, "alpha": 4, "kernel": 5}, [0, 4, 8, 13, 17, 22, 26, 31],
     "slowfast_r101", {"alpha": 4, "lateral_kernel": 5, "width": 16}),
    ("SLOWFAST_8x8_R101_50_101.pyth", {}, {"depth": 101, "alpha": 4, "kernel": 5, "timed": (6, 23)},
     [0, 4, 8, 13, 17, 22, 26, 31],
     "slowfast_r101", {"alpha": 4, "lateral_kernel": 5, "width": 16, "slow_timed": 6}),
    ("SLOWFAST_8x8_R101_50_50.pyth", {}, {"depth": 101, "alpha": 4, "kernel": 5, "timed": (6, 6)},
     [0, 4, 8, 13, 17, 22, 26, 31],
     "slowfast_r101", {"alpha": 4, "lateral_kernel": 5, "width": 16, "slow_timed": 6, "fast_timed": 6}),
]  # fmt: skip


@pytest.mark.parametrize(("file", "config", "made", "slow", "name", "args"), TWO_PATHWAYS)
def test_both_pathways_answer_as_in_pyslowfast_and_go_back(
    file: str, config: dict[str, Any], made: dict[str, Any], slow: list[int], name: str, args: dict[str, Any],
    tmp_path: Path,
) -> None:  # fmt: skip
    theirs = seasoned(SlowFast(classes=CLASSES, **made))
    path = saved(theirs, tmp_path / file, **config)
    model, report = load_model(path)
    assert (model.name, model.args, report.format) == (name, args, "pyslowfast")
    assert (model.input.clip_len, model.input.frame_interval) == (32, 2)
    assert model.input.mean == (114.75,) * 3 and report.missing == report.unexpected == ()
    frames = clip(32)
    with torch.no_grad():
        assert alike(model.eval()(frames[:, None]), theirs([frames[:, :, slow], frames]))
    back = torch.load(convert(path, "pyslowfast", tmp_path / "back.pyth")[0], weights_only=True)
    assert_equal(back["model_state"], theirs.state_dict())
    assert yaml.safe_load(back["cfg"])["SLOWFAST"] == {"ALPHA": args["alpha"]}


def assert_equal(written: dict[str, torch.Tensor], origin: dict[str, torch.Tensor]) -> None:
    assert written.keys() == origin.keys()
    assert all(torch.equal(written[key], origin[key]) for key in origin)


def test_a_name_of_16x8_is_64_frames(tmp_path: Path) -> None:
    path = saved(SlowFast(50, CLASSES, 4, 5), tmp_path / "SLOWFAST_16x8_R50.pyth")
    spec = load_model(path)[0].input
    assert (spec.clip_len, spec.frame_interval) == (64, 2)


@pytest.mark.parametrize(("file", "pooled"), [("I3D_8x8_R50.pyth", True), ("I3D_NOPOOL_8x8_R50.pyth", False)])
def test_i3d_keeps_its_frames_in_the_stem_and_without_pooling_everywhere(
    file: str, pooled: bool, tmp_path: Path
) -> None:
    theirs = seasoned(I3D(CLASSES, pooled))
    path = saved(theirs, tmp_path / file)
    model, _ = load_model(path)
    assert model.args == {"width": 16, "stem_stride": 1} | ({} if pooled else {"halve": False})
    frames = clip(8)
    with torch.no_grad():
        assert alike(model.eval()(frames[:, None]), theirs(frames))
    back = torch.load(convert(path, "pyslowfast", tmp_path / "back.pyth")[0], weights_only=True)
    assert_equal(back["model_state"], theirs.state_dict())
    assert load_model(tmp_path / "back.pyth")[0].args == model.args


@pytest.mark.parametrize(("kind", "name"), [("softmax", "i3d_nl_embedded"), ("dot_product", "i3d_nl_dot")])
def test_non_local_blocks_answer_as_in_pyslowfast(kind: str, name: str, tmp_path: Path) -> None:
    theirs = seasoned(I3D(CLASSES, nonlocals=kind))
    path = saved(theirs, tmp_path / "I3D_NLN_8x8_R50.pyth", NONLOCAL={"INSTANTIATION": kind})
    model, _ = load_model(path)
    assert model.name == name and model.args == {"width": 16, "stem_stride": 1, "pool_first": True}
    frames = clip(8)
    with torch.no_grad():
        assert alike(model.eval()(frames[:, None]), theirs(frames))
    with pytest.raises(UserError, match="no names in PySlowFast's layout"):
        convert(path, "pyslowfast", tmp_path / "back.pyth")


def test_x3d_answers_as_in_pyslowfast_and_goes_back(tmp_path: Path) -> None:
    theirs = seasoned(X3D(CLASSES))
    assert sum(each.numel() for each in X3D(400).parameters()) == 3_794_322  # MMAction2's count of the same weights
    path = saved(theirs, tmp_path / "x3d_m.pyth")
    model, _ = load_model(path)
    assert (model.name, model.args) == ("x3d_m", {"short_cut_norm": True})
    frames = clip(4)
    with torch.no_grad():
        assert alike(model.eval()(frames[:, None]), theirs(frames))
    back = torch.load(convert(path, "pyslowfast", tmp_path / "x3d_m-back.pyth")[0], weights_only=True)
    assert_equal(back["model_state"], theirs.state_dict())


def as_blobs(state: dict[str, torch.Tensor]) -> dict[str, np.ndarray]:
    """Caffe2's names, as PySlowFast's converter (utils/c2_model_loading) reads them."""
    parts = {"weight": "s", "bias": "b", "running_mean": "rm", "running_var": "riv"}
    last = {2: 2, 3: 3, 4: 5}
    blobs = {}
    for key, value in state.items():
        module, _, what = key.rpartition(".")
        if what == "num_batches_tracked":
            continue
        for pattern, replacement in (
            (r"^s1_fuse\.conv_f2s", "t_pool1_subsample"),
            (r"^s1_fuse\.bn", "t_pool1_subsample_bn"),
            (r"^s(\d)_fuse\.conv_f2s", lambda found: f"t_res{found[1]}_{last[int(found[1])]}_branch2c_bn_subsample"),
            (r"^s(\d)_fuse\.bn", lambda found: f"t_res{found[1]}_{last[int(found[1])]}_branch2c_bn_subsample_bn"),
            (r"^s1\.pathway0_stem\.conv", "conv1"),
            (r"^s1\.pathway1_stem\.conv", "t_conv1"),
            (r"^s1\.pathway0_stem\.bn", "res_conv1_bn"),
            (r"^s1\.pathway1_stem\.bn", "t_res_conv1_bn"),
            (r"^s(\d)\.pathway0_nonlocal(\d)\.norm", r"nonlocal_conv\1_\2_bn"),
            (r"^s(\d)\.pathway0_nonlocal(\d)\.conv_", r"nonlocal_conv\1_\2_"),
            (r"^s(\d)\.pathway0_res(\d+)\.", r"res\1_\2_"),
            (r"^s(\d)\.pathway1_res(\d+)\.", r"t_res\1_\2_"),
            (r"branch2\.", "branch2"),
            (r"^head\.projection", "pred"),
        ):
            module = re.sub(pattern, replacement, module)
        norm = module.endswith("_bn")
        blobs[f"{module}_{parts[what] if norm else what[0]}"] = value.numpy()
    return blobs


@pytest.mark.parametrize(
    ("file", "made"),
    [
        ("SLOWFAST_4x16_R50.pkl", partial(SlowFast, 50, CLASSES, 8, 5)),
        ("I3D_NLN_8x8_R50.pkl", partial(I3D, CLASSES, nonlocals="softmax")),
    ],
)
def test_pickled_blobs_are_refused_and_their_arrays_converted(
    file: str, made: Callable[[], nn.Module], tmp_path: Path
) -> None:
    theirs, path = seasoned(made()), tmp_path / file
    blobs: dict[str, Any] = {**as_blobs(theirs.state_dict()), "lr": np.ones(1), "conv1_w_momentum": np.ones(3)}
    assert {"conv1_w", "res_conv1_bn_riv", "res5_2_branch2c_bn_s", "res2_0_branch1_w", "pred_b"} <= set(blobs)
    path.write_bytes(pickle.dumps({"blobs": blobs}, protocol=2))
    with pytest.raises(UserError, match=f"is a pickle.*`omnisrc models convert {path} --to safetensors`"):
        load_model(path)
    made, _ = convert(path, "safetensors")
    model, _ = load_model(made)
    frames = clip(32 if "FAST" in file else 8)
    clips = [frames[:, :, [0, 10, 20, 31]], frames] if "FAST" in file else frames
    with torch.no_grad():
        assert alike(model.eval()(frames[:, None]), theirs(clips))


def test_a_blob_that_is_code_does_not_run_even_where_it_is_converted(tmp_path: Path) -> None:
    ran = tmp_path / "ran"

    class Code:
        def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
            return ran.touch, ()

    (tmp_path / "code.pkl").write_bytes(pickle.dumps({"blobs": {"conv1_w": np.ones(3), "pred_w": Code()}}, protocol=2))
    with pytest.raises(UserError, match="holds pickled code"):
        convert(tmp_path / "code.pkl", "safetensors")
    assert not ran.exists()


def test_a_part_of_a_network_is_one_sentence(tmp_path: Path) -> None:
    whole = SlowFast(50, CLASSES, 8, 5).state_dict()
    torch.save({"model_state": {key: whole[key] for key in list(whole)[:9]}}, tmp_path / "x.pyth")
    with pytest.raises(UserError, match=r"holds but a part of a pyslowfast network.*fetch it whole"):
        load_model(tmp_path / "x.pyth")
