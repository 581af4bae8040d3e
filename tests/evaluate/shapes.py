"""A tiny 3-D network that has learnt to tell colours, and clips of squares that move over noise."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import cv2
import numpy as np
import torch
from torch import nn

from omnisrc.data.augment import normalise
from omnisrc.models import InputSpec, Recogniser
from omnisrc.models.heads.linear import LinearHead
from omnisrc.models.trunks.trunk import Stage, Trunk
from tests.mixed_world import CLASSES, clip_frames, colour

SIDE = 48


class TinyTrunk(Trunk):
    """Three convolutions with ReLUs that work in place; (N, 3, T, H, W) -> (N, 16, T, H/8, W/8)."""

    stages = (Stage("first", 8, 2), Stage("second", 16, 4), Stage("third", 16, 8))

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.third = (
            nn.Sequential(
                nn.Conv3d(inputs, outputs, (frames, 3, 3), (1, 2, 2), (frames // 2, 1, 1), bias=False),
                nn.BatchNorm3d(outputs),
                nn.ReLU(inplace=True),
            )
            for inputs, outputs, frames in ((3, 8, 1), (8, 16, 1), (16, 16, 3))
        )

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.third(self.second(self.first(clips)))
        return found

    def maps(self, clips: torch.Tensor) -> dict[str, torch.Tensor]:
        first = self.first(clips)
        second = self.second(first)
        return {"first": first, "second": second, "third": self.third(second)}


def tiny() -> Recogniser:
    model = Recogniser(TinyTrunk(), LinearHead(16, len(CLASSES), 0.0), InputSpec("3d", 4, 1, 1), len(CLASSES))
    model.name = "tiny"
    return model


def square_clip(label: int, seed: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Frames (T, SIDE, SIDE, 3) of a class's square that moves over noise, and where the square is (T, SIDE, SIDE)."""
    frames = np.stack(clip_frames(label, seed, count))[:, :, 4 : 4 + SIDE]
    return frames, (frames == colour(label).astype(np.uint8)).all(3)


def views_of(model: Recogniser, frames: np.ndarray) -> torch.Tensor:
    """(T, H, W, 3) or (B, T, H, W, 3) -> (B, 1, 3, T, H, W), normalised."""
    batch = torch.from_numpy(frames if frames.ndim == 5 else frames[None])[:, None].permute(0, 1, 5, 2, 3, 4)
    return normalise(batch, model.input.mean, model.input.std)


@cache
def learnt() -> Recogniser:
    """The network after 60 steps on clips of four frames; some without a square in half of them."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    model = tiny().train()
    model.input = replace(model.input, clip_len=8)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for _ in range(60):
        labels = rng.integers(len(CLASSES), size=8)
        frames = np.stack([square_clip(int(label), int(rng.integers(10**6)), 4)[0] for label in labels])
        optimiser.zero_grad()
        nn.functional.cross_entropy(model(views_of(model, frames)), torch.from_numpy(labels)).backward()
        optimiser.step()
    return model.eval()


def resized(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return np.stack([cv2.resize(each.astype(np.float32), size, interpolation=cv2.INTER_AREA) for each in mask])
