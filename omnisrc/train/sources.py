"""From a manifest and settings to what the loader mixes and what val is scored on."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Literal

from omnisrc.data.flow_reader import reader_of
from omnisrc.data.manifest import Manifest
from omnisrc.data.mix import Source, View
from omnisrc.data.plan import SourcePlan
from omnisrc.data.pseudo_clips import Warp
from omnisrc.data.samples import FrameCache
from omnisrc.data.transforms import FLOW_SCALES, MULTI_SCALES
from omnisrc.errors import UserError
from omnisrc.evaluate.protocols import Sampling, validation_protocol
from omnisrc.evaluate.scoring import Scorer
from omnisrc.models import InputSpec
from omnisrc.models.precision import Precision
from omnisrc.shards.store import ShardStore
from omnisrc.tasks.create import Task
from omnisrc.train.settings import TrainSettings, batch_sizes

VAL_SHARE = 4  # a quarter of the memory for decoded frames is val's


def resolve(settings: TrainSettings, spec: InputSpec, mix: dict[str, float], manifest: Manifest) -> TrainSettings:
    """The settings with everything filled in that they leave to the model or the data.

    Steps in an epoch come from the manifest, so they are the same on every rank.

    Raises:
        UserError: the model takes clips of one size, and the settings ask for another; or the sampler gives no such
            clips.
    """
    if settings.modality == "flow" and "web-image" in mix:
        raise UserError(
            "The source web-image holds still images, in which nothing moves; leave it out of --mix (as in --mix"
            " target,web-clip), or train with train.modality=rgb."
        )
    if spec.modality == "flow" and spec.dims == "2d" and settings.clip_len not in (0, spec.clip_len):
        raise UserError(
            f"The student sees {spec.clip_len} fields of flow at once, and train.clip_len is {settings.clip_len}; leave"
            f" that out, or set train.model_args={{in_channels: {2 * settings.clip_len}}}."
        )
    first = next(iter(mix))
    steps = settings.steps
    if not steps:
        rows = len(manifest.rows(source=first, split="train"))
        steps = max(1, round(settings.epochs * rows / settings.batch_size))
    crop_size = settings.crop_size or spec.crop_size
    clip_len = settings.clip_len or spec.clip_len
    if spec.fixed and (clip_len, crop_size) != (spec.clip_len, spec.crop_size):
        raise UserError(
            f"{settings.model} takes clips of {spec.clip_len} frames of {spec.crop_size} x {spec.crop_size} pixels and"
            f" no others, not {clip_len} of {crop_size} x {crop_size}; leave train.clip_len and train.crop_size out."
        )
    num_segments = settings.num_segments or spec.num_segments
    interval = settings.frame_interval or spec.frame_interval
    if settings.sampler == "uniform" and settings.frame_interval:
        raise UserError(
            "train.sampler=uniform spreads the frames over the whole video, and train.frame_interval="
            f"{settings.frame_interval} sets them apart; leave one of them out."
        )
    if settings.sampler == "uniform" and clip_len > 1:
        interval = 0
    if settings.sampler == "dense" and interval == 0 and num_segments > 1:
        raise UserError(
            f"train.sampler=dense shows {settings.model} one clip of frames spread over a range, and"
            f" train.num_segments={num_segments} asks for several; set it to 1."
        )
    return dataclasses.replace(
        settings,
        clip_len=clip_len,
        frame_interval=interval,
        num_segments=num_segments,
        crop_size=crop_size,
        short_side=settings.short_side or round(crop_size * 8 / 7),
        steps=steps,
        eval_every=settings.eval_every or max(1, steps // 10),
    )


def sampling_of(settings: TrainSettings, spec: InputSpec) -> Sampling:
    """What a checkpoint says of the student's input; `settings` are resolved."""
    return Sampling(
        dims=spec.dims,
        clip_len=settings.clip_len,
        frame_interval=settings.frame_interval,
        num_segments=settings.num_segments,
        crop_size=settings.crop_size,
        short_side=settings.short_side,
        target_fps=settings.target_fps,
        sampler=settings.sampler,
        sample_range=settings.sample_range,
    )


def view_of(settings: TrainSettings) -> View:
    """How a sample becomes frames; `settings` are resolved."""
    try:
        warp = Warp.of(settings.warp.mean, settings.warp.covariance) if settings.image_clips == "warp" else None
    except ValueError as error:
        raise UserError(f"The settings train.warp do not fit: {error}.") from error
    return View(
        clip_len=settings.clip_len,
        frame_interval=settings.frame_interval,
        num_segments=settings.num_segments,
        size=settings.crop_size,
        crop=settings.crop,
        area=settings.crop_area,
        share=settings.crop_size / settings.short_side,
        scales=FLOW_SCALES if settings.modality == "flow" else MULTI_SCALES,
        target_fps=settings.target_fps or None,
        images=settings.image_clips,
        warp=warp,
        kind=settings.sampler,
        sample_range=settings.sample_range,
    )


def training_sources(
    manifest: Manifest,
    root: Path | ShardStore,
    settings: TrainSettings,
    mix: dict[str, float],
    seed: int,
    cache_bytes: int,
) -> list[Source]:
    """The sources of the mix, in its order.

    Raises:
        UserError: one has no samples.
    """
    view, cache = view_of(settings), FrameCache(cache_bytes)
    sources = []
    for name, batch in batch_sizes(settings.batch_size, mix).items():
        rows = manifest.rows(source=name, split="train")
        if not len(rows):
            raise UserError(f"The manifest has no sample of the source {name}; leave it out of --mix.")
        reader = reader_of(
            rows, root, settings.modality, settings.flow, short_side=settings.short_side, cache=cache, name=name
        )
        table = reader.table
        power = settings.target_class_power if name == "target" else settings.class_power
        plan = SourcePlan(seed, name, table.labels, table.shards, batch, settings.shard_window, power)
        medium: Literal["image", "video"] = "video" if table.videos.any() else "image"
        sources.append(Source(name, medium, plan, reader, view))
    return sources


def validation_scorer(
    manifest: Manifest, root: Path | ShardStore, sampling: Sampling, settings: TrainSettings, task: Task,
    precision: Precision,
    workers: int, rank: int, world: int,
) -> Scorer | None:  # fmt: skip
    """Scores the target's val split as training goes; None where there is none."""
    rows = manifest.rows(source="target", split="val")
    if not len(rows):
        return None
    return Scorer(
        reader_of(rows, root, settings.modality, settings.flow, short_side=sampling.short_side),
        validation_protocol(sampling),
        task,
        batch=settings.batch_size,
        views=2 * settings.batch_size,
        workers=workers,
        precision=precision,
        rank=rank,
        world=world,
        keep_bytes=(settings.cache_mb << 20) // VAL_SHARE,
    )
