"""Settings of decoding and encoding, `media.*` in omnisrc.yaml."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class MediaSettings:
    # short side, in pixels, of the images that are kept; smaller ones stay as they are
    image_short_side: int = 320
    # short side, in pixels, of the clips in curated and target shards; smaller ones stay as they are
    clip_short_side: int = 256
    # frames between two keyframes of a clip: fewer are faster to sample and larger
    keyint: int = 12
    # x264's quality of a clip, from 0 (lossless) to 51
    crf: int = 23
    # quality of the JPEGs that are kept, from 1 to 95
    jpeg_quality: int = 90
    # processes that decode what came from the web; 0 is one for each core, and two more while fetching
    guard_processes: int = 0
    # memory that one of them may use, in MB
    guard_memory_mb: int = 1500
    # seconds that one item may take in them
    guard_timeout_s: float = 60.0

    def __post_init__(self) -> None:
        if min(self.image_short_side, self.clip_short_side, self.keyint) < 1:
            raise ValueError("image_short_side, clip_short_side and keyint are at least 1")
        if not (0 <= self.crf <= 51 and 1 <= self.jpeg_quality <= 95):
            raise ValueError("crf is from 0 to 51, jpeg_quality from 1 to 95")
        if self.guard_processes < 0 or self.guard_memory_mb < 1 or self.guard_timeout_s <= 0:
            raise ValueError("guard_processes is at least 0, guard_memory_mb at least 1, guard_timeout_s more than 0")
