"""Settings of evaluation. Whatever is 0 or auto here is what the student's family is scored with by custom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class EvalSettings:
    """How a checkpoint is scored: n clips x m crops, and how the views' scores become one."""

    protocol: Literal["auto", "tsn-25x10", "tsn-25x3", "3d-10x3", "1x1"] = "auto"  # by name; auto: the family's custom
    clips: int = (
        0  # of each sample; 0: as the protocol has it: 25 single frames for a 2-D student, 10 clips for a 3-D one
    )
    crops: Literal[0, 1, 3, 10] = 0  # 1: centre; 3: along the long side; 10: corners, centre, mirrors; 0: 10 and 3
    average: Literal["auto", "prob", "score"] = "auto"  # of softmaxes, or of logits; auto: score in 2-D, prob in 3-D
    sampling: Literal["1.x", "0.x"] = "1.x"  # where the clips lie: the rule of that generation of MMAction2
    sampler: Literal["auto", "clips", "uniform", "dense"] = "auto"  # auto: as in training; uniform: a frame of each
    # equal part of the video; dense: clips within train.sample_range frames, at ten places
    class_accuracy: Literal["labelled", "seen"] = "labelled"  # mean over classes with clips; seen: MMAction2's, which
    # counts a class that was predicted and has no clips as 0
    crop_size: int = 0  # 0: as in training; with three crops the short side
    short_side: int = 0  # 0: as in training
    head: str = ""  # of a checkpoint with several heads; empty: the one that answers for the target's class list
    flow: str = ""  # cache of flow, for a student of flow; empty: the one that it was trained on, else the only one
    batch_size: int = 16  # samples that are decoded together
    views: int = 64  # clips in one forward pass
    amp: Literal["auto", "bf16", "off"] = "auto"  # auto: bf16 where the device computes it natively
    compile: bool = False  # the trunk, by torch.compile: pays for some, see docs/models.md
    device: str = "auto"
    workers: int = -1  # loader processes; -1: one a core on CUDA (at most 8), none on the CPU
    threads: int = 0  # of the CPU's arithmetic; 0: as torch chooses

    def __post_init__(self) -> None:
        for name in ("batch_size", "views"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        for name in ("clips", "crop_size", "short_side", "threads"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, not {getattr(self, name)}")
