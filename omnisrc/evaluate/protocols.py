"""Test protocols: which views of a sample a student sees, and how their scores become one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from omnisrc.data.samples import SampleReader
from omnisrc.data.transforms import Box, Frames, centre_crop, crop_resize, five_crop, mirror, three_crop
from omnisrc.errors import UserError
from omnisrc.evaluate.settings import EvalSettings
from omnisrc.media.samplers import Kind, Sampler, create_sampler

Average = Literal["prob", "score"]


@dataclass(frozen=True)
class Sampling:
    """What a student was trained on, as its checkpoint says it. A `fixed` student takes no other size."""

    dims: str  # 2d | 3d
    clip_len: int
    frame_interval: int
    num_segments: int
    crop_size: int
    short_side: int
    target_fps: float = 0.0
    fixed: bool = False
    sampler: Kind = "clips"
    sample_range: int = 64


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
    kind: Kind = "clips"  # of the sampler; of `dense`: num_segments clips at each place within sample_range frames
    num_segments: int = 1
    sample_range: int = 64

    @property
    def name(self) -> str:
        return f"{self.clips}x{self.crops}-{self.average}"

    @property
    def views(self) -> int:
        return self.clips * self.crops

    @cached_property
    def sampler(self) -> Sampler:
        return create_sampler(
            self.kind,
            self.clip_len,
            self.frame_interval,
            self.num_segments,
            self.clips,
            target_fps=self.target_fps,
            rule=self.rule,
            sample_range=self.sample_range,
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


QUICK_PLACES = 3
DENSE_PLACES = 10
"""Places at which a dense test looks, as MMAction2's does."""


def validation_protocol(sampling: Sampling) -> Protocol:
    """The quick look on val during training: the training's own number of clips, one centre crop; of dense samples at
    the first, the middle and the last place."""
    return Protocol(
        clips=sampling.num_segments * (QUICK_PLACES if sampling.sampler == "dense" else 1),
        crops=1,
        average="score" if sampling.dims == "2d" else "prob",
        clip_len=sampling.clip_len,
        frame_interval=sampling.frame_interval,
        size=sampling.crop_size,
        short_side=sampling.short_side,
        target_fps=sampling.target_fps,
        kind=sampling.sampler,
        num_segments=sampling.num_segments,
        sample_range=sampling.sample_range,
    )


class Custom(NamedTuple):
    """A protocol that the field knows by name. `whole`: the crop is the short side, not the one of training."""

    clips: int
    crops: Literal[1, 3, 10]
    average: Average
    whole: bool
    dims: str  # of the students that it is for; empty: any


CUSTOMS = {
    "tsn-25x10": Custom(25, 10, "score", False, "2d"),
    "tsn-25x3": Custom(25, 3, "score", True, "2d"),
    "3d-10x3": Custom(10, 3, "prob", True, "3d"),
    "1x1": Custom(1, 1, "prob", False, ""),
}
"""MMAction2's test pipelines: 25 single frames averaged before the softmax (TSN; of 0.x with three crops), 10 clips
averaged after it (SlowOnly, I3D, CSN); and the quick look at one centre crop of the clip in the middle."""


def evaluation_protocol(sampling: Sampling, settings: EvalSettings) -> Protocol:
    """The protocol that the settings name, or the family's custom (tsn-25x10, 3d-10x3), with what they say besides.

    Raises:
        UserError: the protocol is one of single frames and the student takes clips, or the other way round.
    """
    name = settings.protocol if settings.protocol != "auto" else "tsn-25x10" if sampling.dims == "2d" else "3d-10x3"
    custom = CUSTOMS[name]
    if custom.dims and custom.dims != sampling.dims:
        fits = ", ".join(each for each, it in CUSTOMS.items() if it.dims in ("", sampling.dims))
        raise UserError(
            f"The protocol {name} is not for a {sampling.dims} student; choose one of {fits}, or give its numbers"
            " with --set eval.clips=N --set eval.crops=M --set eval.average=prob."
        )
    crops = settings.crops or custom.crops
    whole = (custom.whole if crops == custom.crops else crops == 3) and not sampling.fixed
    short_side = settings.short_side or sampling.short_side
    kind = _kind(sampling, settings)
    places = DENSE_PLACES * sampling.num_segments if kind == "dense" and custom.clips > 1 else custom.clips
    clips = settings.clips or max(places, sampling.num_segments if kind == "dense" else 1)
    if kind == "dense" and clips % sampling.num_segments:
        raise UserError(
            f"Dense samples are of {sampling.num_segments} clips at each place, and eval.clips={clips} is no multiple"
            " of that; give one, or another eval.sampler."
        )
    return Protocol(
        clips=clips,
        crops=crops,
        average=settings.average if settings.average != "auto" else custom.average,
        clip_len=sampling.clip_len,
        frame_interval=sampling.frame_interval,
        size=settings.crop_size or (short_side if whole else sampling.crop_size),
        short_side=short_side,
        target_fps=sampling.target_fps,
        rule=settings.sampling,
        kind=kind,
        num_segments=sampling.num_segments,
        sample_range=sampling.sample_range,
    )


def _kind(sampling: Sampling, settings: EvalSettings) -> Kind:
    """The sampler of a test: as asked for, else as in training.

    Raises:
        UserError: it knows nothing of what else is asked for.
    """
    kind = sampling.sampler if settings.sampler == "auto" else settings.sampler
    if kind != "clips" and settings.sampling == "0.x":
        raise UserError(f"eval.sampling=0.x is a rule for the sampler clips, not {kind}; leave it out.")
    if kind != "clips" and sampling.target_fps:
        raise UserError(
            f"The student counts frames at {sampling.target_fps:g} a second, and the sampler {kind} knows no rate;"
            " score it with eval.sampler=clips."
        )
    return kind


def softmax(logits: Tensor) -> Tensor:
    """Over the last dimension."""
    return torch.softmax(logits, dim=-1)


def averaged(logits: Tensor, average: Average, scores: Callable[[Tensor], Tensor] = softmax) -> Tensor:
    """Logits of the views (B, V, classes) -> probabilities of the sample (B, classes).

    `prob` is the mean of the views' probabilities; `score` those of their mean logits (for a linear head the same as
    averaging the features, as TSN does). `scores` makes probabilities of logits, as the task has it.
    """
    return scores(logits.float()).mean(1) if average == "prob" else scores(logits.float().mean(1))
