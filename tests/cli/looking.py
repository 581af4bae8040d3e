"""Weights and videos for the tests of predict, features and explain, and the network's answers by another way."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from omnisrc.cli.main import run
from omnisrc.media.video import open_video
from omnisrc.models import load_model, save_weights
from tests.media_files import video_bytes
from tests.mixed_world import CLASSES, clip_frames
from tests.models.networks import seasoned

SAMPLING = {"clip_len": 4, "frame_interval": 2, "num_segments": 1, "crop_size": 32, "short_side": 36}
FLAT_SAMPLING = {**SAMPLING, "clip_len": 1, "frame_interval": 1, "num_segments": 3}


def weights(path: Path, name: str = "slowonly_r18", count: int = 4, **meta: Any) -> Path:
    """A small network's file; its logits are some units apart, so that no probability is near 0 or 1."""
    torch.manual_seed(1)
    model = seasoned(name, count, dropout=0.0)
    with torch.no_grad():
        features = model.features(torch.randn(2, 1, 3, 1, 32, 32)).mean(0)
        model.head.fc.weight.div_((model.head.fc.weight @ features).std())
        model.head.fc.bias.zero_()
    said = {"sampling": SAMPLING if name.startswith("slow") else FLAT_SAMPLING, **meta}
    save_weights(model, path, said)
    return path


def video(path: Path, label: int = 0, count: int = 30, fps: float = 10, seed: int = 0) -> Path:
    """A moving square, 72 pixels on the short side."""
    frames = [cv2.resize(frame, (84, 72)) for frame in clip_frames(label, seed, count)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(video_bytes(frames, fps=fps))
    return path


def omnisrc(capsys: pytest.CaptureFixture[str], *arguments: object, sets: tuple[str, ...] = ()) -> tuple[int, Any, str]:
    """Exit code, the object of --json, and what was said."""
    line = [*map(str, arguments), "--json"]
    for setting in ("eval.device=cpu", "eval.amp=off", "media.guard_processes=2", *sets):
        line += ["--set", setting]
    capsys.readouterr()
    code = run(line)
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    return code, json.loads(said.out), " ".join(said.err.split())


def inputs_by_hand(path: Path, indices: list[int]) -> torch.Tensor:
    """(n, 3, 32, 32): the middle of the frames at 36 pixels, normalised as ImageNet's."""
    with open_video(path) as opened:
        frames = opened.frames(indices, 36).astype(np.float32)
    top, left = (frames.shape[1] - 32) // 2, (frames.shape[2] - 32) // 2
    cut = frames[:, top : top + 32, left : left + 32]
    mean, std = np.array([123.675, 116.28, 103.53]), np.array([58.395, 57.12, 57.375])
    return torch.from_numpy(((cut - mean) / std).astype(np.float32)).permute(0, 3, 1, 2)


@torch.no_grad()
def logits_by_hand(weights: Path, path: Path, indices: list[int]) -> torch.Tensor:
    """(classes,): of a clip of these frames, or of these frames as segments for a 2-D network."""
    model = load_model(weights)[0].eval()
    frames = inputs_by_hand(path, indices)
    if model.input.dims == "2d":
        return model(frames[None, :, :, None])[0]
    return model(frames.transpose(0, 1)[None, None])[0]


__all__ = ["CLASSES", "FLAT_SAMPLING", "SAMPLING", "inputs_by_hand", "logits_by_hand", "omnisrc", "video", "weights"]
