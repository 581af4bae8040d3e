"""PyTorchVideo's MViT answers here as there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from omnisrc.errors import UserError
from omnisrc.models import create_model, load_model
from omnisrc.models.convert import convert
from tests.models.goldens import fill, noise

AXES = {"cls_token": (1, 1), "pos_embed_class": (1, 1), "pos_embed_spatial": (1,), "pos_embed_temporal": (1,)}
NAMES = (
    (r"^trunk\.conv_proj\.", "patch_embed.patch_model."),
    (r"^trunk\.norm\.", "norm_embed."),
    (r"^head\.fc\.", "head.proj."),
    (r"^trunk\.pos_encoding\.class_token$", "cls_positional_encoding.cls_token"),
    (r"^trunk\.pos_encoding\.(\w+)_pos$", r"cls_positional_encoding.pos_embed_\1"),
    (r"^trunk\.", ""),
    (r"\.attn\.project\.0\.", ".attn.proj."),
    (r"\.attn\.pool_(.)\.pool\.", r".attn.pool_\1."),
    (r"\.attn\.pool_(.)\.norm_act\.0\.", r".attn.norm_\1."),
    (r"\.mlp\.0\.", ".mlp.fc1."),
    (r"\.mlp\.3\.", ".mlp.fc2."),
    (r"\.project\.", ".proj."),
)
"""Its modules, by the origin's models/vision_transformers and layers/attention."""


def as_pytorchvideo(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Under its names, empty: queries, keys and values have layers of their own there."""
    theirs = {}
    for key, value in state.items():
        for pattern, replacement in NAMES:
            key = re.sub(pattern, replacement, key)
        if ".qkv." in key:
            for part in "qkv":
                theirs[key.replace(".qkv.", f".{part}.")] = torch.empty(len(value) // 3, *value.shape[1:])
            continue
        axes = AXES.get(key.removeprefix("cls_positional_encoding."), ())
        theirs[key] = torch.empty(*axes, *value.shape)
    return theirs


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with torch.device("meta"):
        state = create_model("mvit_v1_b", 400).state_dict()
    theirs = {key: value.double() for key, value in as_pytorchvideo(state).items()}
    fill(theirs)
    path = tmp_path_factory.mktemp("mvit") / "MVIT_B_16x4.pyth"
    torch.save({"model_state": theirs}, path)
    return path


def test_outputs_are_pytorchvideos(file: Path) -> None:
    """Of PyTorchVideo 0.1.5 in float64: logits[0, :4], argmax, mean and deviation."""
    model, report = load_model(file)
    assert (model.name, model.args, report.format) == ("mvit_v1_b", {"pool_eps": 1e-5}, "pytorchvideo")
    assert len(as_pytorchvideo(model.state_dict())) == 377 and model.input.mean == (114.75,) * 3
    with torch.no_grad():
        logits = model.eval()(noise(1, 3, 16, 224, 224).float()[:, None])
    assert logits[0, :4].tolist() == pytest.approx((0.85642, -1.17268, 0.32127, 1.04048), abs=2e-5)
    assert logits[0].argmax().item() == 355
    assert (logits.mean().item(), logits.std().item()) == pytest.approx((0.05139, 1.02955), abs=2e-5)


def test_its_32x3_is_the_same_network_for_longer_clips(tmp_path: Path) -> None:
    """hub/vision_transformers, `mvit_video_base_32x3_config`."""
    with torch.device("meta"):
        theirs = as_pytorchvideo(create_model("mvit_v1_b", 400, clip_len=32).state_dict())
    path = tmp_path / "MVIT_B_32x3_f294077834.pyth"
    torch.save({"model_state": {key: torch.zeros(()).expand(value.shape) for key, value in theirs.items()}}, path)
    model, report = load_model(path)
    assert model.args == {"clip_len": 32, "pool_eps": 1e-5} and report.missing == report.unexpected == ()
    assert (model.input.clip_len, model.input.frame_interval) == (32, 3)


def test_it_has_no_way_back(file: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"mvit_v1_b has no names in PyTorchVideo's layout"):
        convert(file, "pytorchvideo", tmp_path / "back.pyth")
