"""Test protocols: which views of a sample a student sees, and how their scores become one."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from omnisrc.data.samples import SampleReader
from omnisrc.data.transforms import Box, Frames, centre_crop, crop_resize, five_crop, mirror, three_crop
from omnisrc.evaluate.settings import EvalSettings
from omnisrc.media.sampling import SampleFrames

Average = Literal["prob", "score"]


@dataclass(frozen=True)
class Sampling:
    """What a student was trained on, as its checkpoint says it."""

    dims: str  # 2d | 3d
    clip_len: int
    frame_interval: int
    num_segments: int
    crop_size: int
    short_side: int
    target_fps: float = 0.0


@dataclass(frozen=True)
class Protocol:
    """`clips` x `crops` views of each sample, each of clip_len frames, size x size pixels."""

    clips: int
    crops: int
    average: Average
    clip_len: int
    frame_interval: int
    size: int
    short_side: int
    target_fps: float = 0.0
    rule: Literal["1.x", "0.x"] = "1.x"

    @property
    def name(self) -> str:
        return f"{self.clips}x{self.crops}-{self.average}"

    @property
    def views(self) -> int:
        return self.clips * self.crops

    @cached_property
    def sampler(self) -> SampleFrames:
        return SampleFrames(
            self.clip_len,
            self.frame_interval,
            self.clips,
            test_mode=True,
            target_fps=self.target_fps or None,
            rule=self.rule,
        )

    def boxes(self, width: int, height: int) -> list[tuple[Box, bool]]:
        """The crops of a frame, and whether each is mirrored."""
        share = min(1.0, self.size / self.short_side)
        if self.crops == 3:
            return [(box, False) for box in three_crop(width, height)]
        if self.crops == 10:
            return [(box, mirrored) for box in five_crop(width, height, share) for mirrored in (False, True)]
        return [(centre_crop(width, height, share), False)]

    def render(self, reader: SampleReader, row: int, out: Frames) -> None:
        """The views of one sample into `out` (V, T, size, size, 3), crop by crop. `ItemError` where there are none."""
        rng = np.random.default_rng(0)  # asked for by the sampler, which draws nothing in test mode
        frames = reader.clip(row, lambda count, fps: self.sampler(count, rng, fps=fps or None))
        views = out.reshape(self.crops, -1, *out.shape[2:])
        for view, (box, mirrored) in zip(views, self.boxes(frames.shape[2], frames.shape[1]), strict=True):
            crop_resize(frames, box, view)
            if mirrored:
                view[:] = mirror(view)


def validation_protocol(sampling: Sampling) -> Protocol:
    """The quick look on val during training: the training's own number of clips, one centre crop."""
    return Protocol(
        clips=sampling.num_segments,
        crops=1,
        average="score" if sampling.dims == "2d" else "prob",
        clip_len=sampling.clip_len,
        frame_interval=sampling.frame_interval,
        size=sampling.crop_size,
        short_side=sampling.short_side,
        target_fps=sampling.target_fps,
    )


def evaluation_protocol(sampling: Sampling, settings: EvalSettings) -> Protocol:
    """What the settings ask for; where they leave it open, the family's custom: 25 frames x 10 crops averaged before
    the softmax for 2-D students (TSN), 10 clips x 3 crops averaged after it for 3-D ones (SlowOnly, I3D, CSN)."""
    flat = sampling.dims == "2d"
    crops = settings.crops or (10 if flat else 3)
    short_side = settings.short_side or sampling.short_side
    average: Average = settings.average if settings.average != "auto" else "score" if flat else "prob"
    return Protocol(
        clips=settings.clips or (25 if flat else 10),
        crops=crops,
        average=average,
        clip_len=sampling.clip_len,
        frame_interval=sampling.frame_interval,
        size=settings.crop_size or (short_side if crops == 3 else sampling.crop_size),
        short_side=short_side,
        target_fps=sampling.target_fps,
        rule=settings.sampling,
    )


def averaged(logits: Tensor, average: Average) -> Tensor:
    """Logits of the views (B, V, classes) -> probabilities of the sample (B, classes).

    `prob` is the mean of the views' softmaxes; `score` the softmax of their mean logits (for a linear head the same
    as averaging the features, as TSN does).
    """
    if average == "prob":
        return torch.softmax(logits.float(), dim=2).mean(1)
    return torch.softmax(logits.float().mean(1), dim=1)
