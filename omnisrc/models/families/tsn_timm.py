"""TSN on any network of timm, an optional package."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from torch import nn

from omnisrc.errors import UserError
from omnisrc.models.families.tsn_trunks import segments
from omnisrc.models.inputs import Triple
from omnisrc.models.recogniser import Recogniser
from omnisrc.models.trunks.timm import TimmTrunk

EXTRA = "timm"


def tsn_timm(num_classes: int, *, trunk: str = "resnet50", dropout: float = 0.4) -> Recogniser:
    """TSN on the network that timm calls `trunk`, with that network's own scaling and size of input.

    What the network gives before its pooling is averaged over space and frames; where it pools otherwise (a class
    token) or norms what it pooled, its ImageNet logits are not reproduced, its features are.

    Raises:
        UserError: timm is not installed, or has no such network.
    """
    try:
        import timm
    except ImportError as error:
        raise UserError(
            "The model tsn_timm needs the package timm; install it with `pip install 'omnisrc[timm]'`."
        ) from error
    names = timm.list_models()
    if trunk.split(".")[0] not in names:
        near = difflib.get_close_matches(trunk, names, n=3)
        hint = f"did you mean {', '.join(near)}?" if near else "python -c 'import timm; print(timm.list_models())' says"
        raise UserError(f"timm has no network {trunk!r}: {hint}")
    network = _network(trunk)
    said: Mapping[str, Any] = network.pretrained_cfg  # type: ignore[assignment]
    crop_size = int(said["input_size"][-1])
    return segments(
        TimmTrunk(network),
        num_classes,
        dropout,
        mean=_of_bytes(said["mean"]),
        std=_of_bytes(said["std"]),
        crop_size=crop_size,
        short_side=round(crop_size * 8 / 7),
        fixed=bool(said.get("fixed_input_size", False)),
    )


def _network(trunk: str) -> nn.Module:
    """Without its classifier, and without its pooling where it can go without."""
    import timm

    try:
        return timm.create_model(trunk, pretrained=False, num_classes=0, global_pool="")
    except (AssertionError, TypeError):
        return timm.create_model(trunk, pretrained=False, num_classes=0)


def _of_bytes(values: Triple) -> Triple:
    """Of frames in 0..255 instead of 0..1."""
    red, green, blue = (float(value) * 255 for value in values)
    return red, green, blue


MODELS = {"tsn_timm": tsn_timm}
