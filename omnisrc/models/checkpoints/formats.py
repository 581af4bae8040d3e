"""The table of formats: how each is told from its keys, and how its names become ours."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Protocol

from omnisrc.models.checkpoints import (
    caffe_c3d,
    mmaction,
    mmaction2,
    mmaction2_c3d,
    mmaction2_trn,
    ours,
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
        """What the file, or the format, says of input scaling, sampling, classes, licence and source."""


FORMATS: tuple[Format, ...] = (
    ours,
    mmaction2_trn,
    mmaction2_c3d,
    *mmaction2.LAYOUTS,
    mmaction.LAYOUT,
    pytorchvideo_x3d,
    *pytorchvideo.LAYOUTS,
    tsn_pytorch,
    caffe_c3d,
    torchvision,
    timm,
)
"""Asked in this order; the first match reads the file."""


def format_of(keys: Collection[str]) -> Format | None:
    return next((form for form in FORMATS if form.matches(keys)), None)
