"""What a recogniser is shown of the windows of a video: their frames, or the flow between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from omnisrc.data.flow_cache import FlowFacts
from omnisrc.data.transforms import Frames
from omnisrc.errors import ErrorClass, ItemError
from omnisrc.evaluate.windows.plan import Windows
from omnisrc.media.flow_parts import PartFlow
from omnisrc.media.guard import GuardPool
from omnisrc.media.sampling import SampleFrames
from omnisrc.media.source import Source

PATIENCE = 10.0
"""A part of a large video may take so many times the guard's usual time."""
WindowTimes = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Shown:
    """`views` (n, H, W, C) of all windows one after the other, at `seconds` (n,); `counts` says for each window how
    many there are to choose from, 0 for none. `pictures` (n, H, W, 3) are what a person sees there, where they were
    asked for. `end` is when the whole video ends, None where it goes on."""

    views: Frames
    pictures: Frames
    seconds: NDArray[np.float64]
    counts: list[int]
    end: float | None


class PartReader(Protocol):
    """Reads the windows (start and end in seconds) of a part of a video, each as the plan samples it."""

    unit: str
    """What it takes from a window, one of them; a message names it."""

    @property
    def about(self) -> dict[str, Any]:
        """What a file of results says of it."""

    def __call__(
        self, source: Source, plan: Windows, windows: WindowTimes, origin: int | None, pictures: bool = False,
        in_order: bool = False,
    ) -> Shown:  # fmt: skip
        """`origin` is the tick of the video's first frame where it is known; `in_order` says that its keyframes are far
        apart and its parts asked for one after the other. Errors: as `open_video`."""

    def still(self, source: Source, plan: Windows) -> Frames:
        """(1, H, W, C) of an image. `ItemError` where it cannot be decoded, or nothing be seen in it."""


class RgbReader:
    """Frames, decoded in guard processes."""

    unit = "frame"

    def __init__(self, pool: GuardPool) -> None:
        self.pool = pool

    @property
    def about(self) -> dict[str, Any]:
        return {}

    def __call__(
        self, source: Source, plan: Windows, windows: WindowTimes, origin: int | None, pictures: bool = False,
        in_order: bool = False,
    ) -> Shown:  # fmt: skip
        asked: dict[str, Any] = {"windows": windows, "sampling": asdict(plan.sampler), "short_side": plan.short_side}
        task = "followed_clips" if in_order else "part_clips"
        asked |= {} if in_order else {"origin": origin}
        meta, (seconds, found) = self.pool.call(task, source, PATIENCE * self.pool.timeout_s, **asked)
        frames = np.asarray(found)
        return Shown(frames, frames, np.asarray(seconds), meta["counts"], meta["end"])

    def still(self, source: Source, plan: Windows) -> Frames:
        _, [picture] = self.pool.call("still", source, short_side=plan.short_side)
        return np.asarray(picture)[None]


class FieldEstimator(Protocol):
    """Gives the chosen fields of a part of a video; see `omnisrc.media.flow_parts.part_flow`."""

    @property
    def facts(self) -> FlowFacts: ...

    def part(
        self,
        source: Source,
        windows: WindowTimes,
        sampling: SampleFrames,
        *,
        shown_side: int,
        pictures: bool,
        origin: int | None,
    ) -> PartFlow: ...


class FlowFieldReader:
    """Flow, quantised, estimated when it is asked for."""

    unit = "field of flow"

    def __init__(self, estimate: FieldEstimator) -> None:
        self.estimate = estimate

    @property
    def about(self) -> dict[str, Any]:
        return {"flow": asdict(self.estimate.facts)}

    def __call__(
        self, source: Source, plan: Windows, windows: WindowTimes, origin: int | None, pictures: bool = False,
        in_order: bool = False,
    ) -> Shown:  # fmt: skip
        found = self.estimate.part(
            source, windows, plan.sampler, shown_side=plan.short_side, pictures=pictures, origin=origin
        )
        return Shown(found.fields, found.pictures, found.seconds, found.counts, found.end)

    def still(self, source: Source, plan: Windows) -> Frames:
        raise ItemError(ErrorClass.TOO_SMALL, "a still has no flow, and the recogniser sees nothing else")
