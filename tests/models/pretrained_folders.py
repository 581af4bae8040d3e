"""Tiny random networks of transformers in folders, as `save_pretrained` writes them, each with a tokenizer."""

from __future__ import annotations

import json
import string
from pathlib import Path
from typing import Any

import torch

SIDE = 32
FRAMES = 4
CLIP_MEAN, CLIP_STD = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]
TEXT = {"hidden_size": 24, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
VISION = {**TEXT, "hidden_size": 32, "image_size": SIDE, "patch_size": 16}


def save_tokenizer(path: Path, length: int) -> int:
    """A tokenizer of CLIP's kind whose words are letters; the size of its vocabulary."""
    from transformers import CLIPTokenizer

    letters = [*string.ascii_lowercase, *string.digits, ",", ".", "'"]
    tokens = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    vocab = {token: number for number, token in enumerate(tokens)}
    CLIPTokenizer(vocab=vocab, merges=[], model_max_length=length).save_pretrained(path)
    return len(tokens)


def text_teacher(path: Path, kind: str, licence: str | None = "mit", seed: int = 0) -> Path:
    """A random clip, siglip or xclip. Its logit scale is small, so that logits stay exact in half precision."""
    import transformers

    transformers.utils.logging.disable_progress_bar()
    length = 64 if kind == "siglip" else 77
    vocab = save_tokenizer(path, length)
    text = {**TEXT, "vocab_size": vocab, "max_position_embeddings": length, "bos_token_id": vocab - 2,
            "eos_token_id": vocab - 1, "pad_token_id": vocab - 1}  # fmt: skip
    vision: dict[str, Any] = dict(VISION)
    torch.manual_seed(seed)
    if kind == "clip":
        config = transformers.CLIPConfig(text_config=text, vision_config=vision, projection_dim=16)
        model = transformers.CLIPModel(config)
    elif kind == "siglip":
        text |= {"hidden_size": 32, "projection_size": 32}
        config = transformers.SiglipConfig(text_config=text, vision_config=vision)
        model = transformers.SiglipModel(config)
        torch.nn.init.constant_(model.logit_bias, -2.0)
    else:
        vision |= {"num_frames": FRAMES, "mit_hidden_size": 16, "mit_intermediate_size": 32,
                   "mit_num_attention_heads": 2, "mit_num_hidden_layers": 1}  # fmt: skip
        config = transformers.XCLIPConfig(
            text_config=text, vision_config=vision, projection_dim=16, prompt_num_attention_heads=2, prompt_layers=1,
            prompt_alpha=0.5,
        )  # fmt: skip
        model = transformers.XCLIPModel(config)
    torch.nn.init.constant_(model.logit_scale, 2.0)
    with torch.no_grad():  # fresh networks hardly tell pictures apart
        for name, value in model.named_parameters():
            if value.ndim > 1 and "embedding" not in name:
                value.mul_(4)
    model.save_pretrained(path)
    write_json(path / "preprocessor_config.json", preprocessing(kind))
    if licence:
        (path / "README.md").write_text(f"---\nlicense: {licence}\n---\n# Tiny\n")
    return path


def preprocessing(kind: str) -> dict[str, Any]:
    """preprocessor_config.json as the published folders have it, but for the size."""
    half = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    square = {"height": SIDE, "width": SIDE}
    common = {"do_resize": True, "do_rescale": True, "do_normalize": True, "rescale_factor": 1 / 255}
    if kind == "siglip":
        return {**common, **half, "size": square, "image_processor_type": "SiglipImageProcessor"}
    scaled = {"image_mean": CLIP_MEAN, "image_std": CLIP_STD}
    cut = {"do_center_crop": True, "crop_size": square, "size": {"shortest_edge": SIDE}}
    return {**common, **scaled, **cut, "image_processor_type": "CLIPImageProcessor"}


def write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content))


TINY: dict[str, dict[str, Any]] = {
    "videomae_b": {"num_frames": 4, "tubelet_size": 2, "image_size": 32, "patch_size": 8},
    "timesformer_b": {"num_frames": 4, "image_size": 32, "patch_size": 8},
    "vivit_b": {"num_frames": 4, "tubelet_size": [2, 8, 8], "image_size": 32},
    "vjepa2_l": {"frames_per_clip": 4, "tubelet_size": 2, "crop_size": 32, "patch_size": 8, "num_pooler_layers": 1,
                 "pred_hidden_size": 12, "pred_num_attention_heads": 1, "pred_num_hidden_layers": 1},
}  # fmt: skip
"""Configurations for clips of 4 frames of 32 x 32 pixels, by the name that create_model takes."""
for _config in TINY.values():
    _config |= {"hidden_size": 24, "num_hidden_layers": 3, "num_attention_heads": 2}
    _config |= {"mlp_ratio": 2.0} if "crop_size" in _config else {"intermediate_size": 48}

CLASSIFIERS = {
    "videomae_b": ("VideoMAE", "VideoMAEImageProcessor", [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
    "timesformer_b": ("Timesformer", "VideoMAEImageProcessor", [0.45] * 3, [0.225] * 3),
    "vivit_b": ("Vivit", "VivitImageProcessor", [0.5] * 3, [0.5] * 3),
    "vjepa2_l": ("VJEPA2", "VJEPA2VideoProcessor", [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
}


def video_classifier(path: Path, name: str, classes: list[str], licence: str | None = None, **changes: Any) -> Path:
    """A random video classifier; every tensor of it is drawn, the classes' too."""
    import transformers

    transformers.utils.logging.disable_progress_bar()
    prefix, processor, mean, std = CLASSIFIERS[name]
    torch.manual_seed(0)
    settings = {**TINY[name], **changes, "id2label": dict(enumerate(classes))}
    config = getattr(transformers, f"{prefix}Config")(**settings)
    model = getattr(transformers, f"{prefix}ForVideoClassification")(config)
    with torch.no_grad():
        for value in model.parameters():
            value.add_(0.2 * torch.randn_like(value))
    model.save_pretrained(path)
    square = {"height": SIDE, "width": SIDE}
    said = {"do_resize": True, "do_center_crop": True, "do_rescale": True, "do_normalize": True, "image_mean": mean,
            "image_std": std, "size": {"shortest_edge": SIDE}, "crop_size": square}  # fmt: skip
    factor = 1 / 127.5 if name == "vivit_b" else 1 / 255
    kind = "video_processor_type" if name == "vjepa2_l" else "image_processor_type"
    file = "video_preprocessor_config.json" if name == "vjepa2_l" else "preprocessor_config.json"
    write_json(path / file, {**said, "rescale_factor": factor, kind: processor})
    if licence:
        (path / "README.md").write_text(f"---\nlicense: {licence}\n---\n")
    return path
