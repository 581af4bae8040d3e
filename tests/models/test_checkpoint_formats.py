"""Every format gives the same weights, and what a file says of itself is kept."""

from __future__ import annotations

import hashlib
import re
import resource
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
import torchvision

from omnisrc.errors import UserError, WorldError
from omnisrc.models import create_model, fingerprint, load_checkpoint, load_model, read_meta, save_weights
from omnisrc.models.checkpoints import openmmlab
from omnisrc.models.checkpoints.mmaction2 import their_key
from omnisrc.models.released import RELEASED
from tests.models.networks import same, seasoned, views

State = dict[str, torch.Tensor]


def as_mmaction2(state: State) -> State:
    return {their_key(key): value for key, value in state.items()}


def as_mmaction(state: State) -> State:
    return {key.replace("trunk.", "backbone.").replace("head.fc", "cls_head.fc_cls"): v for key, v in state.items()}


def as_torchvision(state: State) -> State:
    return {key.removeprefix("trunk.").removeprefix("head."): value for key, value in state.items()}


def as_pytorchvideo(state: State) -> State:
    """Written from PyTorchVideo's module tree: stem, four stages of residual blocks, head."""
    renamed = {}
    for key, value in state.items():
        place = re.match(r"trunk\.layer(\d)\.(\d+)\.(\w+?)(\d?)\.(?:(\d)\.)?(\w+)$", key)
        if place is None:
            stem = key.replace("trunk.conv1", "blocks.0.conv").replace("trunk.bn1", "blocks.0.norm")
            renamed[stem.replace("head.fc", "blocks.5.proj")] = value
            continue
        stage, block, kind, number, part, what = place.groups()
        if kind == "downsample":
            name = "branch1_conv" if part == "0" else "branch1_norm"
        else:
            name = f"branch2.{'conv' if kind == 'conv' else 'norm'}_{'abc'[int(number) - 1]}"
        renamed[f"blocks.{stage}.res_blocks.{block}.{name}.{what}"] = value
    return renamed


@pytest.mark.parametrize(
    ("format", "name", "convert"),
    [
        ("mmaction2", "tsn_r18", as_mmaction2),
        ("mmaction2", "slowonly_r50", lambda state: {"meta": {"epoch": 3}, "state_dict": as_mmaction2(state)}),
        ("mmaction2", "tsn_r50", lambda s: {f"module.{key}": value for key, value in as_mmaction2(s).items()}),
        ("mmaction", "slowonly_r50", lambda state: {"state_dict": as_mmaction(state)}),
        ("torchvision", "tsn_r18", as_torchvision),
        ("torchvision", "tsn_r50", lambda state: {"model": as_torchvision(state), "epoch": 7}),
        ("pytorchvideo", "slowonly_r50", lambda state: {"model_state": as_pytorchvideo(state)}),
        ("omnisrc", "slowonly_r18", lambda s: {"state_dict": {f"module._orig_mod.{key}": s[key] for key in s}}),
    ],
)
@pytest.mark.parametrize("zip_file", [True, False], ids=["zip", "before-1.6"])
def test_a_format_gives_the_same_weights_and_the_model(
    format: str, name: str, convert: Callable[[State], Any], zip_file: bool, tmp_path: Path
) -> None:
    origin = seasoned(name)
    torch.save(convert(origin.state_dict()), tmp_path / "x.pth", _use_new_zipfile_serialization=zip_file)
    model = create_model(name, 5, width=4)
    report = load_checkpoint(model, tmp_path / "x.pth")
    assert same(model, origin)
    assert (report.format, report.missing, report.unexpected, report.left_out) == (format, (), (), ())
    assert report.sha256 == hashlib.sha256((tmp_path / "x.pth").read_bytes()).hexdigest()
    built, _ = load_model(tmp_path / "x.pth")
    assert (built.name, built.num_classes, dict(built.args)) == (name, 5, {"width": 4}) and same(built, origin)


