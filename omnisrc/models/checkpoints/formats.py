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
    mmaction_c3d,
    mmaction_inception,
    mmaction_vmz,
    mvit,
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
    """A format whose tensors may differ from ours by more than their names."""

    def adapt(self, state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """The tensors, under our names already, in our order of channels or columns."""


@runtime_checkable
class Restoring(Protocol):
    """A format that can be written, and whose tensors may differ from ours by more than their names."""

    def unadapt(self, state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """`Adapting.adapt`, back; under our names still."""


FORMATS: tuple[Format, ...] = (
    ours,
    mmaction2_trn,
    mmaction2_c3d,
    *mmaction2.LAYOUTS,
    mmaction.TWO_PATHWAYS,
    mmaction_vmz,
    mmaction_c3d,
    mmaction.LAYOUT,
    mmaction_inception,
    pytorchvideo_x3d,
    *pytorchvideo.LAYOUTS,
    *pyslowfast.LAYOUTS,
    *mvit.LAYOUTS,
    tsn_pytorch,
    caffe_c3d,
    torchvision,
    timm,
)
"""Asked in this order; the first match reads the file."""


@runtime_checkable
class Writable(Format, Protocol):
    """A format that models can be written in."""

    WRITES: tuple[str, ...]

    def their_key(self, key: str) -> str:
        """The format's name of our `key`."""


def writable(layout: str, model: str) -> Writable | None:
    """The format of the name `layout` that writes the model of this name: of several, that which names most of it."""
    ways = [
        (len(beginning), form)
        for form in FORMATS
        if isinstance(form, Writable) and layout == form.NAME
        for beginning in form.WRITES
        if model.startswith(beginning)
    ]
    return max(ways, key=lambda way: way[0])[1] if ways else None


def format_of(keys: Collection[str]) -> Format | None:
    return next((form for form in FORMATS if form.matches(keys)), None)
