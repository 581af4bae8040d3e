"""VideoMAE, TimeSformer, ViViT and V-JEPA 2 through one adapter: transformers' answers, our contract."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from omnisrc.errors import UserError
from omnisrc.models import Recogniser, create_model, load_checkpoint, load_model, save_weights
from tests.media_files import moving_frames
from tests.models.networks import same
from tests.models.pretrained_folders import CLASSIFIERS, TINY, video_classifier

transformers = pytest.importorskip("transformers")
CLASSES = ["abseiling", "archery", "yoga"]
NAMES = list(TINY)
VARIANTS: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in NAMES),
    ("videomae_b", {"use_mean_pooling": False}),
    ("timesformer_b", {"attention_type": "joint_space_time"}),
]


def tiny(name: str, classes: int = 5, **changes: Any) -> Recogniser:
    return create_model(name, classes, config={**TINY[name], **changes})


def direct(folder: Path, name: str, clips: list[list[np.ndarray]]) -> torch.Tensor:
    """Logits of uint8 clips by transformers' own processor and classifier."""
    prefix, processor = CLASSIFIERS[name][:2]
    pixels = getattr(transformers, processor).from_pretrained(folder)
    model = getattr(transformers, f"{prefix}ForVideoClassification").from_pretrained(folder).eval()
    frames = [np.stack(clip) for clip in clips] if name == "vjepa2_l" else clips
    with torch.no_grad():
        made = pixels(frames, do_resize=False, do_center_crop=False, return_tensors="pt")
        logits: torch.Tensor = model(**made).logits
    return logits


def scaled(model: Recogniser, clips: list[list[np.ndarray]]) -> torch.Tensor:
    """(B, 1, 3, T, H, W) as the model's input says."""
    values = (np.array(clips) - np.array(model.input.mean)) / np.array(model.input.std)
    return torch.from_numpy(values).float().permute(0, 4, 1, 2, 3)[:, None]


@pytest.mark.parametrize(("name", "changes"), VARIANTS)
def test_a_folder_gives_transformers_own_logits(name: str, changes: dict[str, Any], tmp_path: Path) -> None:
    folder = video_classifier(tmp_path / "net", name, CLASSES, licence="cc-by-nc-4.0", **changes)
    clips = [moving_frames(4, 32, 32, seed) for seed in range(3)]
    model, report = load_model(folder)
    theirs = direct(folder, name, clips)
    assert theirs.std(0).min() > 1e-3
    with torch.no_grad():
        torch.testing.assert_close(model.eval()(scaled(model, clips)), theirs, atol=1e-5, rtol=1e-5)
    assert (model.name, report.format, report.missing, report.unexpected) == (name, "transformers", (), ())
    assert report.meta["classes"] == CLASSES and report.meta["licence"] == "cc-by-nc-4.0"
    assert report.meta["sampling"]["crop_size"] == 32 and model.input.clip_len == 4
    by_file, _ = load_model(folder / "model.safetensors")
    assert same(by_file, model)


def test_a_folder_is_called_by_the_name_that_is_nearest_to_it(tmp_path: Path) -> None:
    size = {"hidden_size": 384, "num_attention_heads": 6, "intermediate_size": 1536}
    model, _ = load_model(video_classifier(tmp_path / "net", "videomae_b", CLASSES, **size))
    others = {"image_size": 32, "num_frames": 4, "num_hidden_layers": 3, "patch_size": 8}
    assert (model.name, model.args) == ("videomae_s", {"config": others})


@pytest.mark.parametrize("name", NAMES)
def test_our_own_file_brings_it_back_without_the_folder(name: str, tmp_path: Path) -> None:
    model, report = load_model(video_classifier(tmp_path / "net", name, CLASSES))
    save_weights(model, tmp_path / "mine.safetensors", {"licence": report.meta["licence"]})
    again, read = load_model(tmp_path / "mine.safetensors")
    assert same(again, model) and again.input == model.input and json.loads(json.dumps(model.args)) == again.args
    assert read.meta["licence"].startswith("not stated")


