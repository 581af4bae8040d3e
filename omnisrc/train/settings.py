"""Settings of training. Whatever is 0 or empty here is taken from the model or the data when a run begins."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from omnisrc.config import near
from omnisrc.errors import UserError
from omnisrc.licences import LicenceRules

WEB = ("web-image", "web-clip")
MIXABLE = ("target", *WEB)


@dataclass(frozen=True)
class WarpSettings:
    """The moving camera of `image_clips: warp`; see omnisrc/data/pseudo_clips.py for the coordinates."""

    mean: tuple[float, ...] = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0)
    covariance: tuple[tuple[float, ...], ...] = ()  # 8 x 8; empty: a camera held by hand


@dataclass(frozen=True)
class TrainSettings:
    """How a student is trained."""

    # What a clip's label is: one class, or several; auto: as the target's clips have them
    task: Literal["auto", "recognition", "multi-label"] = "auto"

    # The student
    model: str = "slowonly_r50"
    model_args: dict[str, Any] = field(default_factory=dict)

    # What it sees: frames, or the flow between them (`omnisrc flow`), from a cache by name; empty: the only one
    modality: Literal["rgb", "flow"] = "rgb"
    flow: str = ""

    # Its input. A clip is clip_len frames, frame_interval apart; num_segments clips are drawn from a video.
    clip_len: int = 0
    frame_interval: int = 0
    num_segments: int = 0
    target_fps: float = 0.0  # frames are counted at this rate; 0: as they come
    sampler: Literal["clips", "uniform", "dense"] = "clips"  # uniform: a frame of each equal part of the video; dense:
    # num_segments clips at even steps within sample_range frames
    sample_range: int = 64
    crop_size: int = 0
    short_side: int = 0  # frames are brought down to it before the crop; 0: 8/7 of the crop (256 for 224)
    crop: Literal["random-resized", "multi-scale", "centre"] = "random-resized"
    crop_area: tuple[float, float] = (0.08, 1.0)  # of the frame, for random-resized
    flip: float = 0.5  # probability; 0 where left and right are different classes
    brightness: float = 0.0  # factors are drawn from [1 - x, 1 + x]
    contrast: float = 0.0
    saturation: float = 0.0
    image_clips: Literal["replicate", "warp"] = "replicate"  # how a still becomes a clip for a 3-D student
    warp: WarpSettings = WarpSettings()

    # The mix
    licences: LicenceRules = field(default_factory=LicenceRules)  # of web samples; narrows the section licences
    batch_size: int = 32  # target samples a step, over all processes
    ratios: dict[str, float] = field(default_factory=dict)  # by source; those of --mix go first; target 2, others 1
    loss_weights: dict[str, float] = field(default_factory=dict)  # of each source's cross-entropy; 1 unless named
    class_power: float | None = 0.2  # web classes of N samples are drawn ~ N**power; null: each sample once a pass
    target_class_power: float | None = None
    shard_window: int = 16  # shards that are open at once
    mixup: Literal["off", "within", "across"] = "off"  # across: pairs from two sources, for training from scratch
    mixup_alpha: float = 0.2
    label_smoothing: float = 0.0
    norm_statistics: Literal["target", "all"] = "target"  # sources whose batches move batch-norm's running statistics

    partial_bn: Literal["off", "statistics", "affine"] = "off"  # all batch norms but the first keep their statistics;
    # affine: their gamma and beta too

    # Optimisation
    steps: int = 0  # 0: epochs
    epochs: float = 30.0  # passes over the target (over the first source where the mix has no target)
    lr: float = 0.02
    first_conv_lr: float = 1.0  # times lr, for the first convolution (TSN on flow: 5); its bias twice that
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 1e-4
    schedule: Literal["cosine", "steps", "constant"] = "cosine"
    milestones: tuple[float, ...] = (0.4, 0.8)  # shares of the run at which `steps` lowers the rate
    decay: float = 0.1  # by this factor
    warmup: float = 0.05  # share of the run during which the rate climbs from warmup_from * lr
    warmup_from: float = 0.01
    clip_grad: float = 40.0  # largest L2 norm of the gradient; 0: none
    amp: Literal["auto", "bf16", "off"] = "auto"  # auto: bf16 on CUDA that computes it natively
    channels_last: bool = True
    compile: bool = False
    deterministic: bool = False  # on CUDA too; slower

    # The run
    eval_every: int = 0  # steps between scores on val, each with a checkpoint; 0: ten times a run
    log_every: int = 10
    device: str = "auto"
    workers: int = -1  # loader processes; 0: none; -1: one a core on CUDA (at most 8), none on the CPU
    threads: int = 0  # of the CPU's arithmetic; 0: as torch chooses. Equal bits on the CPU need an equal number
    cache_mb: int = 512  # decoded frames kept in memory by each process of the run

    def __post_init__(self) -> None:
        positive = ("sample_range", "first_conv_lr", "batch_size", "shard_window", "lr", "log_every", "mixup_alpha")
        for name in positive:
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be greater than 0, not {getattr(self, name)}")
        shares = ("flip", "momentum", "warmup", "warmup_from", "decay", "label_smoothing")
        for name in shares:
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must lie between 0 and 1, not {getattr(self, name)}")
        least = (
            "clip_len",
            "frame_interval",
            "num_segments",
            "crop_size",
            "short_side",
            "steps",
            "weight_decay",
            "clip_grad",
        )
        for name in (*least, "target_fps", "eval_every", "threads", "cache_mb", "brightness", "contrast", "saturation"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, not {getattr(self, name)}")
        if self.modality == "flow" and (self.brightness or self.contrast or self.saturation):
            raise ValueError("brightness, contrast and saturation change colours, and flow has none: leave them at 0")
        if self.sampler != "clips" and self.target_fps:
            raise ValueError(f"the sampler {self.sampler} knows no rate: leave target_fps at 0")
        if self.steps == 0 and self.epochs <= 0:
            raise ValueError("steps or epochs must be greater than 0")
        if not 0 < self.crop_area[0] <= self.crop_area[1] <= 1:
            raise ValueError(f"crop_area must be two shares, the smaller first, not {list(self.crop_area)}")
        if 0 < self.short_side < self.crop_size and self.crop == "centre":
            raise ValueError(f"short_side {self.short_side} is smaller than crop_size {self.crop_size}")
        for name in ("ratios", "loss_weights"):
            for source, value in getattr(self, name).items():
                if source not in (*MIXABLE, "web"):
                    raise ValueError(f"{name} names the source {source!r}.{near(source, [*MIXABLE, 'web'])}")
                if value < 0 or (value == 0 and name == "ratios"):
                    raise ValueError(f"{name} of {source} must be greater than 0, not {value}")


def parse_mix(text: str, ratios: dict[str, float] | None = None) -> dict[str, float]:
    """`web,target` or `target:2,web-image:1` as source -> ratio. `web` is web-image and web-clip.

    A ratio not named there is taken from `ratios` (the settings), then 2 for the target and 1 for each other source.

    Raises:
        UserError: an unknown source, one named twice, or a ratio that is no positive number.
    """
    settled = _spread(ratios or {})
    mix: dict[str, float] = {}
    for part in filter(None, (p.strip() for p in text.split(","))):
        name, colon, ratio = part.partition(":")
        if name not in (*MIXABLE, "web"):
            raise UserError(f"There is no source {name!r} to mix.{near(name, [*MIXABLE, 'web'])}")
        try:
            value = float(ratio) if colon else 0.0
        except ValueError:
            value = -1.0
        if colon and not 0 < value < float("inf"):
            raise UserError(f"The ratio of {part!r} in --mix must be a number above 0, as in target:2,web:1.")
        for source in WEB if name == "web" else (name,):
            if source in mix:
                raise UserError(f"--mix {text} names the source {source} twice; name each once.")
            mix[source] = value or settled.get(source, 2.0 if source == "target" else 1.0)
    if not mix:
        raise UserError("--mix names no source; write for example --mix web,target.")
    return {source: mix[source] for source in MIXABLE if source in mix}


def _spread(values: dict[str, float]) -> dict[str, float]:
    web = {source: values["web"] for source in WEB if "web" in values}
    return {**web, **{name: value for name, value in values.items() if name != "web"}}


def loss_weights(settings: TrainSettings, sources: tuple[str, ...]) -> dict[str, float]:
    """The weight of each source's cross-entropy in the step's sum."""
    named = _spread(settings.loss_weights)
    return {source: named.get(source, 1.0) for source in sources}


def batch_sizes(batch_size: int, mix: dict[str, float]) -> dict[str, int]:
    """Samples a step of each source: `batch_size` of the first (the target, where it is mixed), others by ratio.

    Raises:
        UserError: a ratio leaves a source without a sample.
    """
    first = next(iter(mix))
    sizes = {source: round(batch_size * ratio / mix[first]) for source, ratio in mix.items()}
    for source, size in sizes.items():
        if size < 1:
            raise UserError(
                f"A step of {batch_size} samples of {first} leaves none of {source} at the ratio"
                f" {mix[first]:g}:{mix[source]:g}; raise train.batch_size or the ratio of {source} in --mix."
            )
    return sizes
