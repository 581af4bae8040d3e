"""Settings of the filter: what a teacher is shown, how a selection is made, how it is packed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from omnisrc.licences import LicenceRules as LicenceRules
from omnisrc.models.zero_shot.prompts import TEMPLATES, check_templates


@dataclass(frozen=True)
class FilterSettings:
    """How web samples are judged and packed. Distances are bits of PDQ hashes (256 bits; unrelated: 128 +- 8)."""

    # What the teacher is shown
    clips: int = 2  # clips of a web clip, for a 3-D teacher, evenly spaced
    segments: int = 8  # frames of a web clip, for a 2-D teacher, evenly spaced
    crop_size: int = 0  # centre crop, pixels; 0: as the teacher was trained, else 224
    batch_size: int = 0  # samples a forward; 0: 64 images or 8 clips
    workers: int = 0  # threads and guard processes that decode; 0: one a core
    device: str = "auto"
    compile: bool = False  # the trunk, by torch.compile: pays for some, see docs/models.md
    amp: Literal["auto", "bf16", "off"] = "auto"  # auto: as this teacher judged here before, else bf16 where
    # the device that plans the work computes it natively

    # What a teacher that reads texts (CLIP, SigLIP, X-CLIP) is told of each class; the vectors of several are averaged
    prompts: tuple[str, ...] = TEMPLATES  # {} is the class's query
    class_prompts: dict[str, tuple[str, ...]] = field(default_factory=dict)  # whole sentences for a class, instead

    # The rule
    min_probability: float = 0.0  # of the label, by the teacher
    min_margin: float = 0.0  # between the two best probabilities
    per_class_cap: int = 0  # samples kept of each class and medium, best first; 0: all
    licences: LicenceRules = field(default_factory=LicenceRules)

    # Copies. PDQ's authors advise 31 bits for "the same picture"; by the hashes that are made here, unrelated pictures
    # lie so far apart that there is room for more. Over 3,776 photographs (7e6 pairs) those of 56 to 80 bits were none,
    # and 58 of 60 copies that were cut by a few percent and scaled lay at or under 56. Over the same and 276 test
    # videos (3e8 pairs) nothing unrelated came nearer than 72, while frames with a caption, turned by 3 degrees, or
    # with a twentieth cut off lie between 32 and 60. Less is used where the target's own items look more alike than
    # that (contamination.safe_bits).
    near_duplicate_bits: int = 56  # between web images; -1: none are looked for
    clip_duplicate_bits: int = 31  # between frames of web clips, which are many, so that each may be asked for more
    clip_duplicate_share: float = 0.5  # of the shorter clip's frames that must be found in the other
    contamination_bits: int = 60  # from a frame of val or test, or a part of one
    leak_checks: int = 40  # frames of val and test that are planted as leaks, to measure what is caught; 0: none
    trunk: str = ""  # weights whose embeddings find copies that hashes miss: a run, a file or a name, as --teacher

    # Curated shards
    images_per_shard: int = 1000
    clips_per_shard: int = 200
    shard_mb: int = 256

    def __post_init__(self) -> None:
        check_templates(self.prompts)
        for name in ("clips", "segments", "images_per_shard", "clips_per_shard", "shard_mb"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        for name in ("crop_size", "batch_size", "workers", "per_class_cap", "leak_checks"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, not {getattr(self, name)}")
        for name in ("min_probability", "min_margin", "clip_duplicate_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must lie between 0 and 1, not {getattr(self, name)}")
        for name in ("near_duplicate_bits", "clip_duplicate_bits"):
            if not -1 <= getattr(self, name) <= 90:
                raise ValueError(f"{name} must lie between -1 and 90, not {getattr(self, name)}")
        if not 0 <= self.contamination_bits <= 90:
            raise ValueError(f"contamination_bits must lie between 0 and 90, not {self.contamination_bits}")
