"""The mix: one batch of each source a step, made from what the plans say."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import torch
from torch.utils.data import Dataset

from omnisrc.data.batch import Batch, Skip
from omnisrc.data.plan import Draw, SourcePlan
from omnisrc.data.pseudo_clips import Warp, moving_clip
from omnisrc.data.samples import SampleReader
from omnisrc.data.transforms import (
    MULTI_SCALES,
    Box,
    Frames,
    centre_crop,
    crop_resize,
    multi_scale_crop,
    random_resized_crop,
)
from omnisrc.errors import ItemError, UserError, WorldError
from omnisrc.media.samplers import Kind, Sampler, create_sampler

TRIES = 1000  # stand-ins for one sample that cannot be decoded, before the source is called broken


@dataclass(frozen=True)
class View:
    """How a sample becomes frames (V, T, size, size, 3): num_segments clips of clip_len frames, frame_interval apart.

    images: a still is one frame (`replicate`: the device repeats it where the student needs a clip), or seen by a
        moving camera (`warp`).
    """

    clip_len: int
    frame_interval: int
    num_segments: int
    size: int
    crop: Literal["random-resized", "multi-scale", "centre"] = "random-resized"
    area: tuple[float, float] = (0.08, 1.0)
    share: float = 0.875  # of the short side, for the centre crop
    scales: tuple[float, ...] = MULTI_SCALES  # of the multi-scale crop
    target_fps: float | None = None
    images: Literal["replicate", "warp"] = "replicate"
    warp: Warp | None = None
    kind: Kind = "clips"  # of the sampler
    sample_range: int = 64  # frames, of `dense`

    @cached_property
    def sampler(self) -> Sampler:
        return create_sampler(
            self.kind,
            self.clip_len,
            self.frame_interval,
            self.num_segments,
            target_fps=self.target_fps or 0.0,
            sample_range=self.sample_range,
        )

    def box(self, width: int, height: int, rng: np.random.Generator) -> Box:
        if self.crop == "random-resized":
            return random_resized_crop(width, height, rng, self.area)
        if self.crop == "multi-scale":
            return multi_scale_crop(width, height, rng, self.scales)
        return centre_crop(width, height, self.share)


@dataclass(frozen=True)
class Source:
    """One stream of the mix."""

    name: str
    medium: Literal["image", "video"]
    plan: SourcePlan
    reader: SampleReader
    view: View


class SourceBroken(WorldError):
    """Nothing of a source can be decoded."""


def make_batch(source: Source, draw: Draw, task: str) -> Batch:
    """The batch of one draw. A sample that cannot be decoded is named in `skips` and replaced by the plan.

    Raises:
        SourceBroken: none of the stand-ins can be decoded either.
    """
    began = time.perf_counter()
    view, table = source.view, source.reader.table
    stills = source.medium == "image"
    views = 1 if stills else view.num_segments
    length = (view.clip_len if view.images == "warp" else 1) if stills else view.clip_len
    frames = np.empty((len(draw), views, length, view.size, view.size, source.reader.channels), dtype=np.uint8)
    rows = np.empty(len(draw), dtype=np.int64)
    skips: list[Skip] = []
    for place, (row, seed) in enumerate(zip(draw.rows, draw.seeds, strict=True)):
        rows[place] = _fill(source, int(row), int(seed), frames[place], skips)
    return Batch(
        source=source.name,
        frames=torch.from_numpy(frames).permute(0, 1, 5, 2, 3, 4),
        labels={task: torch.from_numpy(table.labels_of(rows))},
        weights=torch.from_numpy(table.weights[rows]),
        ids=torch.from_numpy(table.ids[rows]),
        seeds=draw.seeds,
        skips=tuple(skips),
        load_s=time.perf_counter() - began,
    )


def _fill(source: Source, row: int, seed: int, out: Frames, skips: list[Skip]) -> int:
    """Fills `out` (V, T, size, size, 3) with the sample, or with its stand-in; gives the row that it took."""
    table = source.reader.table
    for attempt in range(min(len(table), TRIES) + 1):
        try:
            render(source, row, np.random.Generator(np.random.PCG64(seed)), out)
            return row
        except ItemError as error:
            skips.append(Skip(int(table.ids[row]), table.told(row), error.error.value))
            row = source.plan.replacement(seed, attempt)
    last = skips[-1]
    raise SourceBroken(
        f"Nothing of the source {source.name} can be decoded: tried {len(skips)} of its {len(table)} samples, the last"
        f" in {last.path} ({last.error}); check the files with `omnisrc doctor`."
    )


def render(source: Source, row: int, rng: np.random.Generator, out: Frames) -> None:
    """One sample's crop into `out` (V, T, size, size, 3), every random choice from `rng`."""
    view = source.view
    if source.medium == "image":
        still = source.reader.image(row)
        box = view.box(still.shape[2], still.shape[1], rng)
        if view.images == "warp" and view.warp is not None and len(out[0]) > 1:
            moving_clip(still[0], box, view.warp.camera(len(out[0]), rng), out[0])
        else:
            crop_resize(still, box, out[0])
        return
    frames = source.reader.clip(row, lambda count, fps: view.sampler(count, rng, fps=fps or None))
    box = view.box(frames.shape[2], frames.shape[1], rng)
    crop_resize(frames, box, out.reshape(-1, *out.shape[2:]))


class Mix(Dataset[list[Batch] | WorldError]):
    """Step -> one batch of each source, the part of one rank. The same on every worker that is asked.

    A broken source is given as an item, because an exception that crosses from a loader worker loses its sentence.
    """

    def __init__(self, sources: Sequence[Source], task: str, rank: int = 0, world: int = 1) -> None:
        for source in sources:
            if source.plan.batch % world:
                raise UserError(
                    f"The source {source.name} has {source.plan.batch} samples a step, which {world} processes cannot"
                    " share alike; choose train.batch_size and the ratios of --mix to fit."
                )
        self.sources, self.task, self.rank, self.world = list(sources), task, rank, world

    def __getitem__(self, step: int) -> list[Batch] | WorldError:
        try:
            return [make_batch(s, s.plan.draw(step).part(self.rank, self.world), self.task) for s in self.sources]
        except WorldError as error:
            return error

    @property
    def step_bytes(self) -> int:
        """Bytes of the frames of one step on this rank."""
        return sum(
            s.plan.batch // self.world * s.view.size**2 * s.reader.channels
            * (1 if s.medium == "image" and s.view.images == "replicate" else s.view.clip_len)
            * (1 if s.medium == "image" else s.view.num_segments)
            for s in self.sources
        )  # fmt: skip
