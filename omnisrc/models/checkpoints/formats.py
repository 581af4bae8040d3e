"""The table of formats: how each is told from its keys, and how its names become ours."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Protocol, runtime_checkable

import torch

from omnisrc.models.checkpoints import (
    caffe_c3d,
    mmaction,
    mmaction2,
    mmaction2_c3d,
    mmaction2_trn,
    ours,
    pyslowfast,
    pytorchvideo,
    pytorchvideo_x3d,
    timm,
    torchvision,
    tsn_pytorch,
)
from omnisrc.models.checkpoints.container import Contents


class Format(Protocol):
    """What a format's module holds."""

    NAME: str

    def matches(self, keys: Collection[str]) -> bool:
        """Whether a file with these keys is of this format."""

    def our_key(self, key: str) -> str | None:
        """Our name of the file's `key`; None for what is no part of a recogniser."""

    def meta(self, contents: Contents) -> Mapping[str, Any]:
        """What the file, or the format, says of input scaling, sampling, classes, licence and source.

        `channel_order` bgr has the stem and the scaling turned to RGB; `bn_eps` is the norms'. `family` is the first
        part of a model's name, where the names in the file tell what shapes do not (a shift).
        """


@runtime_checkable
class Adapting(Protocol):
    """A format whose tensors differ from ours by more than their names."""

    def adapt(self, state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """The tensors, under our names already, in our order of channels or columns."""


FORMATS: tuple[Format, ...] = (
    ours,
    mmaction2_trn,
    mmaction2_c3d,
    *mmaction2.LAYOUTS,
    mmaction.LAYOUT,
    pytorchvideo_x3d,
    *pytorchvideo.LAYOUTS,
    pyslowfast,
    tsn_pytorch,
    caffe_c3d,
    torchvision,
    timm,
)
"""Asked in this order; the first match reads the file."""


def format_of(keys: Collection[str]) -> Format | None:
    return next((form for form in FORMATS if form.matches(keys)), None)
