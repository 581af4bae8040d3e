"""What a guard process can be asked to do: each task takes a source and parameters, and gives a header and buffers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from omnisrc.media.clips import clip_frames
from omnisrc.media.encode import cut_clip
from omnisrc.media.flow import flow_chunk, frames_chunk
from omnisrc.media.flow_parts import part_flow, part_pairs
from omnisrc.media.followed import Followed
from omnisrc.media.image import allowed_size, land_image, upright_image
from omnisrc.media.parts import part_clips, part_frames, peek_video
from omnisrc.media.probe import probe_video
from omnisrc.media.sampling import SampleFrames
from omnisrc.media.shots import segment_video
from omnisrc.media.source import Source, read_source
from omnisrc.media.wire import Buffer

Answer = tuple[dict[str, Any], list[Buffer]]


def land_image_task(source: Source, params: Mapping[str, Any]) -> Answer:
    """`image.land_image`: its fields, then the JPEG and the hash."""
    fields = asdict(land_image(read_source(source), **params))
    return fields, [fields.pop("data"), fields.pop("phash")]


def probe_video_task(source: Source, params: Mapping[str, Any]) -> Answer:
    """`probe.probe_video`: its fields."""
    return asdict(probe_video(source, **params)), []


def segment_video_task(source: Source, params: Mapping[str, Any]) -> Answer:
    """`shots.segment_video`: the video's facts and windows, then the hashes, their windows, times and qualities."""
    found = segment_video(source, **params)
    meta = {"info": asdict(found.info), "windows": found.windows}
    return meta, [found.hashes, found.window, found.seconds, found.quality]


def clip_frames_task(source: Source, params: Mapping[str, Any]) -> Answer:
    """`clips.clip_frames`: for each window the frames and their numbers."""
    sampling = SampleFrames(**params["sampling"])
    others = {name: value for name, value in params.items() if name not in ("sampling", "windows")}
    clips = clip_frames(source, params["windows"], sampling, **others)
    return {}, [array for clip in clips for array in (clip.frames, clip.indices)]


def cut_clip_task(source: Source, params: Mapping[str, Any]) -> Answer:
    """`encode.cut_clip`: its fields, then the MP4."""
    fields = asdict(cut_clip(source, **params))
    return fields, [fields.pop("data")]


def still_task(source: Source, params: Mapping[str, Any]) -> Answer:
    """`image.upright_image`: the picture."""
    data = read_source(source)
    allowed_size(data)
    return {}, [upright_image(data, params["short_side"])[0]]


def peek_video_task(source: Source, params: Mapping[str, Any]) -> Answer:
    """`parts.peek_video`: its fields."""
    return asdict(peek_video(source, **params)), []


def part_clips_task(source: Source, params: Mapping[str, Any]) -> Answer:
    """`parts.part_clips`: how the part ends; the times of each window's frames, then all frames."""
    sampling = SampleFrames(**params["sampling"])
    others = {name: value for name, value in params.items() if name != "sampling"}
    found = part_clips(source, sampling=sampling, **others)
    return {"end": found.end, "counts": found.counts}, [found.seconds, found.frames]


FOLLOWED = Followed()
"""The video that this process reads part by part, in order."""


def followed_clips_task(source: Source, params: Mapping[str, Any]) -> Answer:
    """As `part_clips_task`, of a video that is kept open for its next part."""
    sampling = SampleFrames(**params["sampling"])
    found = FOLLOWED.part_clips(source, params["windows"], sampling, short_side=params["short_side"])
    return {"end": found.end, "counts": found.counts}, [found.seconds, found.frames]


def part_frames_task(source: Source, params: Mapping[str, Any]) -> Answer:
    """`parts.part_frames`: how the part ends; the times of its frames, and the frames."""
    seconds, frames, end = part_frames(source, **params)
    return {"end": end}, [seconds, frames]


def flow_chunk_task(source: Source, params: Mapping[str, Any]) -> Answer:
    """`flow.flow_chunk`: its facts, then the images."""
    found = flow_chunk(source, **params)
    return {name: getattr(found, name) for name in ("frames", "width", "height", "fps")}, [*found.images]


def frames_chunk_task(source: Source, params: Mapping[str, Any]) -> Answer:
    """`flow.frames_chunk`: how many frames the window has and their rate, then the frames."""
    frames, count, fps = frames_chunk(source, **params)
    return {"frames": count, "fps": fps}, [frames]


def part_flow_task(source: Source, params: Mapping[str, Any]) -> Answer:
    """`flow_parts.part_flow`: how the part ends; the times of the fields, the fields, and the pictures."""
    found = part_flow(source, **{**params, "sampling": SampleFrames(**params["sampling"])})
    return {"end": found.end, "counts": found.counts}, [found.seconds, found.fields, found.pictures]


def part_pairs_task(source: Source, params: Mapping[str, Any]) -> Answer:
    """`flow_parts.part_pairs`: how the part ends; the times and first frames of the fields, and the frames."""
    found = part_pairs(source, **{**params, "sampling": SampleFrames(**params["sampling"])})
    return {"end": found.end, "counts": found.counts}, [found.seconds, found.firsts, found.frames]


TASKS: dict[str, Callable[[Source, Mapping[str, Any]], Answer]] = {
    "land_image": land_image_task,
    "probe_video": probe_video_task,
    "segment_video": segment_video_task,
    "clip_frames": clip_frames_task,
    "cut_clip": cut_clip_task,
    "still": still_task,
    "peek_video": peek_video_task,
    "part_clips": part_clips_task,
    "followed_clips": followed_clips_task,
    "part_frames": part_frames_task,
    "flow_chunk": flow_chunk_task,
    "frames_chunk": frames_chunk_task,
    "part_flow": part_flow_task,
    "part_pairs": part_pairs_task,
}
