"""CLIP, SigLIP and X-CLIP from a folder: the same answers as transformers gives, or one sentence."""

from __future__ import annotations

import json
import shutil
import socket
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from omnisrc.errors import UserError
from omnisrc.models.zero_shot.load import load_zero_shot
from omnisrc.models.zero_shot.prompts import TEMPLATES, Prompts, check_templates
from tests.media_files import texture
from tests.models.pretrained_folders import FRAMES, SIDE, text_teacher

transformers = pytest.importorskip("transformers")
NAMES = ("playing golf", "archery", "pouring milk")
KINDS = ("clip", "siglip", "xclip")


@pytest.fixture(scope="module", params=KINDS)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return text_teacher(tmp_path_factory.mktemp("models") / request.param, request.param)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return text_teacher(tmp_path_factory.mktemp("models") / "clip", "clip")


def direct(folder: Path, frames: np.ndarray, texts: list[str]) -> Any:
    """transformers' own forward of uint8 frames (B, T, H, W, 3) and texts, scaled by its own image processor."""
    model = transformers.AutoModel.from_pretrained(folder).eval()
    processor = transformers.AutoImageProcessor.from_pretrained(folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    siglip = folder.name == "siglip"
    tokens = dict(tokenizer(texts, padding="max_length" if siglip else True, return_tensors="pt"))
    if siglip:
        del tokens["attention_mask"]
    pixels = processor([Image.fromarray(frame) for clip in frames for frame in clip], return_tensors="pt").pixel_values
    if folder.name == "xclip":
        pixels = pixels.unflatten(0, frames.shape[:2])
    with torch.no_grad():
        return model(pixel_values=pixels, **tokens)


def scaled(model: Any, frames: np.ndarray) -> torch.Tensor:
    """uint8 frames (B, V, H, W, 3) -> (B, V, 3, 1, H, W) as the model's input says."""
    values = (frames - np.array(model.input.mean)) / np.array(model.input.std)
    return torch.from_numpy(values).float().permute(0, 1, 4, 2, 3)[:, :, :, None]


def pictures(count: int, frames: int) -> np.ndarray:
    shape = (count, frames, SIDE, SIDE, 3)
    return np.stack([texture(SIDE, SIDE, seed) for seed in range(count * frames)]).reshape(shape)


def test_one_sentence_a_class_gives_transformers_own_logits(folder: Path) -> None:
    frames = pictures(3, FRAMES if folder.name == "xclip" else 1)
    found = direct(folder, frames, [f"a photo of {name}" for name in NAMES])
    theirs = found.logits_per_video if folder.name == "xclip" else found.logits_per_image
    model, report = load_zero_shot(folder, Prompts(("a photo of {}",), NAMES))
    with torch.no_grad():
        embedding, logits = model.answer(scaled(model, frames))
        assert torch.equal(model(scaled(model, frames)), logits)
        assert torch.equal(model.features(scaled(model, frames)), embedding)
    assert theirs.std(0).min() > 0.01, "the random network tells the pictures apart"
    torch.testing.assert_close(logits, theirs, atol=5e-5, rtol=0)  # a scale of 14 makes them of cosines
    embeds = found.video_embeds if folder.name == "xclip" else found.image_embeds
    torch.testing.assert_close(embedding, embeds, atol=1e-5, rtol=0)
    assert report.meta["licence"] == "mit" and report.meta["num_classes"] == 3


def test_under_bf16_autocast_answers_keep_32_bits(folder: Path) -> None:
    model, _ = load_zero_shot(folder, Prompts(("{}",), NAMES))
    frames = scaled(model, pictures(2, FRAMES if folder.name == "xclip" else 1))
    with torch.no_grad():
        full = model(frames)
        with torch.autocast("cpu", torch.bfloat16):
            embedding, logits = model.answer(frames)
    assert embedding.dtype == logits.dtype == torch.float32
    assert not torch.equal(logits.bfloat16().float(), logits), "they were not rounded"
    assert torch.allclose(logits, full, atol=0.2)


def test_several_sentences_are_averaged_as_vectors_of_length_one(folder: Path) -> None:
    frames = pictures(2, FRAMES if folder.name == "xclip" else 1)
    templates = ("a photo of {}", "somebody is {}", "{}")
    found = direct(folder, frames, [template.replace("{}", name) for name in NAMES for template in templates])
    texts = found.text_embeds.reshape(-1, len(NAMES), len(templates), found.text_embeds.shape[-1]).mean(2)
    texts = texts / texts.norm(dim=-1, keepdim=True)  # (1 or B, K, D)
    source = transformers.AutoModel.from_pretrained(folder)
    embeds = found.video_embeds if folder.name == "xclip" else found.image_embeds
    expected = (embeds[:, None] * texts).sum(-1) * source.logit_scale.exp()
    expected = expected + getattr(source, "logit_bias", torch.zeros(1))
    model, _ = load_zero_shot(folder, Prompts(templates, NAMES))
    with torch.no_grad():
        torch.testing.assert_close(model(scaled(model, frames)), expected.detach(), atol=1e-5, rtol=0)


def test_frames_of_a_clip_are_pooled_and_their_order_is_one_to_an_image_network(clip: Path) -> None:
    frames = pictures(1, 5)
    model, _ = load_zero_shot(clip, Prompts(("{}",), NAMES))
    with torch.no_grad():
        alone = torch.stack([model.features(scaled(model, frames[:, [at]])) for at in range(5)]).mean(0)
        pooled, logits = model.answer(scaled(model, frames))
        as_time = model(scaled(model, frames[:, ::-1].copy()).transpose(1, 3))
    torch.testing.assert_close(pooled, alone / alone.norm(dim=-1, keepdim=True), atol=1e-5, rtol=0)
    torch.testing.assert_close(as_time, logits, atol=1e-5, rtol=0)


def test_a_still_is_a_video_of_equal_frames_to_x_clip(tmp_path: Path) -> None:
    model, _ = load_zero_shot(text_teacher(tmp_path / "xclip", "xclip"), Prompts(("{}",), NAMES))
    still = scaled(model, pictures(1, 1))
    with torch.no_grad():
        torch.testing.assert_close(model(still), model(still.expand(-1, FRAMES, -1, -1, -1, -1)))


def test_without_sentences_there_are_embeddings_alone(folder: Path) -> None:
    model, _ = load_zero_shot(folder, Prompts())
    told, _ = load_zero_shot(folder, Prompts(("{}",), NAMES))
    frames = scaled(model, pictures(2, 1))
    with torch.no_grad():
        embedding, logits = model.answer(frames)
        assert torch.equal(embedding, told.features(frames)) and logits.shape == (2, 0)


def test_sentences_are_templates_or_a_classs_own() -> None:
    prompts = Prompts(("a photo of {}", "{}"), ("golf", "run"), ((1, ("legs in a blur",)),))
    assert prompts.texts == [["a photo of golf", "golf"], ["legs in a blur"]]
    assert Prompts.of_meta(json.loads(json.dumps(prompts.as_meta()))) == prompts
    assert prompts.sha256 != Prompts(prompts.templates, prompts.names).sha256
    check_templates(TEMPLATES)
    with pytest.raises(ValueError, match=r"no \{\}, where the class goes"):
        check_templates(("a photo",))


def test_nothing_is_fetched(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a connection was made")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    load_zero_shot(folder, Prompts(("{}",), NAMES))


@pytest.fixture
def copied(clip: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(clip, tmp_path / "copy"))


def refusal(path: Path) -> str:
    with pytest.raises(UserError) as caught:
        load_zero_shot(path, Prompts(("{}",), NAMES))
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)
    return str(caught.value)


def test_weights_that_could_run_code_are_not_opened(copied: Path) -> None:
    (copied / "model.safetensors").rename(copied / "pytorch_model.bin")
    assert "holds no model.safetensors" in refusal(copied)


def test_code_in_the_folder_does_not_run(copied: Path, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    (copied / "evil.py").write_text(f"open({str(trace)!r}, 'w').close()\nclass Evil: pass\n")
    for name in ("config.json", "tokenizer_config.json", "preprocessor_config.json"):
        held = json.loads((copied / name).read_text())
        held["auto_map"] = {key: "evil.Evil" for key in ("AutoModel", "AutoConfig", "AutoTokenizer")}
        (copied / name).write_text(json.dumps(held))
    load_zero_shot(copied, Prompts(("{}",), NAMES))
    assert not trace.exists()


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("config.json", b"not json", "config.json is damaged"),
        ("preprocessor_config.json", b"{}", "does not say how its input is scaled"),
        ("preprocessor_config.json", None, "does not say how its input is scaled"),
        ("tokenizer.json", None, "holds no tokenizer that can be read"),
        ("model.safetensors", b"half a file", "cannot be read"),
        ("config.json", b'{"model_type": "bert"}', "holds a bert, which does not read texts"),
        ("config.json", None, "holds no config.json"),
    ],
)
def test_what_is_wrong_with_a_folder_is_said_in_a_sentence(
    copied: Path, name: str, content: bytes | None, sentence: str
) -> None:
    if content is None:
        (copied / name).unlink()
    else:
        (copied / name).write_bytes(content)
    assert sentence in refusal(copied)


def test_a_tensor_that_is_missing_is_never_left_at_random(copied: Path) -> None:
    from safetensors.torch import load_file, save_file

    state = load_file(copied / "model.safetensors")
    del state["visual_projection.weight"]
    save_file(state, copied / "model.safetensors", {"format": "pt"})
    assert "visual_projection.weight missing" in refusal(copied)


def test_the_extra_is_named_where_it_is_not_installed(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    assert "pip install 'omnisrc[transformers]'" in refusal(clip)


def test_a_licence_that_is_not_stated_is_said_so(tmp_path: Path) -> None:
    _, report = load_zero_shot(text_teacher(tmp_path / "siglip", "siglip", licence=None), Prompts())
    assert report.meta["licence"] == "not stated (the authors' siglip weights: Apache-2.0)"
