"""VideoMAE, TimeSformer, ViViT and V-JEPA 2: transformers' classes, taken apart into a trunk and a head."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import torch

from omnisrc.errors import UserError
from omnisrc.models.heads.linear import LinearHead
from omnisrc.models.heads.tokens import AttentiveHead, NormHead
from omnisrc.models.inputs import IMAGENET_MEAN, IMAGENET_STD, InputSpec, Triple
from omnisrc.models.pretrained.extra import transformers
from omnisrc.models.recogniser import Recogniser
from omnisrc.models.trunks.tokens import FrameAloneTrunk, FrameLastTrunk, Grid, TokenTrunk

EXTRA = "transformers"
"""The optional package that all of them need."""

HALF: Triple = (127.5,) * 3
GREY: tuple[Triple, Triple] = ((0.45 * 255,) * 3, (0.225 * 255,) * 3)


@dataclass(frozen=True)
class Kind:
    """One architecture: transformers' classes, and the input of the weights that the authors published."""

    name: str  # what create_model takes
    model_type: str
    prefix: str  # of transformers' classes
    frame_interval: int
    mean: Triple = IMAGENET_MEAN
    std: Triple = IMAGENET_STD
    config: Mapping[str, Any] = field(default_factory=dict)  # where it is not transformers' default

    @property
    def classifier(self) -> str:
        return f"{self.prefix}ForVideoClassification"


LARGE = {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "intermediate_size": 4096}
SMALL = {"hidden_size": 384, "num_attention_heads": 6, "intermediate_size": 1536}

KINDS = (
    Kind("videomae_b", "videomae", "VideoMAE", 4),
    Kind("videomae_s", "videomae", "VideoMAE", 4, config=SMALL),
    Kind("videomae_l", "videomae", "VideoMAE", 4, config=LARGE),
    Kind("timesformer_b", "timesformer", "Timesformer", 32, *GREY),
    Kind("vivit_b", "vivit", "Vivit", 2, HALF, HALF),
    Kind("vjepa2_l", "vjepa2", "VJEPA2", 4),
)
"""Tong et al., 2022; Bertasius et al., 2021; Arnab et al., 2021 (factorised by tubes, model 1); Assran et al., 2025."""


class TokenRecogniser(Recogniser):
    """A recogniser on a TokenTrunk; with `by_class_token` its head is given that token alone."""

    trunk: TokenTrunk

    def __init__(
        self, trunk: TokenTrunk, head: LinearHead, spec: InputSpec, num_classes: int, by_class_token: bool
    ) -> None:
        super().__init__(trunk, head, spec, num_classes)
        self.by_class_token = by_class_token

    @property
    def memory_format(self) -> torch.memory_format:
        return torch.contiguous_format  # one convolution, and matrices

    def features(self, views: torch.Tensor) -> torch.Tensor:
        if not self.by_class_token or views.ndim != 6:
            return super().features(views)
        token = self.trunk.class_token(views.flatten(0, 1))
        return self.head.embed(token[..., None, None, None], views.shape[1])


def build(kind: Kind, num_classes: int, *, config: Mapping[str, Any] | None = None, dropout: float = 0.0) -> Recogniser:
    """A fresh network. `config` are fields of transformers' configuration that differ from the published size
    (image_size, num_frames, hidden_size, num_hidden_layers, ...).

    Raises UserError where transformers is not installed, or for fields that make no network.
    """
    library = transformers(f"The model {kind.name}")
    settings = configuration(library, kind, num_classes, config or {})
    try:
        model = getattr(library, kind.classifier)(settings)
    except (ValueError, TypeError, RuntimeError, ZeroDivisionError) as error:
        raise UserError(f"model {kind.name} cannot be made with the config {dict(config or {})}: {error}") from error
    grid = _grid(model.config)
    spec = InputSpec("3d", grid.frames, kind.frame_interval, 1, kind.mean, kind.std)
    spec = replace(spec, crop_size=grid.size, short_side=round(grid.size * 8 / 7))
    return assembled(model, spec, dropout)


def configuration(library: Any, kind: Kind, num_classes: int, changes: Mapping[str, Any]) -> Any:
    """transformers' configuration of a kind with changes. Raises UserError for fields it does not have."""
    cls = getattr(library, f"{kind.prefix}Config")
    unknown = [name for name in changes if name not in own_fields(library, kind)]
    if unknown:
        raise UserError(f"model {kind.name} has no {unknown[0]!r} in its config; see transformers' {kind.prefix}Config")
    try:
        return cls(**{**kind.config, **changes}, num_labels=num_classes)
    except Exception as error:  # its validation raises classes of another package
        reason = str(error).strip().splitlines()[-1].strip()
        raise UserError(f"model {kind.name} cannot have the config {dict(changes)}: {reason}") from error


def own_fields(library: Any, kind: Kind) -> set[str]:
    """The fields of a kind's configuration that describe the network, not what is common to all of transformers."""
    return set(getattr(library, f"{kind.prefix}Config")().to_dict()) - set(library.PreTrainedConfig().to_dict())


def assembled(model: Any, spec: InputSpec, dropout: float = 0.0) -> TokenRecogniser:
    """The trunk and head of transformers' classifier, whose modules are used as they are, but for the last layer: that
    begins anew (`filled_head` copies it)."""
    config, channels, classes = model.config, int(model.config.hidden_size), int(model.config.num_labels)
    grid = _grid(config)
    if config.model_type == "vjepa2":
        encoder = model.vjepa2.encoder  # without the predictor, which judges nothing
        trunk = TokenTrunk(encoder, encoder.layer, grid, channels, class_token=False)
        return TokenRecogniser(trunk, AttentiveHead(channels, classes, dropout, model.pooler), spec, classes, False)
    if config.model_type == "videomae":
        trunk = TokenTrunk(model.videomae, model.videomae.encoder.layer, grid, channels, class_token=False)
        if model.fc_norm is not None:
            return TokenRecogniser(trunk, NormHead(channels, classes, dropout, model.fc_norm), spec, classes, False)
    elif config.model_type == "vivit":
        trunk = TokenTrunk(model.vivit, model.vivit.layers, grid, channels, class_token=True)
    else:
        alone = config.attention_type == "space_only"
        cls = FrameAloneTrunk if alone else FrameLastTrunk
        trunk = cls(model.timesformer, model.timesformer.encoder.layer, grid, channels, class_token=True)
    return TokenRecogniser(trunk, LinearHead(channels, classes, dropout), spec, classes, by_class_token=True)


def filled_head(model: Any, recogniser: TokenRecogniser) -> TokenRecogniser:
    """Copies the classifier's last layer into the assembled recogniser's."""
    recogniser.head.get_submodule("fc").load_state_dict(model.classifier.state_dict())
    return recogniser


def _grid(config: Any) -> Grid:
    if config.model_type == "vjepa2":
        return Grid(config.frames_per_clip, config.crop_size, config.tubelet_size, config.patch_size, any_length=True)
    size = config.image_size if isinstance(config.image_size, int) else config.image_size[0]
    if config.model_type == "vivit":
        tubelet, patch, _ = config.tubelet_size
        return Grid(config.num_frames, size, tubelet, patch)
    patch = config.patch_size if isinstance(config.patch_size, int) else config.patch_size[0]
    return Grid(config.num_frames, size, getattr(config, "tubelet_size", 1), patch)


MODELS = {kind.name: partial(build, kind) for kind in KINDS}