@pytest.mark.parametrize("name", NAMES)
def test_a_trunk_gives_the_map_of_every_block(name: str) -> None:
    trunk = tiny(name).eval().trunk
    clips = torch.randn(2, 3, 4, 32, 32)
    with torch.no_grad():
        maps = trunk.maps(clips)
        assert torch.equal(maps["block3"], trunk(clips))
    assert list(maps) == [stage.name for stage in trunk.stages] == ["block1", "block2", "block3"]
    for stage in trunk.stages:
        side, length = 32 // stage.stride, 4 // stage.temporal_stride
        assert maps[stage.name].shape == (2, stage.channels, length, side, side) == (2, 24, length, 4, 4)
    assert not torch.equal(maps["block1"], maps["block2"])


@pytest.mark.parametrize("name", NAMES)
def test_a_place_of_the_map_is_that_place_of_the_clip(name: str) -> None:
    """With blocks that add nothing, a place sees its own tube alone."""
    trunk = tiny(name).eval().trunk
    blocks = trunk._blocks[0]
    with torch.no_grad():
        for parameter in blocks.parameters():
            parameter.zero_()
        clips = torch.randn(1, 3, 4, 32, 32)
        touched = clips.clone()
        touched[:, :, 2:, 8:16, 24:] += 1
        changed = (trunk(clips) != trunk(touched)).any(1)[0]  # (T', 4, 4)
    expected = torch.zeros_like(changed)
    expected[changed.shape[0] // 2 :, 1, 3] = True
    assert torch.equal(changed, expected)


@pytest.mark.parametrize("name", NAMES)
def test_views_are_averaged(name: str) -> None:
    model = tiny(name).eval()
    given = torch.randn(2, 3, 3, 4, 32, 32)
    with torch.no_grad():
        alone = torch.stack([model(given[:, [view]]) for view in range(3)]).mean(0)
        assert torch.allclose(model(given), alone, atol=1e-6)
        assert torch.equal(model.head(model.features(given)), model(given))


@pytest.mark.parametrize("name", NAMES)
def test_under_bf16_autocast_answers_keep_32_bits(name: str) -> None:
    model = tiny(name).eval()
    given = torch.randn(2, 2, 3, 4, 32, 32)
    with torch.no_grad():
        full = model(given)
        with torch.autocast("cpu", torch.bfloat16):
            embedding, logits = model.answer(given)
    assert embedding.dtype == logits.dtype == torch.float32
    assert torch.allclose(logits, full, atol=0.05 * full.abs().max().item())


@pytest.mark.parametrize(
    ("name", "config", "count"),
    [
        ("videomae_b", {}, 86_534_800),
        ("timesformer_b", {}, 121_566_352),
        ("timesformer_b", {"attention_type": "joint_space_time"}, 86_112_400),
        ("timesformer_b", {"attention_type": "space_only"}, 86_106_256),
    ],
)
def test_the_published_sizes(name: str, config: dict[str, Any], count: int) -> None:
    with torch.device("meta"):
        model = create_model(name, 400, config=config)
    assert sum(parameter.numel() for parameter in model.parameters()) == count


def test_v_jepa_2_comes_without_its_predictor() -> None:
    with torch.device("meta"):
        model = create_model("vjepa2_l", 174)
        whole = transformers.VJEPA2ForVideoClassification(transformers.VJEPA2Config(num_labels=174))

    def count(module: torch.nn.Module) -> int:
        return sum(parameter.numel() for parameter in module.parameters())

    assert count(whole) - count(whole.vjepa2.predictor) == count(model)
    assert round(count(whole) / 1e6) == 375


def test_time_sformer_without_time_is_the_mean_over_frames() -> None:
    model = tiny("timesformer_b", attention_type="space_only").eval()
    clips = torch.randn(2, 1, 3, 4, 32, 32)
    with torch.no_grad():
        alone = [model(clips[:, :, :, [at] * 4]) for at in range(4)]
        assert torch.allclose(model(clips), torch.stack(alone).mean(0), atol=1e-6)
        assert model.trunk(clips[:, 0]).shape == (2, 24, 4, 4, 4)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("classes", [4, 400])
def test_the_first_loss_is_near_the_logarithm_of_the_classes(name: str, classes: int) -> None:
    model = tiny(name, classes)
    with torch.no_grad():
        loss = cross_entropy(model(torch.randn(8, 1, 3, 4, 32, 32)), torch.arange(8) % classes).item()
    assert loss == pytest.approx(math.log(classes), rel=0.05)


@pytest.mark.parametrize("name", NAMES)
def test_eight_clips_are_learnt_by_heart(name: str) -> None:
    model = tiny(name, 8)
    clips, labels = torch.randn(8, 1, 3, 4, 32, 32), torch.arange(8)
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3)
    learnt, steps = False, 0
    while not learnt and steps < 200:
        for _ in range(10):
            optimiser.zero_grad()
            cross_entropy(model.train()(clips), labels).backward()
            optimiser.step()
        steps += 10
        with torch.no_grad():
            learnt = torch.equal(model.eval()(clips).argmax(1), labels)
    assert learnt, f"not all of eight clips after {steps} steps"
    assert all(parameter.grad is not None for parameter in model.parameters()), "every parameter takes part"


