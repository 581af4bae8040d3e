"""PySlowFast's MViTs answer here as there (written again in `pyslowfast_mvit`), and go back; others are refused."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from omnisrc.errors import UserError
from omnisrc.models import create_model, load_checkpoint, load_model, read_meta
from omnisrc.models.convert import convert
from tests.models.pyslowfast_mvit import MViT, Settings

CLASSES = 7
JOINT, APART = ({"MVIT": {"SEPARATE_QKV": value}} for value in (False, True))
SMALL = {"width": 16, "depth": 5, "widen_at": [1, 3, 4], "clip_len": 4, "crop_size": 32}
EARLIER = {"pool_eps": 1e-5}
Config = dict[str, Any]


def seasoned(of: Settings) -> MViT:
    """Every tensor is random; pooled values are so small that the eps of the norms behind them shows."""
    torch.manual_seed(0)
    network = MViT(CLASSES, of)
    with torch.no_grad():
        for key, value in network.named_parameters():
            norm = value.ndim == 1 and key.endswith("weight")
            deviation = 0.01 if ".pool_" in key else 1.5 / value.shape[-1] ** 0.5 if value.ndim == 2 else 0.3
            value.normal_(1.0 if norm else 0.0, 0.2 if norm else deviation)
    return network.eval()


def saved(state: dict[str, torch.Tensor], path: Path, config: Config | None = None) -> Path:
    torch.save({"epoch": 1, "model_state": state, **({"cfg": yaml.safe_dump(config)} if config else {})}, path)
    return path


# file, its config, the reference's settings, the model and its arguments
NETWORKS: list[tuple[str, Config | None, Settings, str, dict[str, Any]]] = [
    ("MVIT_B_4x4_CONV.pyth", None, Settings(kernel_where_unstrided=False, eps=1e-5),
     "mvit_v1_b", {**SMALL, **EARLIER, "pools": "strided"}),
    ("k400.pyth", None, Settings(kernel=0, eps=1e-5), "mvit_v1_b", {**SMALL, **EARLIER, "pools": "fitted"}),
    ("checkpoint_epoch_00200.pyth", JOINT, Settings(), "mvit_v1_b", SMALL),
    ("checkpoint_epoch_00100.pyth", APART, Settings(separate=True), "mvit_v1_b", SMALL),
    ("MViTv2_S_4x4_k400_f302660347.pyth", None, Settings(relative=True, in_attention=True), "mvit_v2_s", SMALL),
    ("MViTv2_L_8x3_k400.pyth", {"MVIT": {"RESIDUAL_POOLING": True}, "DATA": {"NUM_FRAMES": 8, "SAMPLING_RATE": 4}},
     Settings(relative=True, embed_dim=24, num_heads=2, depth=6, widen=(2, 4), frames=8, side=56), "mvit_v2_s",
     {"widen_attention": False, "width": 24, "num_heads": 2, "depth": 6, "widen_at": [2, 4], "clip_len": 8,
      "crop_size": 56}),
]  # fmt: skip


@pytest.mark.parametrize(("file", "config", "of", "name", "args"), NETWORKS)
def test_an_mvit_answers_as_in_pyslowfast_and_goes_back(
    file: str, config: Config | None, of: Settings, name: str, args: dict[str, Any], tmp_path: Path
) -> None:
    theirs = seasoned(of)
    path = saved(theirs.state_dict(), tmp_path / file, config)
    model, report = load_model(path)
    assert (model.name, model.args, report.format) == (name, args, "pyslowfast")
    assert report.missing == report.unexpected == ()
    assert (model.input.clip_len, model.input.frame_interval, model.input.crop_size) == (of.frames, 4, of.side)
    assert model.input.mean == (114.75,) * 3
    clips = torch.randn(2, 3, of.frames, of.side, of.side)
    with torch.no_grad():
        ours, wanted = model.eval()(clips[:, None]), theirs(clips)
    assert wanted.std() > 0.1 and (wanted[0] - wanted[1]).abs().max() > 0.01
    assert (ours - wanted).abs().max() < 1e-5
    back = convert(path, "pyslowfast", tmp_path / "back.pyth")[0]
    again, _ = load_model(back)
    assert again.args == args
    with torch.no_grad():
        assert torch.equal(again.eval()(clips[:, None]), ours)
    if not of.separate:
        written, origin = torch.load(back, weights_only=True)["model_state"], theirs.state_dict()
        assert written.keys() == origin.keys()
        assert all(torch.equal(written[key], origin[key]) for key in origin)


@pytest.mark.parametrize(("file", "of", "name"), [
    ("MVIT_B_16x4_CONV.pyth", Settings(kernel_where_unstrided=False, eps=1e-5), "mvit_v1_b"),
    ("MViTv2_S_16x4_k400_f302660347.pyth", Settings(relative=True, in_attention=True), "mvit_v2_s"),
])  # fmt: skip
@pytest.mark.slow
def test_an_mvit_of_the_published_size_answers_as_in_pyslowfast(
    file: str, of: Settings, name: str, tmp_path: Path
) -> None:
    theirs = seasoned(published(of))
    model, _ = load_model(saved(theirs.state_dict(), tmp_path / file))
    clips = torch.randn(1, 3, 16, 224, 224)
    with torch.no_grad():
        assert model.name == name and (model.eval()(clips[:, None]) - theirs(clips)).abs().max() < 1e-4


def published(of: Settings, depth: int = 16, widen: tuple[int, ...] = (1, 3, 14), frames: int = 16) -> Settings:
    return replace(of, embed_dim=96, depth=depth, widen=widen, frames=frames, side=224)


B = {"depth": 24, "widen_at": [2, 5, 21], "clip_len": 32}
L = {
    "widen_attention": False,
    "width": 144,
    "num_heads": 2,
    "depth": 48,
    "widen_at": [2, 8, 44],
    "clip_len": 40,
    "crop_size": 312,
}
# settings by configs/Kinetics; millions of parameters, of version 2 by projects/mvitv2; the model and its arguments
PUBLISHED: list[tuple[Settings, float, str, dict[str, Any]]] = [
    (published(Settings(kernel_where_unstrided=False)), 36.6, "mvit_v1_b", {**EARLIER, "pools": "strided"}),
    (published(Settings(), frames=32), 36.6, "mvit_v1_b", {**EARLIER, "clip_len": 32}),
    (published(Settings(kernel=0), 24, (2, 5, 21), 32), 53.1, "mvit_v1_b", {**EARLIER, **B, "pools": "fitted"}),
    (published(Settings(relative=True, in_attention=True)), 34.5, "mvit_v2_s", {}),
    (published(Settings(relative=True, in_attention=True), 24, (2, 5, 21), 32), 51.2, "mvit_v2_s", B),
    (Settings(True, 144, 2, 48, (2, 8, 44), 40, 312), 217.6, "mvit_v2_s", L),
]


@pytest.mark.parametrize(("of", "millions", "name", "args"), PUBLISHED)
def test_the_published_sizes_are_told_from_shapes(
    of: Settings, millions: float, name: str, args: dict[str, Any], tmp_path: Path
) -> None:
    with torch.device("meta"):
        theirs = MViT(400, of).state_dict()
        model = create_model(name, 400, **args)
    path = saved({key: torch.zeros(()).expand(value.shape) for key, value in theirs.items()}, tmp_path / "x.pyth")
    told = read_meta(path)
    assert (told["model"], told["model_args"], told["num_classes"]) == (name, args, 400)
    assert told["sampling"]["frame_interval"] == (4 if of.frames == 16 else 3)
    count = sum(value.numel() for value in theirs.values())
    assert count == sum(value.numel() for value in model.parameters())
    assert count / 1e6 == pytest.approx(millions, abs=0.15)


def test_a_tensor_of_another_shape_is_one_sentence(tmp_path: Path) -> None:
    state = seasoned(Settings()).state_dict()
    state["blocks.2.mlp.fc1.weight"] = torch.zeros(96, 32)
    path = saved(state, tmp_path / "x.pyth")
    with pytest.raises(UserError, match=r"its trunk\.blocks\.2\.mlp\.0\.weight is 96x32, the model's 128x32") as caught:
        load_model(path)
    assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match=r"does not fit mvit_v1_b: it lacks "):
        load_checkpoint(create_model("mvit_v1_b", CLASSES), path, strict=False)


def changed(state: dict[str, torch.Tensor], kind: str) -> dict[str, torch.Tensor]:
    ones = torch.ones(1, 129, 16)
    return {
        "rev": {f"rev_backbone.{key}": value for key, value in state.items()} | {"patch_embed.proj.weight": ones},
        "image": {**state, "patch_embed.proj.weight": state["patch_embed.proj.weight"][:, :, 0]},
        "token": {key: value for key, value in state.items() if "cls" not in key and "class" not in key},
        "joint": {key: value for key, value in state.items() if "pos_embed" not in key} | {"pos_embed": ones},
        "max": {key: value for key, value in state.items() if ".pool_" not in key and ".norm_" not in key},
    }.get(kind, state)


@pytest.mark.parametrize(
    ("kind", "config", "said"),
    [
        ("rev", {}, "with reversible blocks"),
        ("image", {}, "for images"),
        ("token", {}, "without a class token"),
        ("joint", {}, "with one position for each place of a clip"),
        ("max", {}, "that pools without convolutions"),
        ("apart", {"MVIT": {"POOL_FIRST": False}}, "with a layer each for queries, keys and values"),
        ("whole", {"MVIT": {"POOL_FIRST": True}}, "made with MVIT.POOL_FIRST: True"),
        ("whole", {"MVIT": {"USE_MEAN_POOLING": True}}, "made with MVIT.USE_MEAN_POOLING: True"),
        (
            "whole",
            {"MVIT": {"POOL_KV_STRIDE_ADAPTIVE": [1, 4, 4]}},
            "made with MVIT.POOL_KV_STRIDE_ADAPTIVE: [1, 4, 4]",
        ),
        ("whole", {"MVIT": {"RESIDUAL_POOLING": True}}, "made with MVIT.RESIDUAL_POOLING: True"),
        ("whole", {"DETECTION": {"ENABLE": True}}, "made with DETECTION.ENABLE: True"),
    ],
)
def test_another_mvit_is_refused_in_a_sentence_that_says_what_is_read(
    kind: str, config: Config, said: str, tmp_path: Path
) -> None:
    state = changed(seasoned(Settings(separate=kind == "apart")).state_dict(), kind)
    sentence = (
        rf"holds an MViT of PySlowFast {re.escape(said)}.*: of its MViTs those are read .* as MViT-B and MViTv2-S do"
    )
    with pytest.raises(UserError, match=sentence):
        load_model(saved(state, tmp_path / "x.pyth", config))


def test_a_part_of_an_mvit_is_one_sentence(tmp_path: Path) -> None:
    state = seasoned(Settings()).state_dict()
    part = {key: state[key] for key in state if not key.startswith(("pos_embed", "head."))}
    with pytest.raises(UserError, match=r"holds but a part of a pyslowfast network .*: fetch it whole"):
        load_model(saved(part, tmp_path / "x.pyth"))


@pytest.mark.parametrize("args", [{"widen_at": [0]}, {"width": 5, "num_heads": 2}, {"pools": "max"}, {"clip_len": 3}])
def test_what_makes_no_mvit_is_one_sentence(args: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=r"there is no MViT of width"):
        create_model("mvit_v1_b", 5, **args)


@pytest.mark.parametrize("name", ["num_heads", "clip_len", "crop_size"])
def test_nothing_is_no_size(name: str) -> None:
    with pytest.raises(UserError, match="there is no MViT"):
        create_model("mvit_v1_b", 5, **{name: 0})