def test_pytorchvideos_layout_has_its_published_size_and_scaling(tmp_path: Path) -> None:
    origin = seasoned("slowonly_r50")
    theirs = as_pytorchvideo(origin.state_dict())
    assert len(theirs) == 320
    known = {"blocks.0.norm.bias", "blocks.4.res_blocks.2.branch2.norm_c.running_var", "blocks.5.proj.bias"}
    assert known <= set(theirs)
    torch.save({"model_state": theirs}, tmp_path / "SLOW_8x8_R50.pyth")
    model, _ = load_model(tmp_path / "SLOW_8x8_R50.pyth")
    assert model.input.mean == pytest.approx((0.45 * 255,) * 3) and model.input.std == pytest.approx((0.225 * 255,) * 3)


@pytest.mark.parametrize("depth", [18, 50])
def test_torchvisions_networks_give_the_same_logits(depth: int, tmp_path: Path) -> None:
    theirs = getattr(torchvision.models, f"resnet{depth}")(weights=None).eval()
    torch.save(theirs.state_dict(), tmp_path / "imagenet.pth")
    model, report = load_model(tmp_path / "imagenet.pth")
    image = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.allclose(model.eval()(image[:, None, :, None]), theirs(image), rtol=1e-4, atol=1e-4)
    assert (model.name, model.num_classes, report.format) == (f"tsn_r{depth}", 1000, "torchvision")


def test_counters_of_norms_may_be_absent_and_buffers_of_the_loader_present(tmp_path: Path) -> None:
    origin = seasoned("tsn_r18")
    state = {key: value for key, value in origin.state_dict().items() if not key.endswith("num_batches_tracked")}
    scaling = {"data_preprocessor.mean": torch.zeros(3, 1, 1), "data_preprocessor.std": torch.ones(3, 1, 1)}
    torch.save({**as_mmaction2(state), **scaling}, tmp_path / "x.pth")
    model, report = load_model(tmp_path / "x.pth")
    assert report.missing == report.unexpected == () and same(model, origin)


def test_half_precision_files_are_widened(tmp_path: Path) -> None:
    origin = seasoned("tsn_r18").half()
    torch.save(as_mmaction2(origin.state_dict()), tmp_path / "x.pth")
    model, _ = load_model(tmp_path / "x.pth")
    assert model.head.fc.weight.dtype == torch.float32
    assert same(model.half(), origin)


def test_a_trunk_alone_starts_a_model_and_cannot_stand_for_one(tmp_path: Path) -> None:
    origin = seasoned("tsn_r18")
    trunk = {
        k.removeprefix("backbone."): v for k, v in as_mmaction2(origin.state_dict()).items() if "cls_head" not in k
    }
    torch.save(trunk, tmp_path / "backbone.pth")
    model = create_model("tsn_r18", 9, width=4)
    with pytest.raises(UserError, match=r"lacks head.fc.weight, head.fc.bias: it is a trunk alone, for --init"):
        load_checkpoint(model, tmp_path / "backbone.pth")
    report = load_checkpoint(model, tmp_path / "backbone.pth", strict=False)
    assert report.missing == ("head.fc.weight", "head.fc.bias")
    assert torch.equal(model.trunk.layer4[1].bn2.running_var, origin.trunk.layer4[1].bn2.running_var)
    with pytest.raises(UserError, match="fits no model known here, or has no head"):
        load_model(tmp_path / "backbone.pth")


def test_mmengines_training_logs_are_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    origin = seasoned("tsn_r18")
    with monkeypatch.context() as patch:
        module = ModuleType("mmengine.logging.history_buffer")
        for name in ("mmengine", "mmengine.logging"):
            patch.setitem(sys.modules, name, ModuleType(name))
        patch.setitem(sys.modules, module.__name__, module)
        HistoryBuffer = type("HistoryBuffer", (), {"__module__": module.__name__})
        module.HistoryBuffer = HistoryBuffer  # type: ignore[attr-defined]
        log = HistoryBuffer()
        log.__dict__ |= {"max_length": 10, "_log_history": np.arange(3.0), "_count_history": np.ones(3, int)}
        content = {
            "state_dict": as_mmaction2(origin.state_dict()),
            "message_hub": {"log_scalars": {"train/loss": log}, "runtime_info": {"best": np.float64(0.5)}},
            "meta": {"dataset_meta": {"classes": ["a", "b", "c", "d", "e"]}},
        }
        torch.save(content, tmp_path / "epoch_1.pth")
    assert "mmengine" not in sys.modules
    model, report = load_model(tmp_path / "epoch_1.pth")
    assert same(model, origin) and report.meta["classes"] == ["a", "b", "c", "d", "e"]


