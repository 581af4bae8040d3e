"""Who estimates flow: OpenCV in the guard processes, or RAFT here."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from omnisrc.data.flow_cache import FlowFacts
from omnisrc.errors import UserError
from omnisrc.flow.settings import FlowSettings
from omnisrc.media.flow import FlowChunk, is_there, opencv_version
from omnisrc.media.flow_parts import PartFlow
from omnisrc.media.guard import GuardPool
from omnisrc.media.sampling import SampleFrames
from omnisrc.media.source import Source

PATIENCE = 10
"""A chunk may take so many times longer than one item of the web may."""


class Estimator(Protocol):
    """Gives fields of a video; may be called in several threads."""

    @property
    def facts(self) -> FlowFacts: ...

    def __call__(self, source: Source, window: tuple[float, float], first: int, count: int) -> FlowChunk:
        """The fields `first` .. `first + count - 1` of a window as images. ItemError for what cannot be read."""

    def part(
        self,
        source: Source,
        windows: Sequence[tuple[float, float]],
        sampling: SampleFrames,
        *,
        shown_side: int,
        pictures: bool,
        origin: int | None,
    ) -> PartFlow:
        """The fields that `sampling` takes of each window, as `flow_parts.part_flow` has them, with the same errors."""


class OpenCvEstimator:
    """A method of OpenCV, in guard processes: a video that crashes its decoder takes nothing else with it."""

    def __init__(self, settings: FlowSettings, pool: GuardPool) -> None:
        self.settings, self.pool = settings, pool
        self.facts = facts_of(settings, opencv_version())

    def __call__(self, source: Source, window: tuple[float, float], first: int, count: int) -> FlowChunk:
        settings = self.settings
        return self.pool.flow_chunk(
            source, window, first, count, PATIENCE * self.pool.timeout_s, method=settings.method, bound=settings.bound,
            short_side=settings.short_side, form=settings.format, quality=settings.quality,
        )  # fmt: skip

    def part(
        self,
        source: Source,
        windows: Sequence[tuple[float, float]],
        sampling: SampleFrames,
        *,
        shown_side: int,
        pictures: bool,
        origin: int | None,
    ) -> PartFlow:
        settings = self.settings
        return self.pool.part_flow(
            source, windows, sampling, PATIENCE * self.pool.timeout_s, method=settings.method, bound=settings.bound,
            short_side=settings.short_side, form=settings.format, quality=settings.quality, shown_side=shown_side,
            pictures=pictures, origin=origin,
        )  # fmt: skip


def facts_of(settings: FlowSettings, version: str, weights_sha256: str = "") -> FlowFacts:
    return FlowFacts(
        settings.method, settings.bound, settings.short_side, settings.format, settings.quality, version, weights_sha256
    )


def make_estimator(settings: FlowSettings, pool: GuardPool, models: Path) -> Estimator:
    """The estimator that the settings name; `models` is where RAFT's weights are looked for.

    Raises:
        UserError: the method is not there; the sentence names the command that helps.
    """
    if settings.method == "raft":
        from omnisrc.flow.raft import RaftEstimator

        return RaftEstimator(settings, pool, models)
    if not is_there(settings.method):
        raise UserError(
            f"TV-L1 is not in this {opencv_version()}, only in a build with the contributed modules: replace it by"
            " `pip uninstall opencv-python-headless` and `pip install opencv-contrib-python-headless`, or use"
            " --method dis."
        )
    return OpenCvEstimator(settings, pool)
