"""What a pretrained folder says of its input, in our words: means and deviations for 0..255, sizes in pixels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from omnisrc.errors import UserError
from omnisrc.models.inputs import Triple
from omnisrc.models.pretrained.folder import PretrainedFolder


@dataclass(frozen=True)
class Scaling:
    """`(frames - mean) / std` for RGB in 0..255; frames are brought to `short_side` and cut to `crop_size`."""

    mean: Triple
    std: Triple
    crop_size: int
    short_side: int


def scaling_of(folder: PretrainedFolder, image_size: int) -> Scaling:
    """Raises UserError where the folder does not say how its input is scaled."""
    said = folder.preprocessing
    try:
        mean, std = _triple(said["image_mean"]), _triple(said["image_std"])
        if not said.get("do_normalize", True):
            mean, std = (0.0,) * 3, (1.0,) * 3
        factor = float(said.get("rescale_factor", 1 / 255)) if said.get("do_rescale", True) else 1.0
        # ViViT's own processor takes 1 away after the scaling.
        offset = 1.0 if said.get("offset", folder.model_type == "vivit") and said.get("do_rescale", True) else 0.0
        short = _side(said.get("size"), image_size)
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"The folder {folder.path} does not say how its input is scaled ({error}); fetch its"
            " preprocessor_config.json too."
        ) from error
    red, green, blue = mean
    scaled = ((red + offset) / factor, (green + offset) / factor, (blue + offset) / factor)
    return Scaling(scaled, (std[0] / factor, std[1] / factor, std[2] / factor), image_size, max(short, image_size))


def _triple(values: Any) -> Triple:
    red, green, blue = (float(value) for value in values)
    return red, green, blue


def _side(size: Any, default: int) -> int:
    """The short side that frames are resized to: `size` is a number, {shortest_edge} or {height, width}."""
    if isinstance(size, Mapping):
        return int(size.get("shortest_edge") or min(size.get("height", default), size.get("width", default)))
    return int(size or default)