def test_a_folder_starts_a_model_of_other_classes(tmp_path: Path) -> None:
    folder = video_classifier(tmp_path / "net", "videomae_b", CLASSES)
    model = tiny("videomae_b", 7)
    with pytest.raises(UserError, match="answers for 3 classes, but videomae_b was made for 7"):
        load_checkpoint(model, folder)
    report = load_checkpoint(model, folder, strict=False)
    assert {"head.fc.weight", "head.fc.bias"} <= set(report.left_out) and model.input.clip_len == 16 // 4
    origin, _ = load_model(folder)
    assert torch.equal(model.trunk(torch.ones(1, 3, 4, 32, 32)), origin.trunk(torch.ones(1, 3, 4, 32, 32)))


def test_a_network_that_was_only_pretrained_starts_a_model_and_cannot_stand_for_one(tmp_path: Path) -> None:
    torch.manual_seed(3)
    origin = transformers.VJEPA2Model(transformers.VJEPA2Config(**TINY["vjepa2_l"]))
    folder = video_classifier(tmp_path / "net", "vjepa2_l", CLASSES)
    origin.save_pretrained(folder)
    with pytest.raises(UserError, match="has no head"):
        load_model(folder)
    model = tiny("vjepa2_l", 7).eval()
    report = load_checkpoint(model, folder, strict=False)
    assert report.left_out == () and all(key.startswith("head.") for key in report.missing)
    clips = torch.randn(1, 3, 4, 32, 32)
    with torch.no_grad():
        theirs = origin.eval()(clips.transpose(1, 2), skip_predictor=True).last_hidden_state
        torch.testing.assert_close(model.trunk(clips).flatten(2).transpose(1, 2), theirs, atol=1e-5, rtol=1e-5)


def test_mistakes_are_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(sentence: str, *given: Any, **args: Any) -> None:
        with pytest.raises(UserError, match=sentence):
            create_model(*given, **args)

    refused("has no 'hidden_sise' in its config", "videomae_b", 5, config={"hidden_sise": 3})
    refused("cannot .* config .*attention", "timesformer_b", 5, config={"attention_type": "none"})
    refused("cannot have the config .*hidden_size", "vivit_b", 5, config={"hidden_size": "wide"})
    with pytest.raises(UserError, match=r"takes clips of 4 frames of 32 x 32 pixels, not of 8 frames of 64 x 32"):
        tiny("videomae_b")(torch.randn(1, 1, 3, 8, 32, 64))
    folder = video_classifier(tmp_path / "net", "vivit_b", CLASSES)
    (folder / "config.json").write_text('{"model_type": "llama"}')
    with pytest.raises(UserError, match="holds a llama, which is no recogniser"):
        load_model(folder)
    monkeypatch.setitem(sys.modules, "transformers", None)
    refused(r"pip install 'omnisrc\[transformers\]'", "vjepa2_l", 5)
