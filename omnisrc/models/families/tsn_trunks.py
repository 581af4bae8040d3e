"""TSN on other trunks than ResNet: BN-Inception, EfficientNet, Swin, any image network of torchvision."""

from __future__ import annotations

import difflib
from contextlib import nullcontext
from functools import partial
from typing import Any

import torch

from omnisrc.errors import UserError
from omnisrc.models.heads.linear import LinearHead
from omnisrc.models.inputs import IMAGENET_MEAN, IMAGENET_STD, InputSpec
from omnisrc.models.recogniser import Recogniser
from omnisrc.models.trunks.bn_inception import BNInception, initialise
from omnisrc.models.trunks.steps import SteppedTrunk
from omnisrc.models.trunks.trunk import Trunk

QUIRKS: dict[str, dict[str, Any]] = {
    "googlenet": {"aux_logits": False, "init_weights": True},
    "inception_v3": {"aux_logits": False, "init_weights": True},
}
"""Arguments without which a network of torchvision has parts that only its own training uses."""

COUNTED = "regnet_"
"""Networks that compute their widths with tensors, which needs a device that computes."""

TOKENS = ("vit_",)
"""Networks of torchvision that give no maps; timm's namesakes do."""


def tsn_bninception(num_classes: int, *, width: int = 64, dropout: float = 0.8) -> Recogniser:
    """TSN as first published (Wang et al., 2016): BN-Inception."""
    trunk = BNInception(width)
    initialise(trunk)
    return segments(trunk, num_classes, dropout)


def tsn_torchvision(num_classes: int, *, trunk: str = "resnet50", dropout: float = 0.4) -> Recogniser:
    """TSN on the image network that torchvision calls `trunk`. Raises UserError where it has none of that name."""
    from torchvision.models import get_model, list_models

    names = [name for name in list_models(module=_image_models()) if not name.startswith(TOKENS)]
    if trunk not in names:
        near = difflib.get_close_matches(trunk, names, n=3)
        hint = f"did you mean {', '.join(near)}?" if near else "try tsn_timm, which has many more"
        raise UserError(f"torchvision has no image trunk {trunk!r}: {hint}")

    device = torch.get_default_device()
    with torch.device("cpu") if trunk.startswith(COUNTED) else nullcontext():
        network = get_model(trunk, weights=None, **QUIRKS.get(trunk, {})).to(device)
    made = SteppedTrunk(network, channels_last=trunk.startswith("swin"), relu=trunk.startswith("densenet"))
    return segments(made, num_classes, dropout)


def segments(trunk: Trunk, num_classes: int, dropout: float, **spec: Any) -> Recogniser:
    """TSN: the mean over frames and views of a 2-D trunk, three segments in training."""
    spec = {"mean": IMAGENET_MEAN, "std": IMAGENET_STD, **spec}
    told = InputSpec("2d", clip_len=1, frame_interval=1, num_segments=3, **spec)
    return Recogniser(trunk, LinearHead(trunk.channels, num_classes, dropout), told, num_classes)


def _named(trunk: str, num_classes: int, *, dropout: float = 0.4) -> Recogniser:
    return tsn_torchvision(num_classes, trunk=trunk, dropout=dropout)


def _image_models() -> Any:
    import torchvision.models

    return torchvision.models


MODELS = {
    "tsn_bninception": tsn_bninception,
    **{f"tsn_{name}": partial(_named, name) for name in ("efficientnet_b4", "swin_t", "swin_s", "swin_b")},
    "tsn_torchvision": tsn_torchvision,
}