def test_our_file_brings_back_everything(tmp_path: Path) -> None:
    origin = seasoned("slowonly_r18", dropout=0.2)
    origin.input = replace(origin.input, mean=(1.0, 2.0, 3.0), std=(4.0, 5.0, 6.0), clip_len=4, frame_interval=16)
    path = tmp_path / "teacher.safetensors"
    given = {"class_list": "five", "classes": list("abcde"), "class_list_sha256": "0" * 64, "licence": "CC0-1.0"}
    written = save_weights(origin, path, given)
    assert written == fingerprint(path)
    model, report = load_model(path)
    assert same(model, origin) and model.input == origin.input
    assert (model.name, model.args) == ("slowonly_r18", {"width": 4, "dropout": 0.2})
    assert model.head.dropout.p == 0.2
    assert read_meta(path) == report.meta and given.items() <= report.meta.items()
    view = {"clip_len": 4, "frame_interval": 16, "num_segments": 1, "crop_size": 224, "short_side": 256}
    assert report.meta["sampling"] == view
    with torch.no_grad():
        clips = views(origin)
        assert torch.equal(model.eval()(clips), origin(clips))


def test_a_start_takes_the_scaling_but_not_the_sampling(tmp_path: Path) -> None:
    origin = seasoned("slowonly_r18", classes=3)
    origin.input = replace(origin.input, mean=(1.0, 2.0, 3.0), clip_len=4)
    save_weights(origin, tmp_path / "x.safetensors", {})
    model = create_model("slowonly_r18", 5, width=4)
    report = load_checkpoint(model, tmp_path / "x.safetensors", strict=False)
    assert report.left_out == ("head.fc.bias", "head.fc.weight")
    assert (model.input.mean, model.input.clip_len) == ((1.0, 2.0, 3.0), 8)


def test_equal_weights_are_equal_bytes(tmp_path: Path) -> None:
    model = seasoned("tsn_r18").to(memory_format=torch.channels_last)
    first = save_weights(model, tmp_path / "a.safetensors", {"x": 1, "y": 2})
    assert save_weights(model, tmp_path / "b.safetensors", {"y": 2, "x": 1}) == first
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["a.safetensors", "b.safetensors"]


def test_a_full_disk_leaves_the_older_file_and_no_litter(tmp_path: Path) -> None:
    model = seasoned("tsn_r18")
    path = tmp_path / "last.safetensors"
    before = save_weights(model, path, {})
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limit[1]))
    try:
        with pytest.raises(WorldError, match=r"last.safetensors could not be written: File too large"):
            save_weights(model, path, {"epoch": 2})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert fingerprint(path) == before and list(tmp_path.iterdir()) == [path]


def test_a_released_file_is_known_by_its_hash_and_others_by_their_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.save(as_mmaction2(seasoned("slowonly_r50").state_dict()), tmp_path / "slowonly_r50_4x16x1_256e_mine_rgb.pth")
    named = read_meta(tmp_path / "slowonly_r50_4x16x1_256e_mine_rgb.pth")
    assert named["sampling"] == {"clip_len": 4, "frame_interval": 16, "num_segments": 1}
    assert "class_list" not in named
    sha256 = fingerprint(tmp_path / "slowonly_r50_4x16x1_256e_mine_rgb.pth")
    monkeypatch.setattr(openmmlab, "RELEASED", (replace(RELEASED[0], sha256=sha256[:8]),))
    known = read_meta(tmp_path / "slowonly_r50_4x16x1_256e_mine_rgb.pth")
    assert (known["class_list"], known["licence"]) == ("kinetics400", "Apache-2.0")
    assert known["sampling"] == {"clip_len": 8, "frame_interval": 8, "num_segments": 1}
