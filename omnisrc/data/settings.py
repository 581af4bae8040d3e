"""Settings of the target data set."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TargetSettings:
    """How labelled clips are taken in. What clips become (size, codec) is in the settings `media`."""

    val_share: float = 0.1  # of train that becomes val, by whole groups, where a data set has no val; 0: none
    val_seed: int = 0  # which groups
    clips_per_shard: int = 200
    shard_mb: int = 256
    hash_frames: int = 32  # frames of an item of val or test that web samples are compared with; 12 KB an item at most
    train_hash_frames: int = 4  # the same of train, for `target check`

    def __post_init__(self) -> None:
        if not 0 <= self.val_share < 1:
            raise ValueError(f"val_share must be at least 0 and less than 1, not {self.val_share}")
        for name in ("clips_per_shard", "shard_mb", "hash_frames", "train_hash_frames"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
