"""Settings of the networks: where released weights come from."""

from __future__ import annotations

from dataclasses import dataclass

from omnisrc.config import Size

LARGEST = Size(4_000_000_000)


@dataclass(frozen=True)
class ModelSettings:
    """How released weights are fetched."""

    mirror: str = ""  # URL of a folder with the released files under their paths; empty: where they were released
    download: bool = False  # fetch what --checkpoint, --init and --teacher name and models/ lacks, as --download does
    max_bytes: Size = LARGEST  # of one weights file
    min_speed: int = 1000  # bytes/s, over a whole download

    def __post_init__(self) -> None:
        if self.max_bytes < 1:
            raise ValueError(f"max_bytes must be at least 1, not {self.max_bytes}")
        if self.mirror and not self.mirror.startswith(("https://", "http://")):
            raise ValueError(f"mirror must be a URL, not {self.mirror!r}")
