"""Settings of flow extraction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

METHODS = ("dis", "tvl1", "farneback", "raft")
LARGEST_BOUND = 1000.0


@dataclass(frozen=True)
class FlowSettings:
    """How flow is estimated and kept. JPEG of quality 95 takes half the bytes of PNG and adds 0.03 pixels (root mean
    square) to the 0.04 that the quantisation costs (measured on 240 x 426 clips)."""

    method: Literal["dis", "tvl1", "farneback", "raft"] = "dis"  # DIS at its medium preset
    bound: float = 20.0  # pixels; what moves further is kept as moving so far
    short_side: int = 256  # of the frames that are compared; smaller ones stay as they are
    format: Literal["jpeg", "png"] = "jpeg"  # png: without loss
    quality: int = 95  # of the JPEGs, from 1 to 100
    weights: str = ""  # file of RAFT's weights; empty: the first raft_* in the workspace's models/
    device: str = "auto"  # that RAFT runs on
    most_frames: int = 20_000  # a longer video is left out and named

    def __post_init__(self) -> None:
        if not 0 < self.bound <= LARGEST_BOUND:
            raise ValueError(f"bound must be greater than 0 and at most {LARGEST_BOUND:g} pixels, not {self.bound}")
        if self.short_side < 16 or self.most_frames < 2:
            raise ValueError("short_side must be at least 16, most_frames at least 2")
        if not 1 <= self.quality <= 100:
            raise ValueError(f"quality must lie between 1 and 100, not {self.quality}")
